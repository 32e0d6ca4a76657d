#!/usr/bin/env python3
"""Compares settings with the oracle, over changes, wrong ones among them, paths and patterns drawn from a seed.

    tests/oracle/settings_cases.py --program build/dev/bin/oracle_settings [--cases 10000] [--seed 1]

A case is one to three changes of the default settings, of the whole or of one setting. What becomes of them is said
here once more, by tables; what settings mean for a path is asked of the oracle. Prints how many cases there were and
what they decided; the exit code is 1 if the program says otherwise anywhere.
"""
import argparse
import copy
import json
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oracle.documents import searchable_weight  # noqa: E402
from oracle.errors import ApiError  # noqa: E402
from oracle.facets import order_by  # noqa: E402
from oracle.parameters import KINDS, check_value, shown, unknown  # noqa: E402
from oracle.settings import DEFAULTS, complete, covers, filterable_features, is_sortable, matches_pattern  # noqa: E402

DIFFERENCES_SHOWN = 5
ORDER = [
    "displayedAttributes", "searchableAttributes", "filterableAttributes", "sortableAttributes", "foreignKeys",
    "rankingRules", "stopWords", "nonSeparatorTokens", "separatorTokens", "dictionary", "synonyms", "distinctAttribute",
    "proximityPrecision", "typoTolerance", "faceting", "pagination", "embedders", "searchCutoffMs",
    "localizedAttributes", "facetSearch", "prefixSearch", "chat",
]
HIDDEN = ("foreignKeys", "chat")
START = {**{name: None for name in ORDER if name not in HIDDEN}, **DEFAULTS, "embedders": {}}
CUT_ANEW = ("stopWords", "nonSeparatorTokens", "separatorTokens", "dictionary", "localizedAttributes")
RULES = ("words", "typo", "proximity", "attribute", "attributeRank", "wordPosition", "sort", "exactness")
LOCALES = {"en": "eng", "eng": "eng", "zh": "zho", "cmn": "cmn", "fa": "pes", "cy": "cym"}
NAMES = ["a", "a.b", "a.b.c", "ab", "b", "b.a", "c", "*", "a*", "*a", "*a*", "a.*", "*.a", "*.a.b", "**", "", ".", "_geo", "_geo.lat",
         "é", "é.x", "x\"y", "a..b", "a*b", "*é"]
PATHS = [name for name in NAMES if "*" not in name] + ["aa", "ba", "cab", "x.a", "x.a.b", "x.a.b.c", "ca.b", "a.bc", "ab.c", "b.a.b", "xé"]
WORDS = ["the", "à", "THE", "a b", "", "&&", "|", "é", "z\n", "C++", "12"]
JUNK = [None, True, False, 0, 1, 7, 255, 256, 2**64 - 1, -1, -(2**63), 1.5, -0.25, "", "doggo", "alpha", "words", [], ["a"], [1], {},
        {"a": 1}, [[]], [None]]
NUMBERS = {"maxValuesPerFacet": "count", "maxTotalHits": "positive", "oneTypo": "size", "twoTypos": "size"}


def route_of(name):
    """The path of a setting is its name with hyphens."""
    return re.sub(r"([A-Z])", r"-\1", name).lower()


def code_of(name):
    """The code of a refusal is its name with underscores."""
    if name in HIDDEN:
        return "feature_not_enabled"
    return "invalid_settings_" + route_of(name).replace("-", "_")


