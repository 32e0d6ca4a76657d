#!/usr/bin/env python3
"""Facets, facet search, filters, sort values and places of three replicas beside the oracle.

    tests/oracle/facets_cases.py --program build/dev/bin/oracle_facets [--cases N] [--seed S]

Documents have values of every type in nested fields; they are fed in batches of a size of their own, stored in between
or not, sent again; attributes whose values are kept are told at some time, or not.
"""
import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oracle.facets import facets_answer, folded, order_by, search_in_facet  # noqa: E402
from oracle.filter_syntax import parse_filter  # noqa: E402
from oracle.filters import holds  # noqa: E402
from oracle.geo import distance_metres, point_of  # noqa: E402
from oracle.index import Index  # noqa: E402
from oracle.ranking import FieldSort  # noqa: E402

ASKED_A_CORPUS = 60
SHARDS = 3
FIELDS = ["color", "size", "size.cm", "size.inch", "tags", "tag.deep.name", "weight", "É"]
LONG = "abcdefghijklmnopqrstuvwxyz0123456789" * 5
STRINGS = ["red", "Red", "RED", " red ", "blue", "Blue", "bleu", "blew", "green", "greenish", "Grün", "grün", "gru\u0308n", "café",
           "cafe", "Cafe\u0301", "CAFÉ", "ｆｕｌｌ", "full", "5", "5.0", "-1.5", "12", "true", "False", "", "日本", "ｶﾅ", "ΣΊΣΥΦΟΣ",
           "straße", "STRASSE", "İstanbul", "a\u0000b", "new york", "New-York", "l'été", LONG + "É", LONG + "é", LONG + "x",
           (LONG * 2)[:300] + "A", (LONG * 2)[:300] + "a", (LONG * 2)[:300] + "b", (LONG * 3) + "1", (LONG * 3) + "2", "x" * 235, "X" * 235,
           "x" * 236, "X" * 236, "ÿ", "ŒUVRE", "œuvre", "ﬁn", "fin"]
NUMBERS = [0, 5, 5.0, -0.0, -1.5, 12, 1e300, 0.1, 1e-7, 123456.789, 1e16, 9007199254740992, 0.30000000000000004, -3, 70, 2.5e-5]
# Blanks are left out: a filter compares them as an empty text, the oracle as none. So are longer literals: a filter never cuts
# these.
ORDERS = ["alpha", "count"]


def scalar_of(dice):
    """Anything that is neither object nor array."""
    kind = dice.random()
    if kind < 0.6:
        return dice.choice(STRINGS)
    if kind < 0.9:
        return dice.choice(NUMBERS)
    return dice.choice((True, False, None))


def value_of(dice, depth=2):
    """A scalar, mostly; or an array, also of arrays and objects; or an object."""
    kind = dice.random()
    if depth == 0 or kind < 0.6:
        return scalar_of(dice)
    if kind < 0.9:
        return [value_of(dice, depth - 1) for _ in range(dice.randint(0, 4))]
    return {dice.choice(("cm", "inch", "deep", "name")): value_of(dice, depth - 1) for _ in range(dice.randint(0, 2))}


def place_of(dice):
    """A latitude and a longitude, as numbers or strings."""
    lat, lng = round(dice.uniform(-90, 90), dice.choice((0, 4))), round(dice.uniform(-180, 180), dice.choice((0, 4)))
    if dice.random() < 0.3:
        return {"lat": str(lat), "lng": str(lng)}
    return {"lat": lat, "lng": lng}


def path_of(dice, longest):
    """Some longitudes and latitudes of a grid, so that they come to lie on each other; exact as doubles."""
    return [[dice.randrange(-8, 9) * 22.5, dice.randrange(-8, 9) * 11.25] for _ in range(dice.randint(1, longest))]


