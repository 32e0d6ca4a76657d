#!/usr/bin/env python3
"""House rules that a script can check; CONTRIBUTING.md says why each exists.

    tests/tidy.py [--build DIR]                 all rules; those about symbols need a build
    tests/tidy.py --build DIR --clang-tidy      only clang-tidy, over the product code

Prints `tidy: file:line: rule: what to do` and ends with the count.
"""
import argparse
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUNCTION_LINES_MAX = 60
PARAMETERS_MAX = 5
FILE_LINES_MAX = 600

TOP_LEVEL = set("""README.md ARCHITECTURE.md CONTRIBUTING.md LICENSE CMakeLists.txt CMakePresets.json
    .gitignore .dockerignore .clang-format .clang-tidy .ci ingest query rebalance shard shared schemas tests docker""".split())
PROGRAMS = ("ingest", "query", "rebalance", "shard")
# Lower layers know nothing of higher ones; siblings on one level nothing of each other.
LAYERS = {"base": 0, "json": 1, "filter": 2, "record": 3, "settings": 3, "mapping": 4, "meta": 4, "feed": 5, "runtime": 6, "config": 7, "log": 8,
          "http": 8, "feeding": 9, "cli": 9}
CORE_LAYERS = ("base", "json", "filter", "record", "mapping", "meta", "feed", "settings")
JUNK_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "processor", "data"}
# header → the only files that may include it
VENDORS = {
    r"librdkafka/": r"shared/log/|tests/bench/log\.c",
    r"curl/": r"shared/http/http_client\.c",
    r"microhttpd\.h": r"shared/http/",
    r"lmdb\.h": r"(shard/kv(_switch|_private)?|shared/feeding/leaves)\.[ch]",
    r"libfyaml\.h": r"shared/config/",
    r"xxhash\.h": r"shared/base/hash\.c",
    r"zlib\.h": r"shared/base/hash\.c",
    r"yyjson\.h": r"shared/json/json\.h",
    r"libsmartcols": r"shared/cli/",
    r"unicode/": r"shard/engine/text_unicode\.c",
    r"roaring": r"shard/core/",
    r"zstd\.h": r"shard/core/pages\.c",
}
ONE_MODULE = (r"unicode/", r"roaring", r"microhttpd\.h", r"openssl/", r"zstd\.h", r"libfyaml\.h", r"libsmartcols")
IMPURE = re.compile(
    r"(time|clock_gettime|gettimeofday|clock|nanosleep|usleep|sleep|rand|random|srand|srandom|rand_r|arc4random"
    r"|getrandom|getentropy|socket|connect|accept|accept4|send|recv|poll|select|epoll_\w+|open|open64|openat|openat64"
    r"|fopen|fopen64|getenv|secure_getenv|pthread_\w+|thrd_\w+|mtx_\w+|fork|execv\w*|system)"
)
FORBIDDEN_TEXT = [
    (re.compile(r"\b(TODO|FIXME|XXX|HACK)\b"), "do it or leave it out"),
    (re.compile(r"\bphase \d", re.I), "the project has no numbered phases"),
    (re.compile(r"(?<![\w.])/(work|root|home)/\w"), "no path of one machine"),
]
COMMIT_SUBJECT = re.compile(r"^[a-z0-9_./, -]+: \S")
COMMIT_WORDS = re.compile(r"\b(phase|complete|completed|verified|final version|final fix)\b", re.I)

findings = []


def report(path, line, rule, advice):
    findings.append((str(path), line, rule, advice))


def project_files():
    """Tracked files and new ones that are not ignored."""
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listing.returncode == 0:
        names = sorted(set(listing.stdout.splitlines()))
    else:
        names = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if p.is_file()]
        names = sorted(n for n in names if not n.startswith(("build/", ".millrace/", ".git/")))
    return [n for n in names if (ROOT / n).is_file()]