class Reader:
    """Reads one setting as sent. `place` is where it stands, empty for what was sent as a whole."""

    def __init__(self, code):
        self.code = code

    def wrong(self, place, text):
        return ApiError(self.code, f"Invalid value at `{place}`: {text}".replace(" at ``", ""))

    def is_kind(self, kind, value, place):
        """Refuses another type."""
        try:
            check_value("", kind, value, place, self.code)
        except ApiError:
            text = f"Invalid value type at `{place}`: expected {KINDS[kind]}, but found {shown(value)}"
            raise ApiError(self.code, text.replace(" at ``", "")) from None
        return value

    def texts(self, value, place):
        self.is_kind("array", value, place)
        return [self.is_kind("string", item, f"{place}[{at}]") for at, item in enumerate(value)]

    def fields(self, value, place, now):
        found = list(dict.fromkeys(self.texts(value, place)))
        return ["*"] if "*" in found else found

    def set(self, value, place, now):
        return sorted(set(self.texts(value, place)), key=str.encode)

    def text(self, value, place, now):
        return self.is_kind("string", value, place)

    def flag(self, value, place, now):
        return self.is_kind("boolean", value, place)

    def count(self, value, place, now):
        return self.is_kind("count", value, place)

    def positive(self, value, place, now):
        if value == 0 and isinstance(value, int) and not isinstance(value, bool):
            raise self.wrong(place, f"a non-zero integer value lower than `{2**64 - 1}` was expected, but found a zero")
        return self.is_kind("count", value, place)

    def size(self, value, place, now):
        if self.is_kind("count", value, place) > 255:
            raise self.wrong(place, f"value: `{value}` is too large to be deserialized, maximum value authorized is `255`")
        return value

    def choice(self, value, place, names):
        if self.is_kind("string", value, place) not in names:
            raise unknown("value", value, names, f" at `{place}`" if place else "", self.code)
        return value

    def members(self, value, place, table, now=None, fresh=None):
        """An object of some of the members; null is a value, or resets one to what is fresh."""
        made = copy.deepcopy(now or {})
        for key, item in self.is_kind("object", value, place).items():
            if key not in table:
                raise unknown("field", key, list(table), f" inside `{place}`" if place else "", self.code)
            if item is None and fresh is not None:
                made[key] = copy.deepcopy(fresh[key])
            else:
                made[key] = table[key](item, f"{place}.{key}", made.get(key))
        return made

    def sizes(self, value, place, now):
        fresh = DEFAULTS["typoTolerance"]["minWordSizeForTypos"]
        made = self.members(value, place, {"oneTypo": self.size, "twoTypos": self.size}, now, fresh)
        if None not in (value.get("oneTypo"), value.get("twoTypos")) and made["oneTypo"] > made["twoTypos"]:
            raise self.wrong(place, sizes_text(made))
        return made

    def typos(self, value, place, now):
        table = {"enabled": self.flag, "minWordSizeForTypos": self.sizes, "disableOnWords": self.set,
                 "disableOnAttributes": self.set, "disableOnNumbers": self.flag}
        return self.members(value, place, table, now, DEFAULTS["typoTolerance"])

    def orders(self, value, place, now):
        made = {key: self.choice(item, f"{place}.{key}", ["alpha", "count"])
                for key, item in self.is_kind("object", value, place).items()}
        return dict(sorted({"*": "alpha", **made}.items(), key=lambda pair: pair[0].encode()))

    def faceting(self, value, place, now):
        return self.members(value, place, {"maxValuesPerFacet": self.count, "sortFacetValuesBy": self.orders}, now,
                            DEFAULTS["faceting"])

    def pagination(self, value, place, now):
        return self.members(value, place, {"maxTotalHits": self.positive}, now, DEFAULTS["pagination"])

    def filterable(self, value, place, now):
        return [self.filterable_one(item, f"{place}[{at}]") for at, item in enumerate(self.is_kind("array", value, place))]

    def filterable_one(self, value, place):
        """A name, or patterns with features."""
        if not isinstance(value, dict):
            return self.is_kind("string", value, place)
        operators = {"equality": self.flag, "comparison": self.flag}
        features = {"facetSearch": self.flag, "filter": lambda item, where, _: self.members(item, where, operators)}
        made = self.members(value, place, {"attributePatterns": lambda item, where, _: self.texts(item, where),
                                           "features": lambda item, where, _: self.members(item, where, features)})
        if "attributePatterns" not in made:
            raise ApiError(self.code, f"Missing field `attributePatterns` inside `{place}`")
        given = made.get("features", {})
        allowed = {"equality": True, "comparison": False, **given.get("filter", {})}
        return {"attributePatterns": made["attributePatterns"],
                "features": {"facetSearch": given.get("facetSearch", False), "filter": allowed}}

    def rules(self, value, place, now):
        return [self.rule(item, f"{place}[{at}]") for at, item in enumerate(self.is_kind("array", value, place))]

    def rule(self, value, place):
        """A rule, or a field with a direction."""
        name, _, direction = self.is_kind("string", value, place).rpartition(":")
        if value in RULES:
            return value
        if direction not in ("asc", "desc"):
            raise self.wrong(place, f"`{value}` ranking rule is invalid. Valid ranking rules are words, typo, sort, proximity, "
                                    "attribute, exactness and custom ranking rules.")
        geo = re.match(r"(_geoPoint|_geoRadius|_geoBoundingBox|_geoDistance|_geo)(\(.*)?$", name)
        if geo and (not geo[2] or geo[1] in ("_geoRadius", "_geoBoundingBox") or geo[1] == "_geoPoint" and name.endswith(")")):
            use = {"_geoPoint": "sorting", "_geoRadius": "filtering", "_geoBoundingBox": "filtering"}.get(geo[1])
            hint = f". `{geo[1]}` can only be used for {use} at search time" if use else ""
            raise self.wrong(place, f"`{geo[1]}` is a reserved keyword and thus can't be used as a ranking rule{hint}")
        return value

    def synonyms(self, value, place, now):
        made = {key: self.texts(item, f"{place}.{key}") for key, item in self.is_kind("object", value, place).items()}
        return dict(sorted(made.items(), key=lambda pair: pair[0].encode()))

    def localized(self, value, place, now):
        return [self.localized_one(item, f"{place}[{at}]") for at, item in enumerate(self.is_kind("array", value, place))]

    def localized_one(self, value, place):
        made = self.members(value, place, {"attributePatterns": lambda item, where, _: self.texts(item, where),
                                           "locales": self.locales})
        for name in ("attributePatterns", "locales"):
            if name not in made:
                raise ApiError(self.code, f"Missing field `{name}` inside `{place}`")
        return {"attributePatterns": made["attributePatterns"], "locales": made["locales"]}

    def locales(self, value, place, now):
        """Of an unknown one not all that are known are listed."""
        made = []
        for at, item in enumerate(self.is_kind("array", value, place)):
            if self.is_kind("string", item, f"{place}[{at}]") not in LOCALES:
                raise ApiError(self.code, f"Unknown value `{item}` at `{place}[{at}]`: …")
            made.append(LOCALES[item])
        return made

    def embedders(self, value, place, now):
        for key, item in self.is_kind("object", value, place).items():
            if item is not None:
                raise self.wrong(f"{place}.{key}", "Millrace has no embedders")
        return {}

    def absent(self, value, place, now):
        raise self.wrong(place, "Millrace does not have this setting")

    def read(self, name, value, place, now):
        """The new value of a setting."""
        if name in HIDDEN and value is None:
            return None
        if value is None:
            return copy.deepcopy(START[name])
        table = {
            "displayedAttributes": self.fields, "searchableAttributes": self.fields, "filterableAttributes": self.filterable,
            "rankingRules": self.rules, "synonyms": self.synonyms, "distinctAttribute": self.text, "typoTolerance": self.typos,
            "faceting": self.faceting, "pagination": self.pagination, "embedders": self.embedders, "searchCutoffMs": self.count,
            "localizedAttributes": self.localized, "facetSearch": self.flag, "foreignKeys": self.absent, "chat": self.absent,
            "proximityPrecision": lambda item, where, _: self.choice(item, where, ["byWord", "byAttribute"]),
            "prefixSearch": lambda item, where, _: self.choice(item, where, ["indexingTime", "disabled"]),
        }
        return table.get(name, self.set)(value, place, now)


