#!/usr/bin/env python3
"""Federated lists beside the oracle: the same hits in the same order, with the same scores, totals and facets.

    tests/oracle/federation_cases.py --program build/dev/bin/oracle_federation [--cases N] [--seed S] [DIRECTORY]

The oracle searches for each query, as nodes would; the program makes the list of it, and so does the oracle. With a
directory of recorded answers (or MILLRACE_REFERENCE_CASES) their federated lists are compared too.
"""
import argparse
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oracle.comparison import compare  # noqa: E402
from oracle.facets import facets_answer  # noqa: E402
from oracle.federation import (  # noqa: E402
    Part, checked_federation, counted_documents, listed_documents, merged, without_repetitions,
)
from oracle.index import Index  # noqa: E402
from oracle.ranking import FieldSort, GeoSort  # noqa: E402
from oracle.reference import open_server  # noqa: E402
from oracle.routes import Server  # noqa: E402
from oracle.values import distinct_values  # noqa: E402

HITS_MAX = 1000
WORDS = ["lake", "cake", "cakes", "garden", "bridge", "sun", "flower", "sunflower", "kitten"]
SETTINGS = {"searchableAttributes": ["title", "body"], "filterableAttributes": ["kind", "n"], "sortableAttributes": ["n"]}
RULES = [["words", "typo", "proximity", "attribute", "sort", "exactness"], ["sort", "words", "typo", "exactness"],
         ["words", "sort", "typo", "n:{}", "exactness"], ["typo", "words", "proximity"]]


def places_of(parts):
    """{(query, place of the hit): [place of each sort's value among all values]}"""
    rows = [(key, query, at, number)
            for query, part in enumerate(parts) for at, ranked in enumerate(part.found.ranked)
            for number, (rule, key) in enumerate(zip(part.found.rules, ranked.key)) if isinstance(rule, (FieldSort, GeoSort))]
    rows.sort(key=lambda row: row[0])
    places, place, before = {}, -1, None
    for key, query, at, number in rows:
        place += before is None or not before == key
        before = key
        places[query, at, number] = place
    return places


def score_of(part, ranked, places, query, at):
    """What a node says of the rules."""
    score = []
    for number, ranks in enumerate(ranked.ranks_by_rule):
        if (query, at, number) in places:
            score.append(f"{places[query, at, number]:08x}")
        score += [list(pair) for pair in ranks]
    return score


def counts_of(federation, parts):
    """What nodes count for each index: of a list without repetitions, that list."""
    if "distinct" not in federation:
        return counted_documents(federation, parts)
    return listed_documents(parts, without_repetitions(merged(parts), federation["distinct"]))


def node_of(part, places, query):
    """What a node answers to one query."""
    field = part.request.get("distinct") or part.index.settings["distinctAttribute"]
    hits = []
    for at, ranked in enumerate(part.found.ranked[:HITS_MAX]):
        source = ranked.document.source
        distinct = sorted(repr(value).encode().hex() for value in distinct_values(source, field)) if field else []
        hits.append({"p": 0, "rank": f"{at:08x}", "ts": 0, "seq": ranked.document.sequence,
                     "id": str(source[part.index.primary_key]), "distinct": distinct,
                     "score": score_of(part, ranked, places, query, at), "doc": part.hits.hit(ranked)})
    return {"received": [{"p": 0, "received": 1, "state": "active"}], "total": len(hits), "hits": hits}


def line_of(server, body):
    """What the program is asked."""
    federation = checked_federation(body["federation"])
    parts = [Part(server, federation, number, query) for number, query in enumerate(body["queries"])]
    counted = counts_of(federation, parts)
    places = places_of(parts)
    counts = []
    for uid, documents in counted.items():
        wanted = (federation.get("facetsByIndex") or {}).get(uid)
        facets = facets_answer(server.index(uid), list(documents.values()), wanted) if wanted else None
        counts.append({"uid": uid, "total": len(documents), "facets": facets})
    nodes = [node_of(part, places, number) for number, part in enumerate(parts)]
    return {"body": body, "nodes": nodes, "counts": counts}