def without_comments(text):
    """C text with comments and literals blanked, line numbers kept."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        found = match.group(0)
        if found[0] in "\"'":
            return found[0] * 2
        return "\n" * found.count("\n") or " "

    return pattern.sub(blank, text)


def parameters_of(signature):
    """Number of parameters; `struct error *error`, which says only how it went, is not one."""
    start = signature.index("(")
    depth, commas = 0, 0
    for position in range(start, len(signature)):
        character = signature[position]
        if character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                inside = signature[start + 1 : position].strip()
                count = 0 if inside in ("", "void") else commas + 1
                return count - len(re.findall(r"\bstruct error \*", inside))
        elif character == "," and depth == 1:
            commas += 1
    return 0


def check_functions(name, code):
    """Length and parameters of what stands in column 0; layout is clang-format's."""
    lines = code.split("\n")
    signature, first, opened, function = "", 0, 0, ""
    for number, line in enumerate(lines, 1):
        if opened:
            if line.startswith("}"):
                if number - opened - 1 > FUNCTION_LINES_MAX:
                    report(name, opened, "function-length", f"{function} has {number - opened - 1} lines; "
                           f"split it (at most {FUNCTION_LINES_MAX})")
                opened = 0
            continue
        if line.startswith("{") and "(" in signature:
            opened = number
            continue
        if not line.strip() or line[0] in "#}":
            signature = ""
            continue
        if not line[0].isspace():
            signature, first = "", number
        signature += " " + line.strip()
        match = re.search(r"(\w+)\s*\(", signature)
        if match and not re.match(r"\s*(typedef|struct \w+ \{|enum)", signature):
            function = match.group(1)
            ends = line.rstrip().endswith(";")
            following = lines[number] if number < len(lines) else ""
            if (ends or following.startswith("{")) and "MHD_" not in signature:
                count = parameters_of(signature)
                if count > PARAMETERS_MAX:
                    report(name, first, "parameters", f"{function} has {count}; at most {PARAMETERS_MAX}, "
                           "what belongs together is a struct")


def check_names(name, code):
    for number, line in enumerate(code.split("\n"), 1):
        for match in re.finditer(r"^(?:\w[\w *]*?)\b(\w+)\s*\(|\b(?:struct|enum|union)\s+(\w+)\s*\{", line):
            word = match.group(1) or match.group(2)
            junk = JUNK_NAMES.intersection(word.split("_"))
            if junk:
                report(name, number, "names", f"`{word}`: say what it is instead of `{junk.pop()}`")
        if re.search(r"\btypedef\s+struct\b", line):
            report(name, number, "typedef", "name the struct, no typedef")


def check_includes(name, text, vendor_users):
    parts = name.split("/")
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if not match or parts[0] == "tests":
            continue
        header = match.group(2)
        if match.group(1) == "<":
            for vendor, place in VENDORS.items():
                if re.match(vendor, header) and not re.match(place, name):
                    report(name, number, "vendor", f"<{header}> only in {place.replace(chr(92), '')}")
            for vendor in ONE_MODULE:
                if re.match(vendor, header):
                    vendor_users.setdefault(vendor, set()).add(os.path.splitext(name)[0])
            continue
        check_layer(name, parts, number, header)


def check_layer(name, parts, number, header):
    target = header.split("/")
    if not (ROOT / header).is_file():
        report(name, number, "include", f'"{header}": paths start at the root of the project')
        return
    if parts[0] == "shared":
        if target[0] != "shared":
            report(name, number, "layers", "shared/ knows no program")
        elif parts[1] != target[1] and LAYERS.get(target[1], 9) >= LAYERS.get(parts[1], 9):
            report(name, number, "layers", f"shared/{parts[1]} is not above shared/{target[1]}")
        return
    if target[0] not in ("shared", parts[0]) or target[:2] == ["shared", "cli"]:
        report(name, number, "layers", f"{parts[0]} includes only itself and shared/")
    if len(parts) > 2 and parts[1] in ("core", "engine"):
        inside = target[1] == "engine" or (parts[1] == "core" and (target[1] == "core" or header == "shard/kv.h"))
        pure = target[1] in CORE_LAYERS if target[0] == "shared" else inside
        if not pure:
            report(name, number, "layers", f"a core does not include {header}")