def sizes_text(sizes):
    return ("`minWordSizeForTypos` setting is invalid. `oneTypo` and `twoTypos` fields should be between `0` and `255`, and "
            f"`twoTypos` should be greater or equals to `oneTypo` but found `oneTypo: {sizes['oneTypo']}` and twoTypos: "
            f"{sizes['twoTypos']}`.")


def changed(now, change):
    """The settings after a change; ApiError: it is refused."""
    made = copy.deepcopy(now)
    if "path" in change:
        name = next(name for name in ORDER if route_of(name) == change["path"])
        made[name] = Reader(code_of(name)).read(name, change.get("body"), "", made.get(name))
    elif "body" not in change:
        made = copy.deepcopy(START)
    else:
        for name, value in Reader("bad_request").is_kind("object", change["body"], "").items():
            if name not in ORDER:
                raise unknown("field", name, ORDER)
            made[name] = Reader(code_of(name)).read(name, value, f".{name}", made.get(name))
    sizes = made["typoTolerance"]["minWordSizeForTypos"]
    if sizes["oneTypo"] > sizes["twoTypos"]:
        raise ApiError("invalid_settings_typo_tolerance", sizes_text(sizes))
    if "attribute" in made["rankingRules"] and {"attributeRank", "wordPosition"} & set(made["rankingRules"]):
        raise ApiError("invalid_settings_ranking_rules",
                       "Mixed usage of the attribute, attributeRank, and wordPosition ranking rules. You must either use the "
                       "attribute ranking rule alone or the attributeRank and wordPosition ranking rules.")
    return {name: made[name] for name in ORDER if name not in HIDDEN}


