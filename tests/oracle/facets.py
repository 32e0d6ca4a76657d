"""Facets: how often each value occurs among the documents found, the span of numbers, and the search in values."""
from collections import Counter

from .derivations import distances
from .documents import number_text
from .errors import ApiError
from .settings import covers, filterable_features, filterable_patterns, filterable_rules, matches_pattern
from .tokenizer import normalize, scripts_of
from .values import field_values, normal_value

TYPO_BYTES_ONE, TYPO_BYTES_TWO = 5, 9


def paths_of(value, path=""):
    """Every path of a document, those of objects included."""
    if isinstance(value, dict):
        for key, inner in value.items():
            nested = f"{path}.{key}" if path else key
            yield nested
            yield from paths_of(inner, nested)
    elif isinstance(value, list):
        for inner in value:
            yield from paths_of(inner, path)


def facet_matches(settings, pattern, path):
    """A name means a field, and what is nested in it if it is itself filterable; `*` stands for anything at an end."""
    if "*" in pattern:
        return matches_pattern(pattern, path)
    return path == pattern or covers(pattern, path) and filterable_features(settings, pattern) is not None


def check_facets(settings, patterns, prefix=""):
    """Every pattern must hit a filterable attribute."""
    for pattern in patterns:
        names = filterable_patterns(settings)
        hit = pattern == "*" or filterable_features(settings, pattern) is not None
        if not hit and not any(matches_pattern(pattern, name) or covers(pattern, name) for name in names):
            available = f"Available filterable attributes patterns are: `{', '.join(names)}`." if names else \
                "This index does not have configured filterable attributes."
            raise ApiError("invalid_search_facets",
                           f"{prefix}Invalid facet distribution: Pattern `{pattern}` is not filterable. {available}")


def facet_fields(index, patterns):
    """The filterable fields of any document that a pattern names, in order."""
    paths = {path for document in index.documents for path in paths_of(document.source)}
    return sorted(path for path in paths if filterable_features(index.settings, path) is not None
                  and any(facet_matches(index.settings, pattern, path) for pattern in patterns))


def spelling(index, field):
    """{normal form: the bytewise smallest spelling that any document holds}"""
    spellings = {}
    for document in index.documents:
        for text in field_values(document.source, field)[1]:
            form = normal_value(text)
            if form and (form not in spellings or text.encode() < spellings[form].encode()):
                spellings[form] = text
    return spellings


def order_by(settings, field):
    """`alpha` or `count`, as set for the field or for all."""
    orders = settings["faceting"]["sortFacetValuesBy"]
    return orders.get(field, orders.get("*", "alpha"))


def count_values(documents, field):
    """(documents by number, documents by normal form of string)"""
    numbers, strings = Counter(), Counter()
    for document in documents:
        found = field_values(document.source, field)
        numbers.update({float(value) for value in found[0]})
        strings.update({normal_value(text) for text in found[1] if normal_value(text)})
    return numbers, strings


def distribution(index, documents, field):
    """{value: count}, in the order of the settings: by the value's string, or the most frequent first."""
    numbers, strings = count_values(documents, field)
    spellings = spelling(index, field)
    rows = [(count, (0, value), number_key(value), number_key(value)) for value, count in numbers.items()]
    rows += [(count, (1, form), form, spellings[form]) for form, count in strings.items()]
    if order_by(index.settings, field) == "count":
        rows.sort(key=lambda row: row[:2], reverse=True)
    else:
        rows.sort(key=lambda row: row[2].encode())
    result = {}
    for count, _, _, shown in rows[:index.settings["faceting"]["maxValuesPerFacet"]]:
        result[shown] = result.get(shown, 0) + count
    return result


def number_key(value):
    """A number as the key of a distribution: whole numbers without a fraction."""
    return str(int(value)) if value == int(value) else number_text(value)


def facets_answer(index, documents, patterns):
    """facetDistribution and facetStats of an answer."""
    result, stats = {}, {}
    for field in facet_fields(index, patterns):
        result[field] = distribution(index, documents, field)
        numbers = [float(value) for document in documents for value in field_values(document.source, field)[0]]
        if numbers:
            stats[field] = {"min": min(numbers), "max": max(numbers)}
    return {"facetDistribution": result, "facetStats": stats}


def folded(text):
    """A whole value as the search in facets compares it: like a word, without accents where the script allows."""
    scripts = scripts_of(text)
    cuts = [i for i in range(1, len(text)) if scripts[i] != scripts[i - 1]]
    return "".join(normalize(text[a:b], scripts[a]) for a, b in zip([0, *cuts], [*cuts, len(text)]) if a < b)


def facet_typos(text):
    """Typos that the search in facets forgives, by the length in bytes."""
    length = len(text.encode())
    return 0 if length < TYPO_BYTES_ONE else 1 if length < TYPO_BYTES_TWO else 2


def search_in_facet(index, documents, field, query):
    """String values that begin like the query, give or take typos, with their counts."""
    _, counts = count_values(documents, field)
    spellings = spelling(index, field)
    rows = [(form if query is None else folded(form), form, count) for form, count in counts.items()]
    if query is not None:
        typed = folded(query)
        rows = [row for row in rows if min(distances(typed, row[0])) <= facet_typos(typed)]
    if order_by(index.settings, field) == "count":
        rows.sort(key=lambda row: (row[2], row[0], row[1]), reverse=True)
    else:
        rows.sort(key=lambda row: (row[0].encode(), row[1].encode()))
    limit = index.settings["faceting"]["maxValuesPerFacet"]
    return [{"value": spellings[form], "count": count} for _, form, count in rows[:limit]]


def check_facet_name(index, field):
    """The field must be filterable and open to the search in facets."""
    features = filterable_features(index.settings, field)
    if features is None:
        names = filterable_patterns(index.settings)
        rules = [name for name in names if filterable_features(index.settings, name)["facetSearch"]]
        raise ApiError("invalid_facet_search_facet_name", f"Attribute `{field}` is not facet-searchable. Available "
                       f"facet-searchable attributes patterns are: `{', '.join(rules)}`. To make it facet-searchable "
                       "add it to the `filterableAttributes` index settings.")
    if not features["facetSearch"]:
        rule = next(n for n, (patterns, _) in enumerate(filterable_rules(index.settings))
                    if any(matches_pattern(pattern, field) for pattern in patterns))
        raise ApiError("invalid_facet_search_facet_name",
                       f"Attribute `{field}` is not facet-searchable. Note: this attribute matches rule #{rule} in "
                       "filterableAttributes, but this rule does not enable facetSearch.")