def check_c(name, text, vendor_users):
    code = without_comments(text)
    check_functions(name, code)
    check_names(name, code)
    check_includes(name, text, vendor_users)
    # A module of several files has its contract in its header, which its private header includes.
    has_header = (ROOT / name).with_suffix(".h").is_file() or re.search(r'#include "[^"]*_private\.h"', text)
    if not text.lstrip().startswith("/*") and (name.endswith(".h") or not has_header):
        report(name, 1, "header-comment", "begin with what this module is and promises")
    if name.startswith("tests/"):
        for number, line in enumerate(code.split("\n"), 1):
            if re.search(r"\b(u|nano)?sleep\s*\(", line):
                report(name, number, "sleep", "wait until a condition holds, with a deadline")


def check_python(name, text):
    if not re.match(r'(#!.*\n)?\s*(#.*\n)*\s*("""|\'\'\')', text):
        report(name, 1, "header-comment", "begin with a docstring: what this is")
    if not name.startswith("tests/"):
        return
    function = ""
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r"\s*def (\w+)", line)
        if match:
            function = match.group(1)
        if re.search(r"\btime\.sleep\(|\bfrom time import .*sleep", line) and function != "wait_until":
            if name != "tests/tidy.py":
                report(name, number, "sleep", "use wait_until: a condition and a deadline")


def check_text(name, text):
    lines = text.split("\n")
    if len(lines) > FILE_LINES_MAX + 1 and name.endswith((".c", ".h", ".py")):
        report(name, FILE_LINES_MAX, "file-length", f"{len(lines) - 1} lines; at most {FILE_LINES_MAX}, split the module")
    if name == "tests/tidy.py":
        return
    for number, line in enumerate(lines, 1):
        for pattern, advice in FORBIDDEN_TEXT:
            match = pattern.search(line)
            if match:
                report(name, number, "words", f"`{match.group(0)}`: {advice}")


def check_path(name):
    parts = name.split("/")
    if parts[0] not in TOP_LEVEL:
        report(name, 1, "top-level", "nothing else belongs at the top")
    for part in parts:
        junk = JUNK_NAMES.intersection(re.split(r"[_.\-]", part.lower()))
        if junk:
            report(name, 1, "names", f"`{junk.pop()}` says nothing; name the thing")


