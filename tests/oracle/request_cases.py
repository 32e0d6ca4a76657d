#!/usr/bin/env python3
"""Compares what the gateway allows and refuses with recorded answers of Meilisearch 1.50.

    tests/oracle/request_cases.py --program build/dev/bin/oracle_request [DIRECTORY]

Every recorded search, of hits, of documents, of a facet's values, or several of them, by a body or a URL, is read and
checked against its index's settings, as the gateway does before it asks any node: it must be allowed where the recorded one was answered, and refused with the same code and the same first
line where it was not. Prints how many agree; the exit code is 1 if any differs without a reason given here.
"""
import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oracle.comparison import is_shorter_uid  # noqa: E402

DIFFERENCES_SHOWN = 10
ROUTES = {"search": "search", "search-get": "search", "facet-search": "facet-search", "documents-fetch": "documents",
          "documents-list": "documents", "multi-search": "multi-search"}


def line_of(group, case):
    """What the program is asked."""
    request = case["request"]
    others = {uid: other["settings"] or {} for uid, other in (group.get("others") or {}).items()}
    line = {"route": ROUTES[case["route"]], "settings": group["settings"] or {}, "others": others, "uid": group["name"]}
    if case["route"] in ("search-get", "documents-list"):
        return {**line, "url": {key: str(value) for key, value in request.items()}}
    return {**line, "body": request}


def expected(case):
    """{} for an answer, else code and first line."""
    if case["status"] == 200:
        return {}
    return {"code": case["answer"]["code"], "message": case["answer"]["message"].split("\n")[0]}


def reason(wanted, said):
    """Why a difference is meant, or None."""
    if wanted.get("code") == said.get("code") == "invalid_search_attributes_to_search_on":
        return "paths of documents"
    if wanted and said and is_shorter_uid(wanted, said):
        return "shorter uids"
    return None


def read_cases(directory):
    """(group and case, line, expected) of every recorded search."""
    for path in sorted(Path(directory).glob("*.json")):
        group = json.loads(path.read_text())
        for case in group["cases"]:
            if case["route"] in ROUTES:
                yield group["name"], case, line_of(group, case)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="?", default=os.environ.get("MILLRACE_REFERENCE_CASES"))
    parser.add_argument("--program", required=True)
    parser.add_argument("--cases", help="of no use here: all that are recorded")
    options = parser.parse_args()
    if not options.directory or not Path(options.directory).is_dir():
        print("no reference cases: give their directory as an argument or in MILLRACE_REFERENCE_CASES")
        return 0
    cases = list(read_cases(options.directory))
    lines = "".join(json.dumps(line) + "\n" for _, _, line in cases)
    answers = subprocess.run([options.program], input=lines, capture_output=True, text=True, check=True).stdout
    counts = Counter()
    for (name, case, _), answer in zip(cases, answers.splitlines(), strict=True):
        said = json.loads(answer)
        said = {"code": said["code"], "message": said["message"].split("\n")[0]} if said else {}
        wanted = expected(case)
        verdict = "agree" if said == wanted else reason(wanted, said) or "differ"
        counts[verdict] += 1
        if verdict == "differ" and counts[verdict] <= DIFFERENCES_SHOWN:
            print(f"{name} {case['id']} {json.dumps(case['request'], ensure_ascii=False)[:300]}\n  {wanted}\n  {said}")
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
    return 1 if counts["differ"] else 0


if __name__ == "__main__":
    sys.exit(main())