def shape_of(dice, depth=2):
    """GeoJSON, most of it well formed."""
    kind = dice.random()
    if depth > 0 and kind < 0.2:
        parts = [shape_of(dice, depth - 1) for _ in range(dice.randint(0, 3))]
        return dice.choice(({"type": "GeometryCollection", "geometries": parts}, {"type": "FeatureCollection", "features": parts},
                            {"type": "Feature", "geometry": parts[0] if parts else None, "properties": {"type": "Point"}}))
    if kind > 0.95:
        return dice.choice((None, {}, [1, 2], {"type": "Point", "coordinates": ["1", 2]}, {"type": "Line", "coordinates": [[0, 0]]},
                            {"type": "Polygon", "coordinates": path_of(dice, 3)}, {"type": "MultiPoint", "coordinates": 7}))
    name, read = dice.choice((("Point", lambda: path_of(dice, 1)[0]), ("LineString", lambda: path_of(dice, 4)),
                              ("Polygon", lambda: [path_of(dice, 6) for _ in range(dice.randint(0, 2))])))
    if dice.random() < 0.4:
        return {"type": "Multi" + name, "coordinates": [read() for _ in range(dice.randint(0, 3))]}
    return {"type": name, "coordinates": read()}


def document_of(dice, number):
    """Some of the fields, written through objects or with points."""
    document = {"id": f"d{number}"}
    for field in FIELDS:
        if dice.random() < 0.4:
            continue
        target, names = document, field.split(".")
        if dice.random() < 0.2:
            names = [field]
        for name in names[:-1]:
            target = target.setdefault(name, {})
            if not isinstance(target, dict):
                break
        if isinstance(target, dict):
            target[names[-1]] = value_of(dice)
    if dice.random() < 0.7:
        document["_geo"] = dice.choice((place_of(dice), place_of(dice), place_of(dice), None))
    if dice.random() < 0.5:
        document["_geojson"] = shape_of(dice)
    return document


def settings_of(dice):
    """What may be listed, and how."""
    filterable = dice.sample(["color", "size", "tags", "tag", "tag.deep", "weight", "É"], dice.randint(1, 6))
    if dice.random() < 0.3:
        filterable.append({"attributePatterns": [dice.choice(("*", "size*", "*name", "*e*", "weight"))],
                           "features": {"facetSearch": True}})
    orders = {"*": dice.choice(ORDERS)}
    if dice.random() < 0.5:
        orders[dice.choice(FIELDS)] = dice.choice(ORDERS)
    return {"filterableAttributes": filterable,
            "faceting": {"maxValuesPerFacet": dice.choice((1, 3, 100)), "sortFacetValuesBy": orders}}


def literal_of(dice):
    """A value as filters have it."""
    if dice.random() < 0.4:
        return str(dice.choice([n for n in NUMBERS if abs(n) < 1e15]))
    return json.dumps(dice.choice([text for text in STRINGS if "\u0000" not in text and len(text) < 468]), ensure_ascii=False)


def condition_of(dice):
    """One condition."""
    field, kind = f"'{dice.choice(FIELDS)}'", dice.random()
    if kind < 0.5:
        return f"{field} {dice.choice(('=', '!=', '>', '>=', '<', '<='))} {literal_of(dice)}"
    if kind < 0.6:
        return f"{field} {literal_of(dice)} TO {literal_of(dice)}"
    if kind < 0.7:
        return f"{field} {dice.choice(('IN', 'NOT IN'))} [{', '.join(literal_of(dice) for _ in range(dice.randint(0, 4)))}]"
    if kind < 0.8:
        return f"{field} {dice.choice(('EXISTS', 'NOT EXISTS', 'IS NULL', 'IS NOT NULL', 'IS EMPTY', 'IS NOT EMPTY'))}"
    if kind < 0.85:
        return f"{field} {dice.choice(('STARTS WITH', 'NOT STARTS WITH'))} {literal_of(dice)}"
    point = f"{round(dice.uniform(-90, 90), 3)}, {round(dice.uniform(-180, 180), 3)}"
    if kind < 0.88:
        return f"_geoRadius({point}, {dice.choice((1e5, 3e6, 8e6, 15e6, 2.1e7))}{dice.choice(('', ', 100'))})"
    if kind < 0.91:
        bottom = round(dice.uniform(-90, 60), 3)
        left = round(dice.uniform(-180, 180), 3)
        return f"_geoBoundingBox([{bottom + 30}, {round(dice.uniform(-180, 180), 3)}], [{bottom}, {left}])"
    corners = ", ".join(f"[{lat}, {lng}]" for lng, lat in path_of(dice, 5))
    return f"_geoPolygon({corners})"


