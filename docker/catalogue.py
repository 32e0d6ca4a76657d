#!/usr/bin/env python3
"""The machine's Debian package catalogue as NDJSON, one document a package.

    docker/catalogue.py > packages.ndjson

The id is the package's name with `.` written `_2e` and `+` written `_2b`, which
leaves the characters that a document id may have. The description is the long
one where apt has fetched it (`apt-get update -o Acquire::Languages=en`), else
the short one.
"""
import json
import re
import subprocess
import sys


def stanzas(lines):
    """Dicts of the fields of each paragraph; continuation lines keep their newline."""
    fields, name = {}, None
    for line in lines:
        line = line.rstrip("\n")
        if not line:
            if fields:
                yield fields
            fields, name = {}, None
        elif line[0] in " \t":
            if name:
                fields[name] += "\n" + line[1:]
        else:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    if fields:
        yield fields


def output_lines(*command):
    """The lines that a command prints; nothing if it does not exist."""
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              errors="replace") as process:
            yield from process.stdout
    except FileNotFoundError:
        return


def long_descriptions():
    """{Description-md5: text} of the English translations that apt has."""
    files = output_lines("apt-get", "indextargets", "-o", "Acquire::Languages=en", "--format", "$(FILENAME)",
                         "Created-By: Translations")
    texts = {}
    for path in sorted(line.strip() for line in files):
        for fields in stanzas(output_lines("/usr/lib/apt/apt-helper", "cat-file", path)):
            if "Description-en" in fields:
                texts[fields.get("Description-md5")] = fields["Description-en"]
    return texts


def plain(description):
    """Debian's description markup as text: ` .` is an empty line."""
    return "\n".join("" if line.strip() == "." else line.rstrip() for line in description.split("\n"))


def items(field):
    return [item for item in re.split(r"\s*,\s*", field.strip()) if item]


def document(fields, texts):
    name = fields["Package"]
    text = texts.get(fields.get("Description-md5")) or fields.get("Description") or fields.get("Description-en", "")
    return {
        "id": name.replace(".", "_2e").replace("+", "_2b"),
        "name": name,
        "section": fields.get("Section", ""),
        "maintainer": fields.get("Maintainer", ""),
        "version": fields.get("Version", ""),
        "installed_size": int(fields.get("Installed-Size") or 0),
        "depends": items(fields.get("Depends", "")),
        "tags": items(fields.get("Tag", "")),
        "homepage": fields.get("Homepage", ""),
        "description": plain(text),
    }


def main():
    texts = long_descriptions()
    seen = set()
    for fields in stanzas(output_lines("apt-cache", "dumpavail")):
        if "Package" in fields and fields["Package"] not in seen:
            seen.add(fields["Package"])
            sys.stdout.write(json.dumps(document(fields, texts), ensure_ascii=False, separators=(",", ":")) + "\n")
    if not seen:
        sys.exit("this machine has no apt catalogue; give documents of your own with --data FILE.ndjson")
    print(f"{len(seen)} packages, {'long' if texts else 'short'} descriptions", file=sys.stderr)


if __name__ == "__main__":
    main()