def normal(settings):
    """The oracle's settings as they are shown."""
    reader = Reader("")
    made = {**START, **settings}
    for name in ("displayedAttributes", "searchableAttributes"):
        made[name] = reader.fields(made[name], "", None)
    for name in ("sortableAttributes", "stopWords", "nonSeparatorTokens", "separatorTokens", "dictionary"):
        made[name] = reader.set(made[name], "", None)
    for name in ("disableOnWords", "disableOnAttributes"):
        made["typoTolerance"][name] = reader.set(made["typoTolerance"][name], "", None)
    made["filterableAttributes"] = reader.filterable(made["filterableAttributes"], "", None)
    made["localizedAttributes"] = made["localizedAttributes"] and reader.localized(made["localizedAttributes"], "", None)
    return made


def attributes_of(settings):
    """The paths whose values are wanted."""
    names = [settings["distinctAttribute"]] + [rule.rpartition(":")[0] for rule in settings["rankingRules"]]
    names += settings["sortableAttributes"]
    for item in settings["filterableAttributes"]:
        names += [item] if isinstance(item, str) else item["attributePatterns"]
    return list(dict.fromkeys(name for name in names if name and "*" not in name))


class Dice(random.Random):
    """What is drawn."""

    def some(self, items, most=4):
        return [self.choice(items) for _ in range(self.randrange(most + 1))]

    def flag(self):
        return self.random() < 0.5

    def part(self, members):
        """An object of some of the members."""
        return {name: draw() for name, draw in members.items() if self.random() < 0.6}

    def filterable(self):
        if self.random() < 0.6:
            return self.choice(NAMES)
        operators = {"equality": self.flag, "comparison": self.flag}
        features = {"facetSearch": self.flag, "filter": lambda: self.part(operators)}
        return {"attributePatterns": self.some(NAMES), **self.part({"features": lambda: self.part(features)})}

    def rule(self):
        fields = ["a", "b.c", "", "x:y", "_geo", "_geoPoint", "_geoPoint(1,2)", "_geoRadius(1", "_geoDistance", "_geoBox", "_geoPoint(1"]
        if self.random() < 0.8:
            return self.choice([rule for rule in RULES if rule != "attribute" or self.random() < 0.3])
        return self.choice(fields[:4] if self.random() < 0.7 else fields) + self.choice([":asc", ":desc", ":asc", ":up", ""])

    def value(self, name):
        """A value that a setting may have, or nearly."""
        draws = {
            "filterableAttributes": lambda: [self.filterable() for _ in range(self.randrange(4))],
            "rankingRules": lambda: [self.rule() for _ in range(self.randrange(6))],
            "synonyms": lambda: {word: self.some(WORDS) for word in self.some(WORDS)},
            "distinctAttribute": lambda: self.choice(NAMES),
            "proximityPrecision": lambda: self.choice(["byWord", "byAttribute"]),
            "typoTolerance": lambda: self.part({
                "enabled": self.flag, "disableOnWords": lambda: self.some(WORDS), "disableOnAttributes": lambda: self.some(NAMES),
                "disableOnNumbers": self.flag,
                "minWordSizeForTypos": lambda: self.part({"oneTypo": lambda: self.randrange(8), "twoTypos": lambda: self.randrange(4, 256)}),
            }),
            "faceting": lambda: self.part({
                "maxValuesPerFacet": lambda: self.randrange(300),
                "sortFacetValuesBy": lambda: {name: self.choice(["alpha", "count"]) for name in self.some(NAMES)},
            }),
            "pagination": lambda: self.part({"maxTotalHits": lambda: self.randrange(1, 5000)}),
            "embedders": dict,
            "searchCutoffMs": lambda: self.randrange(2000),
            "localizedAttributes": lambda: [{"attributePatterns": self.some(NAMES), "locales": self.some(list(LOCALES))}
                                            for _ in range(self.randrange(3))],
            "facetSearch": self.flag,
            "prefixSearch": lambda: self.choice(["indexingTime", "disabled"]),
            "foreignKeys": lambda: None, "chat": lambda: None,
        }
        pool = NAMES if name.endswith("Attributes") else WORDS
        return draws.get(name, lambda: self.some(pool))()

    def spoiled(self, value):
        """The value with one thing in it that may not be there."""
        if isinstance(value, dict) and value and self.random() < 0.8:
            key = self.choice(list(value))
            if self.random() < 0.2:
                value = dict(value)
                value[self.choice([key[:-1], key + "x", key.lower(), "nothing", "enable", "ab"])] = value.pop(key)
                return value
            return {**value, key: self.spoiled(value[key])}
        if isinstance(value, list) and value and self.random() < 0.8:
            at = self.randrange(len(value))
            return value[:at] + [self.spoiled(value[at])] + value[at + 1:]
        return self.choice(JUNK)

    def change(self):
        """Of the whole or of one setting; a reset now and then."""
        name = self.choice(ORDER)
        if self.random() < 0.5:
            change = {"body": {name: self.value(name) for name in self.sample(ORDER, self.choice([0, 1, 2, 4, 9]))}}
        else:
            change = {"path": route_of(name), "body": self.value(name)}
        if self.random() < 0.35:
            change["body"] = self.spoiled(change["body"])
        if self.random() < 0.03:
            del change["body"]
        return change

    def case(self):
        return {"changes": [self.change() for _ in range(self.choice([1, 1, 2, 3]))], "paths": self.sample(PATHS, 8),
                "patterns": self.sample(NAMES, 6)}


