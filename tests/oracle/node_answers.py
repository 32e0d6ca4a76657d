#!/usr/bin/env python3
"""Compares what a node says of its shards with recorded answers of Meilisearch 1.50.

    tests/oracle/node_answers.py --program P [DIRECTORY] [--group NAME] [--case ID] [--shards N] [--show N]

The directory of the cases is the argument, or MILLRACE_REFERENCE_CASES. Each group is fed into some shards, and each
of its searches, facet searches and fetches of documents that is no error is put as a gateway puts it; the answer is made
of the reply as a gateway makes it.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oracle.comparison import compare  # noqa: E402
from oracle.parameters import DEFAULTS  # noqa: E402
from oracle.search import page_of  # noqa: E402
from oracle.settings import complete  # noqa: E402

OF_GATEWAY = ("offset", "limit", "page", "hitsPerPage", "locales", "retrieveVectors", "exhaustiveFacetCount")


class Node:
    """The program, which holds the shards of one index at a time."""

    def __init__(self, program, directory):
        self.process = subprocess.Popen([program, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, line):
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"the program ended at {json.dumps(line)[:300]}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


class Asking:
    """One group of cases."""

    def __init__(self, node, group, shards):
        self.node = node
        self.settings = complete(group["settings"])
        by_id = {str(document[group["primaryKey"]]): document for document in group["documents"]}
        node.ask({"settings": group["settings"], "documents": list(by_id.items()), "shards": shards,
                  "batch": 7, "store": shards > 1})

    def search(self, request):
        """As the route answers."""
        asked = {**DEFAULTS, **{name: value for name, value in request.items() if value is not None}}
        by_page = "page" in asked or "hitsPerPage" in asked
        most = self.settings["pagination"]["maxTotalHits"]
        offset, limit, _ = page_of(asked, 10**6, most)
        reply = self.reply(request, limit=offset + limit, **({"byPage": True} if by_page else {}))
        if "error" in reply:
            return reply
        _, _, paging = page_of(asked, reply["total"], most)
        answer = {"hits": [hit["doc"] for hit in reply["hits"][offset:]], "query": asked.get("q") or "", **paging}
        if "facets" in reply:
            answer.update(self.facets(reply["facets"]))
        return answer

    def facets(self, facets):
        """Distribution and spans."""
        most = self.settings["faceting"]["maxValuesPerFacet"]
        shown, spans = {}, {}
        for path, facet in facets.items():
            shown[path] = {}
            for row in facet["values"][:most]:
                shown[path][row["value"]] = shown[path].get(row["value"], 0) + row["count"]
            if "min" in facet:
                spans[path] = {"min": facet["min"], "max": facet["max"]}
        return {"facetDistribution": shown, "facetStats": spans}

    def facet_search(self, request):
        reply = self.reply(request)
        if "error" in reply:
            return reply
        most = self.settings["faceting"]["maxValuesPerFacet"]
        rows = [{"value": row["value"], "count": row["count"]} for row in reply["facetHits"][:most]]
        return {"facetHits": rows, "facetQuery": request.get("facetQuery")}

    def fetch(self, request):
        offset, limit = request.get("offset", 0), request.get("limit", 20)
        question = {**request, "ids": [str(i) for i in request["ids"]]} if request.get("ids") is not None else request
        reply = self.reply(question, documents=True, limit=offset + limit)
        if "error" in reply:
            return reply
        results = [hit["doc"] for hit in reply["hits"][offset:]]
        if request.get("retrieveVectors"):
            results = [{**result, "_vectors": {}} for result in results]
        return {"results": results, "offset": offset, "limit": limit, "total": reply["total"]}

    def reply(self, request, **more):
        question = {name: value for name, value in request.items() if name not in OF_GATEWAY}
        return self.node.ask({"question": {**question, **more}})


def run_group(node, path, options, totals):
    """Puts every request of a group, and prints how many answers agree."""
    group = json.loads(path.read_text())
    asking = Asking(node, group, options.shards)
    routes = {"search": asking.search, "facet-search": asking.facet_search, "documents-fetch": asking.fetch}
    counts, shown = Counter(), 0
    for case in group["cases"]:
        if case["status"] != 200 or case["route"] not in routes or options.case and case["id"] != options.case:
            continue
        verdict, text = compare(case, 200, routes[case["route"]](case["request"]))
        counts[verdict] += 1
        if verdict == "unexplained" and shown < options.show:
            shown += 1
            print(f"  {group['name']} {case['id']} {json.dumps(case['request'], ensure_ascii=False)[:300]}\n    {text}")
    totals.update(counts)
    print(f"{path.stem}: " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("agree", "explained", "unexplained")),
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="?", default=os.environ.get("MILLRACE_REFERENCE_CASES"))
    parser.add_argument("--program", required=True)
    parser.add_argument("--group", default="", help="only groups with this in their name")
    parser.add_argument("--case", help="only the case of this id")
    parser.add_argument("--shards", type=int, default=3)
    parser.add_argument("--show", type=int, default=3, help="unexplained differences to show a group")
    options = parser.parse_args()
    if not options.directory or not Path(options.directory).is_dir():
        print("no reference cases: give their directory as an argument or in MILLRACE_REFERENCE_CASES")
        return 2
    totals = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        node = Node(options.program, scratch)
        for path in sorted(Path(options.directory).glob("*.json")):
            if options.group in path.stem:
                run_group(node, path, options, totals)
        ended = node.close()
    print(", ".join(f"{totals[verdict]} {verdict}" for verdict in ("agree", "explained", "unexplained")))
    return 1 if totals["unexplained"] or ended or not totals["agree"] else 0


if __name__ == "__main__":
    sys.exit(main())