def corpus(dice, uid, rules):
    """An index of short documents."""
    documents = [{"id": number, "title": " ".join(dice.choices(WORDS, k=dice.randrange(1, 5))),
                  "body": " ".join(dice.choices(WORDS, k=dice.randrange(6))),
                  "kind": dice.choice(["a", "A", "b", 5, None, ["a", "b"], ["b", 5], "c"]),
                  **({"n": dice.choice([1, 2, 3, "x", "y"])} if dice.random() < 0.9 else {})}
                 for number in range(dice.randrange(1, 30))]
    return Index(uid, {**SETTINGS, "rankingRules": rules}, "id", documents)


def generated(dice):
    """(server, body) of a random request; most have queries whose hits can be compared."""
    direction = dice.choice(("asc", "desc"))
    rules = [rule.format(direction) for rule in dice.choice(RULES)]
    server = Server([corpus(dice, uid, rules) for uid in ("one", "two")])
    queries = []
    sorts = dice.random() < 0.4
    for _ in range(dice.randrange(1, 5)):
        query = {"indexUid": dice.choice(("one", "two")), "q": " ".join(dice.choices(WORDS, k=dice.choice((0, 1, 1, 2, 2))))}
        if sorts:
            query["sort"] = [f"n:{direction}"]
        if dice.random() < 0.5:
            query["federationOptions"] = {"weight": dice.choice((0, 0.5, 0.9, 1.5, 3))}
        queries.append(query)
    federation = dice.choice(({}, {"limit": 5, "offset": 3}, {"page": 2, "hitsPerPage": 4}, {"limit": 0}))
    if dice.random() < 0.3:
        federation = {**federation, "distinct": "kind"}
    uids = {query["indexUid"]: None for query in queries}
    if dice.random() < 0.3:
        federation = {**federation, "facetsByIndex": {uid: ["kind", "n"] for uid in uids}}
        federation |= {"mergeFacets": {"maxValuesPerFacet": 3}} if dice.random() < 0.5 else {}
    return server, {"federation": federation, "queries": queries}


def cases_of(options):
    """(server, uid, case) of what is generated and what was recorded."""
    dice = random.Random(options.seed)
    for number in range(options.cases):
        server, body = generated(dice)
        status, answer = server.handle("one", "multi-search", body)
        if status == 200:
            yield server, {"id": str(number), "route": "multi-search", "request": body, "status": status, "answer": answer,
                           "depends": [], "c4": [], "ties": []}
    if options.directory and Path(options.directory).is_dir():
        for path in sorted(Path(options.directory).glob("*multi-search.json")):
            group = json.loads(path.read_text())
            server = open_server(group["name"], group)
            for case in group["cases"]:
                if case["status"] == 200 and case["request"].get("federation") is not None:
                    yield server, case


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="?", default=os.environ.get("MILLRACE_REFERENCE_CASES"))
    parser.add_argument("--program", required=True)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cases = list(cases_of(options))
    lines = "".join(json.dumps(line_of(server, case["request"])) + "\n" for server, case in cases)
    answers = subprocess.run([options.program], input=lines, capture_output=True, text=True, check=True).stdout
    counts = Counter()
    for (_, case), text in zip(cases, answers.splitlines(), strict=True):
        answer = json.loads(text)
        del answer["processingTimeMs"], answer["requestUid"]
        verdict, difference = compare(case, 200, answer)
        counts[verdict] += 1
        if verdict == "unexplained" and counts[verdict] <= 5:
            print(f"{case['id']} {json.dumps(case['request'])[:400]}\n  {difference}")
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
    return 1 if counts["unexplained"] else 0


if __name__ == "__main__":
    sys.exit(main())
