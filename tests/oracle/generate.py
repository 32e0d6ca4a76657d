#!/usr/bin/env python3
"""Requests to random corpora with the answers that the oracle gives.

    tests/oracle/generate.py [--cases N] [--seed S] [--first F] [--requests R] [--jobs J] [--lines]

A corpus has R requests, searches mostly. Prints in how many cases each rule decided the order of two neighbours on the page, and
what else took part; the exit code is 1 if too few decided or found anything (of at least 1,000). With --lines it prints instead,
a line each, the corpora {"uid", "settings", "documents", "cases": [{"route", "request", "status", "answer"}]} and at last
{"counts"}. A corpus is made by S and its number alone, so --first F --cases R makes corpus F again.
"""
import argparse
import json
import random
import sys
from collections import Counter
from functools import partial
from multiprocessing import Pool
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oracle.errors import ApiError  # noqa: E402
from oracle.parameters import search_parameters, url_parameters  # noqa: E402
from oracle.rank_cases import ways_to_match  # noqa: E402
from oracle.random_corpus import Corpus  # noqa: E402
from oracle.random_request import Requests  # noqa: E402
from oracle.ranking import GeoSort  # noqa: E402
from oracle.routes import Server  # noqa: E402
from oracle.search import answer_of, page_of, run  # noqa: E402

DECIDING = ["words", "typo", "proximity", "attributeRank", "attribute", "sort", "a field's rule", "wordPosition", "exactness",
            "distance", "insertion"]
DECIDED_MIN = 0.02
SEVERAL_HITS_MIN = 0.5
CHECKED_FROM = 1000


def answer_to(index, route, request):
    """(status, answer, the parameters, the search itself or None)"""
    if route not in ("search", "search-get"):
        return (*Server([index]).handle(index.uid, route, request), {}, None)
    given = {}
    try:
        given = search_parameters(request) if route == "search" else url_parameters(request)
        found = run(index, given)
        return 200, answer_of(index, given, found), given, found
    except ApiError as error:
        error = error.named(index.uid)
        return error.status, error.answer(), given, None


def rule_between(index, found, left, right):
    """What puts one hit before another."""
    for rule, one, other in zip(found.rules, left.key, right.key):
        if one != other:
            if isinstance(rule, str):
                return rule
            own = rule.name in index.settings["rankingRules"]
            return "distance" if isinstance(rule, GeoSort) else "a field's rule" if own else "sort"
    return "insertion"


def deciding(index, given, found):
    """The rules that order two neighbours on the page."""
    offset, limit, _ = page_of(given, 0, index.settings["pagination"]["maxTotalHits"])
    page = found.ranked[offset:offset + limit]
    return {rule_between(index, found, left, right) for left, right in zip(page, page[1:])}


def kinds_of(index, given, found, answer):
    """What there was to decide besides the order."""
    terms, left_out = found.query.terms, len(found.candidates) - len(found.ranked)
    shown = json.dumps(answer["hits"], ensure_ascii=False)
    yield "two or more hits", len(found.ranked) > 1
    yield "no hit", not found.ranked
    yield "several words", len(terms) > 1
    yield "more than ten words", sum(term.word_count for term in terms) > 10
    yield "negatives", bool(found.query.negative_words or found.query.negative_phrases)
    for strategy in ("all", "frequency"):
        yield f"strategy {strategy}", len(terms) > 1 and found.strategy == strategy
    yield "exact attributes", any(r.details.get("exactness", {}).get("matchType") == "exactMatch" for r in found.ranked)
    if given.get("filter"):
        passing = sum(map(found.accepts, index.documents))
        yield "filters that divide", 0 < passing < len(index.documents)
    yield "distinct or a threshold leaves out", left_out > 0
    yield "facets", any(answer.get("facetDistribution", {}).values())
    yield "pages", "totalPages" in answer
    yield "marks", '"_formatted"' in shown and ("<em>" in shown or "</b>" in shown)
    yield "crops", bool(given.get("attributesToCrop")) and (given["cropMarker"] or "</") in shown
    yield "positions", '"_matchesPosition": {"' in shown
    yield "details", '"_rankingScoreDetails": {"' in shown


def make_corpus(seed, requests, number):
    """(a corpus as it is printed, what its cases count)"""
    dice = random.Random(f"{seed} {number}")
    corpus = Corpus(dice, f"cases-{number}")
    source = Requests(dice, corpus)
    cases, counts = [], Counter()
    for _ in range(requests):
        route, request = source.one()
        status, answer, given, found = answer_to(corpus.index, route, request)
        cases.append({"route": route, "request": request, "status": status, "answer": answer})
        counts["cases"] += 1
        counts[f"with route {route}"] += 1
        counts["refused"] += status != 200
        if found is not None:
            counts.update(f"decided by {rule}" for rule in deciding(corpus.index, given, found))
            counts.update(f"with {kind}" for kind, is_so in kinds_of(corpus.index, given, found, answer) if is_so)
            counts.update(f"with {way}" for way in (ways_to_match(found) if found.query.terms else ()))
    line = {"uid": corpus.index.uid, "settings": corpus.settings, "documents": corpus.documents, "cases": cases}
    return json.dumps(line), counts


def show(counts):
    """Prints the counts; whether enough was decided."""
    cases = counts["cases"]
    for name in [f"decided by {rule}" for rule in DECIDING] + sorted(n for n in counts if n.startswith("with ")) + ["refused"]:
        print(f"{name}: {counts[name]} of {cases}")
    if cases < CHECKED_FROM:
        return True
    few = [rule for rule in DECIDING if counts[f"decided by {rule}"] < DECIDED_MIN * cases]
    few += ["two or more hits"] * (counts["with two or more hits"] < SEVERAL_HITS_MIN * cases)
    print(f"too few cases: {', '.join(few)}" if few else "enough of each")
    return not few


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first corpus")
    parser.add_argument("--requests", type=int, default=50, help="how many a corpus has")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes make corpora")
    parser.add_argument("--lines", action="store_true")
    options = parser.parse_args()
    counts = Counter()
    numbers = range(options.first, options.first - (-options.cases // options.requests))
    with Pool(options.jobs) as pool:
        for line, counted in pool.imap(partial(make_corpus, options.seed, options.requests), numbers):
            counts += counted
            if options.lines:
                print(line, flush=True)
    if options.lines:
        print(json.dumps({"counts": counts}, sort_keys=True))
        return 0
    return 0 if show(counts) else 1


if __name__ == "__main__":
    sys.exit(main())
