"""Values of fields as filters, facets and sort see them: numbers, and strings in normal form."""
from .documents import values_at
from .tokenizer import facet_normal_form

VALUE_BYTES_MAX = 468


def field_values(document, path):
    """(numbers, strings) of a field: all elements of arrays, through nested objects; booleans are strings."""
    numbers, strings = [], []
    for value in values_at(document, path):
        for _, leaf in elements(value):
            if isinstance(leaf, bool):
                strings.append("true" if leaf else "false")
            elif isinstance(leaf, (int, float)):
                numbers.append(leaf)
            elif isinstance(leaf, str):
                strings.append(leaf)
    return numbers, strings


def elements(value):
    """A scalar, or the scalars of an array."""
    if isinstance(value, list):
        for inner in value:
            if not isinstance(inner, dict):
                yield from elements(inner)
    elif not isinstance(value, dict):
        yield None, value


def sort_values(document, path):
    """(numbers, strings) that a field can be sorted by: an empty string is no value."""
    numbers, strings = field_values(document, path)
    return numbers, [text for text in map(normal_value, strings) if text]


def normal_value(text):
    """The form in which strings are compared, cut at 468 bytes."""
    return facet_normal_form(text).encode()[:VALUE_BYTES_MAX].decode(errors="ignore")


def distinct_values(document, path):
    """What makes documents equal under distinct: numbers and strings apart; an empty string is no value."""
    numbers, strings = sort_values(document, path)
    return {("number", float(n)) for n in numbers} | {("string", text) for text in strings}