def filter_of(dice, depth=2):
    """A tree of conditions."""
    kind = dice.random()
    if depth == 0 or kind < 0.5:
        return condition_of(dice)
    if kind < 0.6:
        return f"NOT ({filter_of(dice, depth - 1)})"
    return f"({filter_of(dice, depth - 1)} {dice.choice(('AND', 'OR'))} {filter_of(dice, depth - 1)})"


class Corpus:
    """One index in the oracle and in three replicas."""

    def __init__(self, dice, program, directory):
        self.dice = dice
        self.settings = settings_of(dice)
        self.process = subprocess.Popen([program, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask({"settings": self.settings})
        documents = []
        for _ in range(dice.randint(2, 12)):
            if dice.random() < 0.3:
                self.ask({"attributes": dice.sample([*FIELDS, "_geo", "_geojson"], dice.randint(0, 10))})
            numbers = [dice.randrange(60) for _ in range(dice.randint(1, 12))]
            part = [document_of(dice, number) for number in numbers]
            for shard in range(SHARDS):
                mine = [document for document, number in zip(part, numbers) if number % SHARDS == shard]
                self.ask({"documents": mine, "shard": shard, "batch": dice.randint(1, 20), "store": dice.random() < 0.4})
            documents += part
        self.index = Index("i", self.settings, "id", documents)

    def ask(self, line):
        """An answer of the program."""
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the program ended at {line}"
        return json.loads(answer)

    def end(self):
        """Lets the program end."""
        self.process.stdin.close()
        assert self.process.wait() == 0

    def compare(self, counts):
        """The difference of one question, or None."""
        expression = filter_of(self.dice) if self.dice.random() < 0.8 else None
        found = [d for d in self.index.documents if expression is None or holds(parse_filter(expression), d)]
        question = {"filter": expression} if expression is not None else {}
        counts["documents found"] += len(found)
        counts["filters on shapes that tell documents apart"] += \
            "_geoPolygon" in (expression or "") and 0 < len(found) < len(self.index.documents)
        kind = self.dice.choice((self.ids, self.facets, self.facets, self.search, self.search, self.sort, self.points))
        line, want, got = kind(question, found, counts)
        counts[f"questions: {line['ask']}"] += 1
        return None if want == got else f"{line}\n  {self.settings}\n  want {want}\n  got  {got}"

    def ids(self, question, found, counts):
        """Which documents a filter matches."""
        line = {"ask": "ids", **question}
        counts["filters that tell documents apart"] += 0 < len(found) < len(self.index.documents)
        return line, sorted(d.source["id"] for d in found), sorted(self.ask(line))

    def facets(self, question, found, counts):
        """A distribution as the gateway would show it, which folds a number into the string that is written alike."""
        patterns = self.dice.sample(["*", *FIELDS, "tag", "tag.*", "*e", "nowhere"], self.dice.randint(1, 3))
        line = {"ask": "facets", "patterns": patterns, **question}
        expected = facets_answer(self.index, found, patterns)
        got = {"facetDistribution": {}, "facetStats": {}}
        limit = self.index.settings["faceting"]["maxValuesPerFacet"]
        for path, facet in self.ask(line).items():
            shown = got["facetDistribution"][path] = {}
            for row in facet["values"][:limit]:
                shown[row["value"]] = shown.get(row["value"], 0) + row["count"]
            if "min" in facet:
                got["facetStats"][path] = {"min": facet["min"], "max": facet["max"]}
            counts["facets by " + order_by(self.index.settings, path)] += 1
            counts["facets that are cut"] += len(facet["values"]) > limit
            counts["values"] += len(shown)
            counts["values that are spelled otherwise"] += sum(row["key"] != row["value"] for row in facet["values"])
        known = [path for path in expected["facetDistribution"] if path in got["facetDistribution"] or self.has_text(path)]
        expected["facetDistribution"] = {path: expected["facetDistribution"][path] for path in known}
        ordered = {path: list(values.items()) for path, values in expected["facetDistribution"].items()}
        seen = {path: list(values.items()) for path, values in got["facetDistribution"].items()}
        return line, (ordered, expected["facetStats"]), (seen, got["facetStats"])

    def has_text(self, path):
        """Whether any document has a scalar there or below: no other path is known unless settings name it."""
        if any(path == name for name in self.settings["filterableAttributes"] if isinstance(name, str)):
            return True
        nested = {name for d in self.index.documents for name in leaf_paths(d.source)}
        return any(name == path or name.startswith(path + ".") for name in nested)

    def search(self, question, found, counts):
        """Values that begin like a query."""
        path = self.dice.choice(FIELDS)
        line = {"ask": "search", "path": path, **question}
        query = None
        if self.dice.random() < 0.9:
            query = self.dice.choice(STRINGS).strip()
            query = query[:self.dice.randint(0, len(query))]
            if 0 < len(query) < 200 and self.dice.random() < 0.4:  # a longer one must be right
                at = self.dice.randrange(len(query))
                query = query[:at] + self.dice.choice(("", "e", "x", query[at] * 2)) + query[at + 1:]
            line["query"] = query
        faceting = self.index.settings["faceting"]
        limit = faceting["maxValuesPerFacet"]
        faceting["maxValuesPerFacet"] = 1 << 30
        want = search_in_facet(self.index, found, path, query)
        faceting["maxValuesPerFacet"] = limit
        answer = self.ask(line)
        by_count = order_by(self.index.settings, path) == "count"
        got = [{"value": row["value"], "count": row["count"]} for row in answer]
        counts["facet searches with two or more"] += len(want) > 1
        counts["facet hits"] += len(want)
        keys = [(by_count and row["count"], row["value"] if query is None else folded(row["value"])) for row in want]
        if len(set(keys)) < len(keys):  # the oracle leaves these as they come
            counts["facet searches with equal keys"] += 1
            want.sort(key=str)
            got.sort(key=str)
        if not by_count:
            shown = min(limit, len(want))
            want = [row for row in want if row in got] if len(set(keys)) < len(keys) else want[:shown]
            return line, (shown, want), (len(got), got)
        return line, want, got

    def sort(self, question, found, counts):
        """By which value each document is sorted."""
        path, falling = self.dice.choice(FIELDS), self.dice.random() < 0.5
        line = {"ask": "sort", "path": path, "falling": falling, **question}
        want = {d.source["id"]: FieldSort(path, falling).key_and_details(d.source)[1]["value"] for d in found}
        counts["sort values"] += sum(value is not None for value in want.values())
        return line, want, self.ask(line)

    def points(self, question, found, counts):
        """Where documents are, and how far away."""
        point = (round(self.dice.uniform(-90, 90), 3), round(self.dice.uniform(-180, 180), 3))
        line = {"ask": "points", "lat": point[0], "lng": point[1], **question}
        places = {d.source["id"]: point_of(d.source) for d in found}
        want = {name: place and [*place, round(distance_metres(place, point))] for name, place in places.items()}
        counts["places"] += sum(place is not None for place in places.values())
        return line, want, self.ask(line)


def leaf_paths(value, path=""):
    """Paths of what is neither null nor holds anything."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaf_paths(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from leaf_paths(inner, path)
    elif value is not None:
        yield path


def main():
    """Runs the cases."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    counts, troubles = Counter(), []
    seed, asked = arguments.seed, 0
    while asked < arguments.cases and len(troubles) < 5:
        with tempfile.TemporaryDirectory() as directory:
            corpus = Corpus(random.Random(seed), arguments.program, f"{directory}/replicas")
            for _ in range(ASKED_A_CORPUS):
                asked += 1
                trouble = corpus.compare(counts)
                if trouble:
                    troubles.append(f"seed {seed}: {trouble}")
                    break
            corpus.end()
        seed += 1
    for name, count in sorted(counts.items()):
        print(f"{name}: {count}")
    print("\n".join(troubles))
    print(f"{asked - len(troubles)} questions agree, {len(troubles)} differ")
    sys.exit(bool(troubles))


if __name__ == "__main__":
    main()