def check_layout(names):
    sources = [n for n in names if n.endswith((".c", ".h"))]
    if not sources:
        return
    try:
        result = subprocess.run(["clang-format", "--dry-run", *sources], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        report(".clang-format", 1, "layout", "clang-format is missing: apt-get install clang-format")
        return
    seen = set()
    for match in re.finditer(r"^(\S+?):(\d+):\d+: (?:warning|error)", result.stderr, re.M):
        if match.group(1) not in seen:
            seen.add(match.group(1))
            report(match.group(1), int(match.group(2)), "layout", f"clang-format -i {match.group(1)}")


def check_commits():
    log = subprocess.run(["git", "log", "--no-merges", "-n", "200", "--format=%h%x00%s%x00%b%x01"], cwd=ROOT,
                         capture_output=True, text=True)
    for entry in log.stdout.split("\x01"):
        fields = entry.strip().split("\0")
        if log.returncode != 0 or len(fields) != 3:
            continue
        if not COMMIT_SUBJECT.match(fields[1]):
            report(f"commit {fields[0]}", 1, "commit", "the subject is `area: effect`")
        match = COMMIT_WORDS.search(fields[1])
        if match:
            report(f"commit {fields[0]}", 1, "commit", f"`{match.group(0)}` says nothing about the effect")


def symbols(path):
    """{object file or member: (defined globals, undefined)}"""
    result = {}
    listing = subprocess.run(["nm", "-A", "-P", path], capture_output=True, text=True).stdout
    for line in listing.splitlines():
        match = re.match(r"(.*?): (\S+) (\w)", line)
        if match:
            defined, undefined = result.setdefault(match.group(1), (set(), set()))
            if match.group(3) in "TDBRV":
                defined.add(match.group(2))
            elif match.group(3) == "U":
                undefined.add(match.group(2))
    return result


def check_cores(build):
    archives = sorted(build.glob("lib*_core.a"))
    if not archives:
        report(build, 1, "purity", "no lib*_core.a: build first")
    for archive in archives:
        for member, (_, undefined) in symbols(archive).items():
            source = re.sub(r"^.*\[(.*)\.o\]$", r"\1", member)
            for symbol in sorted(undefined):
                if IMPURE.fullmatch(symbol.split("@")[0]):
                    report(f"{archive.name}({source})", 1, "purity",
                           f"a core sees no clock, randomness, file, socket, thread or environment: {symbol}")


def object_source(path):
    """CMakeFiles/TARGET.dir/a/b.c.o, from the build's root or its tests/ → a/b.c in the project, or None."""
    match = re.search(r"(tests/)?CMakeFiles/([^/]+)\.dir/(.*)\.o$", path)
    if not match or match.group(2) in ("simulation", "simulation_asan") and match.group(3).startswith("__/"):
        return None
    source = (match.group(1) or "") + match.group(3)
    return source if (ROOT / source).is_file() else None


def check_single_use(build):
    defined_in, users = {}, {}
    for path in build.rglob("*.c.o"):
        source = object_source(str(path.relative_to(build)))
        if source is None:
            continue
        for defined, undefined in symbols(path).values():
            for symbol in undefined:
                users.setdefault(symbol, set()).add(source)
            if not source.startswith("tests/"):
                for symbol in defined:
                    defined_in[symbol] = source
    for symbol, source in sorted(defined_in.items()):
        if symbol == "main" or users.get(symbol):
            continue
        line = definition_line(source, symbol)
        if line:
            report(source, line, "single-use", f"{symbol} is used in this file only: make it static or delete it")


def definition_line(source, symbol):
    for number, line in enumerate((ROOT / source).read_text().split("\n"), 1):
        if re.match(rf"\w.*\b{re.escape(symbol)}\b", line):
            return number
    return None  # came from the compiler or the sanitizer, or the object is stale


def clang_tidy(build):
    commands = json.loads((build / "compile_commands.json").read_text())
    files = sorted({c["file"] for c in commands
                    if re.match(r"(ingest|query|rebalance|shard|shared)/", os.path.relpath(c["file"], ROOT))})
    pattern = re.compile(r"^(/\S+?):(\d+):\d+: (?:error|warning): (.*?) \[([^\]]+)\]$", re.M)

    # Following every path through every callee takes minutes and finds what cannot happen.
    shallow = [f"--extra-arg={a}" for a in ("-Xclang", "-analyzer-config", "-Xclang", "mode=shallow")]

    def check(path):
        result = subprocess.run(
            ["clang-tidy", "-p", str(build), "--quiet", "--extra-arg=-Wno-unknown-warning-option",
             "--extra-arg=-Qunused-arguments", *shallow, path], cwd=ROOT, capture_output=True, text=True)
        found = pattern.findall(result.stdout)
        if result.returncode != 0 and not found:
            found = [(path, "1", (result.stdout + result.stderr).strip()[-300:], "clang-tidy")]
        return found

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(check, files):
            for path, line, message, rule in found:
                finding = (os.path.relpath(path, ROOT), int(line), rule.split(",")[0], message)
                if finding not in findings:
                    findings.append(finding)
    return len(files)


def all_rules(build):
    names = project_files()
    vendor_users = {}
    for name in names:
        check_path(name)
        try:
            text = (ROOT / name).read_text()
        except UnicodeDecodeError:
            continue
        check_text(name, text)
        if name.endswith((".c", ".h")):
            check_c(name, text, vendor_users)
        elif name.endswith(".py"):
            check_python(name, text)
    for vendor, users in vendor_users.items():
        if len(users) > 1:
            report(sorted(users)[1], 1, "vendor", f"<{vendor}> belongs to one module, not to {', '.join(sorted(users))}")
    check_layout(names)
    check_commits()
    if build:
        check_cores(build)
        check_single_use(build)
    return len(names)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path)
    parser.add_argument("--clang-tidy", action="store_true")
    arguments = parser.parse_args()
    build = arguments.build.resolve() if arguments.build else None
    if arguments.clang_tidy and not build:
        parser.error("--clang-tidy needs --build")
    checked = clang_tidy(build) if arguments.clang_tidy else all_rules(build)
    for path, line, rule, advice in sorted(findings):
        print(f"tidy: {path}:{line}: {rule}: {advice}")
    print(f"tidy: {len(findings)} findings in {checked} files")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