def features_of(settings, path):
    found = filterable_features(settings, path)
    return found and [found["facetSearch"], found["filter"]["equality"], found["filter"]["comparison"]]


def wanted(case, counts):
    """What the program should say."""
    settings, outcomes = START, []
    values = words = False
    attributes = []
    for change in case["changes"]:
        before = settings
        try:
            settings = changed(before, change)
        except ApiError as error:
            outcomes.append([error.code, error.message])
            counts["refused: " + error.message.split(":")[0].split(" at ")[0].split(" inside ")[0].split(" `")[0][:40]] += 1
            continue
        outcomes.append(None)
        attributes = attributes_of(settings)
        values = attributes != attributes_of(before)
        words = any(settings[name] != before[name] for name in CUT_ANEW)
        counts.update({"changed": settings != before, "values": values, "words": words})
    paths, patterns = case["paths"], case["patterns"]
    return {
        "outcomes": outcomes, "settings": settings, "values": values, "words": words, "attributes": attributes,
        "features": [features_of(settings, path) for path in paths],
        "sortable": [is_sortable(settings, path) for path in paths],
        "weights": [searchable_weight(settings, path) for path in paths],
        "counts": [order_by(settings, path) == "count" for path in paths],
        "matches": [[matches_pattern(pattern, path) for path in paths] for pattern in patterns],
        "covers": [[covers(pattern, path) for path in paths] for pattern in patterns],
    }


def check_oracle(case, expected):
    """One whole change that is accepted and resets nothing: the oracle completes settings to the same."""
    change = case["changes"][0]
    if len(case["changes"]) > 1 or "path" in change or expected["outcomes"] != [None] or "null" in json.dumps(change):
        return 0
    if "body" not in change:
        return 0
    given = {name: value for name, value in change["body"].items() if name not in HIDDEN}
    if normal(complete(given)) != expected["settings"]:
        raise SystemExit(f"the oracle completes otherwise: {json.dumps(change)}")
    return 1


def compare(case, line, counts):
    """The names of what differs."""
    expected, got = wanted(case, counts), json.loads(re.sub(r": expected one of `af`[^\"]*", ": …", line))
    counts["completed by the oracle"] += check_oracle(case, expected)
    counts.update({"filterable": sum(x is not None for x in expected["features"]), "sortable": sum(expected["sortable"]),
                   "searched": sum(x is not None for x in expected["weights"]), "not searched": expected["weights"].count(None),
                   "by count": sum(expected["counts"]), "matches": sum(map(sum, expected["matches"])),
                   "covers": sum(map(sum, expected["covers"]))})
    wrong = [f"{name}: expected {expected[name]}, got {got.get(name)}" for name in expected if expected[name] != got.get(name)]
    if json.dumps(got["settings"]) != json.dumps(expected["settings"]) and not wrong:
        wrong = ["the order of members"]
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--cases", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    dice, counts = Dice(options.seed), Counter()
    cases = [dice.case() for _ in range(options.cases)]
    text = "".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases)
    answer = subprocess.run([options.program], input=text, capture_output=True, text=True, check=True)
    differing = 0
    for case, line in zip(cases, answer.stdout.splitlines(), strict=True):
        wrong = compare(case, line, counts)
        differing += bool(wrong)
        if wrong and differing <= DIFFERENCES_SHOWN:
            print(json.dumps(case["changes"], ensure_ascii=False)[:1500], *(f"  {each[:1500]}" for each in wrong), sep="\n")
    print(f"{len(cases)} cases, {differing} differ; " + ", ".join(f"{name} {number}" for name, number in sorted(counts.items())))
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
