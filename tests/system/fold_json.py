"""JSON as the fold needs it: numbers as they were written, repeated names, and the merge of two objects' texts."""
import json
import re


class Number(str):
    """A number as it was written: reading it as a float would lose what the text said."""


class Members(list):
    """An object's members in order, repeated names too."""


def parse(text):
    """Strict JSON; objects become lists of (name, value), numbers stay text. Raises ValueError."""

    def constant(name):
        raise ValueError(name)

    return json.loads(text.decode("utf-8"), object_pairs_hook=Members, parse_int=Number, parse_float=Number,
                      parse_constant=constant)


def depth(value):
    """Nesting of arrays and objects; a surrogate without its twin is no text. Raises ValueError."""
    deepest, open_values = 0, [(value, 1)]
    while open_values:
        value, level = open_values.pop()
        if isinstance(value, str):
            value.encode("utf-8")
        elif isinstance(value, Members):
            deepest = max(deepest, level)
            for name, member in value:
                name.encode("utf-8")
                open_values.append((member, level + 1))
        elif isinstance(value, list):
            deepest = max(deepest, level)
            open_values += [(item, level + 1) for item in value]
    return deepest


BLANK = re.compile(r"[ \t\n\r]*")
BLANKS_AND_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"|[ \t\n\r]+')
SCAN = json.JSONDecoder(parse_int=Number, parse_float=Number).raw_decode


def compact(text):
    """JSON without the space between its tokens."""
    return BLANKS_AND_STRINGS.sub(lambda found: found.group() if found.group()[0] == '"' else "", text)


def raw_members(text):
    """Yields (name, name as written, value as written) of an object's text."""
    def blank(at):
        return BLANK.match(text, at).end()

    at = blank(0)
    assert text[at] == "{", text
    at = blank(at + 1)
    while text[at] != "}":
        name, end = SCAN(text, at)
        written = text[at:end]
        start = blank(blank(end) + 1)  # behind the colon
        _, end = SCAN(text, start)
        yield name, written, text[start:end]
        at = blank(end)
        if text[at] == ",":
            at = blank(at + 1)


def merged(existing, patch):
    """The document that merging `patch` into `existing` leaves: its bytes."""
    members = {}
    for text in (existing, patch):
        for name, written, value in raw_members(text.decode()):
            first = members[name][0] if name in members else written
            members[name] = (first, value)  # at the place of the first
    return ("{" + ",".join(f"{name}:{compact(value)}" for name, value in members.values()) + "}").encode()
