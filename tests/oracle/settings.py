"""Settings of an index: defaults, and the patterns that name fields."""
import copy

DEFAULTS = {
    "displayedAttributes": ["*"],
    "searchableAttributes": ["*"],
    "filterableAttributes": [],
    "sortableAttributes": [],
    "rankingRules": ["words", "typo", "proximity", "attributeRank", "sort", "wordPosition", "exactness"],
    "stopWords": [],
    "nonSeparatorTokens": [],
    "separatorTokens": [],
    "dictionary": [],
    "synonyms": {},
    "distinctAttribute": None,
    "proximityPrecision": "byWord",
    "typoTolerance": {
        "enabled": True,
        "minWordSizeForTypos": {"oneTypo": 5, "twoTypos": 9},
        "disableOnWords": [],
        "disableOnAttributes": [],
        "disableOnNumbers": False,
    },
    "faceting": {"maxValuesPerFacet": 100, "sortFacetValuesBy": {"*": "alpha"}},
    "pagination": {"maxTotalHits": 1000},
    "prefixSearch": "indexingTime",
    "facetSearch": True,
}
ALL_FEATURES = {"facetSearch": True, "filter": {"equality": True, "comparison": True}}


def complete(given):
    """The given settings over the defaults; objects are merged, everything else is replaced; `*` stands for all fields."""
    settings = copy.deepcopy(DEFAULTS)
    merge(settings, given or {})
    for name in ("displayedAttributes", "searchableAttributes"):
        if "*" in settings[name]:
            settings[name] = ["*"]
    return settings


def merge(target, given):
    """Adds what is given to what is there; null leaves it."""
    for key, value in given.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict) and key != "synonyms":
            merge(target[key], value)
        elif value is not None:
            target[key] = value


def covers(field, path):
    """A field covers itself and what is nested in it."""
    return path == field or path.startswith(field + ".")


def matches_pattern(pattern, path):
    """`*` stands at the beginning, the end, or both."""
    if pattern == "*":
        return True
    if pattern.startswith("*") and pattern.endswith("*"):
        return pattern[1:-1] in path
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    if pattern.startswith("*"):
        return path.endswith(pattern[1:])
    return pattern == path


def filterable_rules(settings):
    """The filterable attributes as (patterns, features); a plain name covers what is nested in it, a pattern does not."""
    rules = []
    for item in settings["filterableAttributes"]:
        if isinstance(item, str):
            rules.append(([item, item + ".*"], ALL_FEATURES))
            continue
        features = copy.deepcopy(ALL_FEATURES)
        features["facetSearch"] = False
        features["filter"]["comparison"] = False
        merge(features, item.get("features") or {})
        rules.append((item["attributePatterns"], features))
    return rules


def filterable_features(settings, path):
    """What may be done with a field in filters and facets, by the first rule that names it; None: nothing."""
    for patterns, features in filterable_rules(settings):
        if any(matches_pattern(pattern, path) for pattern in patterns):
            return features
    return None


def filterable_patterns(settings):
    """The filterable patterns as given, for texts of errors."""
    items = settings["filterableAttributes"]
    return sorted({p for item in items for p in ([item] if isinstance(item, str) else item["attributePatterns"])})


def is_sortable(settings, path):
    """A sortable name covers what is nested in it."""
    return any(covers(name, path) or matches_pattern(name, path) for name in settings["sortableAttributes"])
