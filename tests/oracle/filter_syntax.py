"""The grammar of filters: text to a tree of conditions.

A tree is ("and", trees), ("or", trees), ("not", tree) or a Condition.
"""
import json
import re
from dataclasses import dataclass, field

from .errors import ApiError

DEPTH_MAX = 150
PAREN_DEPTH = 4
OPERATIONS = (
    "`=`, `!=`, `>=`, `>`, `<=`, `<`, `IN`, `NOT IN`, `TO`, `EXISTS`, `NOT EXISTS`, `IS NULL`, `IS NOT NULL`, `IS EMPTY`, "
    "`IS NOT EMPTY`, `CONTAINS`, `NOT CONTAINS`, `STARTS WITH`, `NOT STARTS WITH`, `_geoRadius`, `_geoBoundingBox` "
    "or `_geoPolygon`"
)
KEYWORDS = {"AND", "OR", "NOT", "IN", "TO", "EXISTS", "IS", "NULL", "EMPTY", "CONTAINS", "STARTS", "WITH"}
GEO_OPERATIONS = {"_geoRadius", "_geoBoundingBox", "_geoPolygon"}
GEO_RESERVED = {"_geo", "_geoPoint", "_geoDistance"}
GEO_FORMS = {
    "_geoRadius": "The `_geoRadius` filter must be in the form: "
                  "`_geoRadius(latitude, longitude, radius, optionalResolution)`.",
    "_geoBoundingBox": "The `_geoBoundingBox` filter expects two pairs of arguments: "
                       "`_geoBoundingBox([latitude, longitude], [latitude, longitude])`.",
    "_geoPolygon": "The `_geoPolygon` filter must be in the form: "
                   "`_geoPolygon([latitude, longitude], [latitude, longitude])`.",
}
WORD = re.compile(r"[\w\-./]+")
OPERATORS = re.compile(r"!=|>=|<=|=|>|<")
NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")


@dataclass
class Condition:
    """An operator on a field, or on the place of a document; values are texts."""

    operator: str
    field: str
    values: list = field(default_factory=list)


class FilterParser:
    """Recursive descent over one expression."""

    def __init__(self, text):
        self.text = text
        self.at = 0
        self.depth = 0

    def fail(self, message, start, end=None, code="invalid_search_filter"):
        """Refuses the filter; the place is counted in characters from 1."""
        end = len(self.text) if end is None else end
        raise ApiError(code, f"{message}\n{start + 1}:{end + 1} {self.text}")

    def skip(self):
        """White space separates and is not needed around operators and parentheses."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def keyword(self, *words):
        """Consumes these words if they come next."""
        match = re.compile(r"\s*" + r"\s+".join(words) + r"(?![\w\-./])").match(self.text, self.at)
        if match:
            self.at = match.end()
        return bool(match)

    def parse(self):
        """A whole expression; an empty one excludes nothing."""
        self.skip()
        if self.at == len(self.text):
            return ("and", [])
        tree = self.either()
        if self.text[self.at:].strip():
            if not self.text[:self.at].rstrip().endswith(("EXISTS", "NULL", "EMPTY")):
                self.skip()
            rest = escaped(self.text[self.at:])
            self.fail(f"Found unexpected characters at the end of the filter: `{rest}`. "
                      "You probably forgot an `OR` or an `AND` rule.", self.at)
        return tree

    def either(self):
        """`a OR b OR ...`: binds weakest."""
        trees = [self.both()]
        while self.keyword("OR"):
            trees.append(self.both())
        return trees[0] if len(trees) == 1 else ("or", trees)

    def both(self):
        """`a AND b AND ...`: binds stronger than OR."""
        trees = [self.negation()]
        while self.keyword("AND"):
            trees.append(self.negation())
        return trees[0] if len(trees) == 1 else ("and", trees)

    def deeper(self, levels, start):
        """Nesting has a limit."""
        self.depth += levels
        if self.depth > DEPTH_MAX:
            self.fail("The filter exceeded the maximum depth limit. "
                      "Try rewriting the filter so that it contains fewer nested conditions.", start)

    def negation(self):
        """`NOT a`, which may be repeated: binds strongest."""
        self.skip()
        if self.keyword("NOT"):
            self.deeper(1, self.at)
            tree = ("not", self.negation())
            self.depth -= 1
            return tree
        return self.primary()

    def primary(self):
        """An expression in parentheses, or a condition."""
        start = self.at
        if start == len(self.text):
            self.fail(f"Was expecting an operation {OPERATIONS} but instead got nothing.", start)
        if self.text[start] == "(":
            self.deeper(PAREN_DEPTH, start)
            self.at += 1
            tree = self.either()
            self.skip()
            if self.text[self.at:self.at + 1] != ")":
                self.fail(f"Expression `{escaped(self.text[start:])}` is missing the following closing delimiter: `)`.", start)
            self.at += 1
            self.depth -= PAREN_DEPTH
            return tree
        return self.condition(start)

    def condition(self, start):
        """An operation on a field, or one of the geographic operations; a few names are reserved."""
        word = WORD.match(self.text, start)
        if word and word.group() in GEO_OPERATIONS:
            return self.geo(word)
        if word and word.group() in GEO_RESERVED:
            self.fail(f"`{word.group()}` is a reserved keyword and thus can't be used as a filter expression. Use the "
                      "`_geoRadius(latitude, longitude, distance)` or `_geoBoundingBox([latitude, longitude], "
                      "[latitude, longitude])` built-in rules to filter on `_geo` coordinates.", start)
        if word and word.group().startswith("_vectors"):
            self.fail("using a vector filter requires enabling the `multimodal` experimental feature. "
                      "See https://github.com/orgs/meilisearch/discussions/846", start, code="feature_not_enabled")
        if not word and self.text[start] not in "'\"":
            self.no_operation(start)
        name = self.value()
        self.skip()
        return self.operation(name) or self.no_operation(start)

    def no_operation(self, start):
        """What stands here is no operation."""
        self.fail(f"Was expecting an operation {OPERATIONS} at `{escaped(self.text[start:])}`.", start)

    def operation(self, name):
        """What follows the name of a field, or None if it is no operation."""
        match = OPERATORS.match(self.text, self.at)
        if match:
            self.at = match.end()
            return Condition(match.group(), name, [self.value()])
        for words, operator in (
            (("EXISTS",), "EXISTS"), (("NOT", "EXISTS"), "not EXISTS"), (("IS", "NULL"), "NULL"), (("IS", "EMPTY"), "EMPTY"),
            (("IS", "NOT", "NULL"), "not NULL"), (("IS", "NOT", "EMPTY"), "not EMPTY"),
        ):
            if self.keyword(*words):
                return negated(operator, Condition(operator.removeprefix("not "), name))
        for words, operator in ((("STARTS", "WITH"), "STARTS WITH"), (("NOT", "STARTS", "WITH"), "not STARTS WITH")):
            if self.keyword(*words):
                return negated(operator, Condition("STARTS WITH", name, [self.value()]))
        for words in (("IN",), ("NOT", "IN")):
            if self.keyword(*words):
                return negated("not" if len(words) > 1 else "", Condition("IN", name, self.values()))
        for words in (("CONTAINS",), ("NOT", "CONTAINS")):
            if self.keyword(*words):
                self.fail("Using `CONTAINS` in a filter requires enabling the `contains filter` experimental feature. "
                          "See https://github.com/orgs/meilisearch/discussions/763", self.at - 8, self.at,
                          code="feature_not_enabled")
        return self.range(name)

    def range(self, name):
        """`field low TO high`"""
        start = self.at
        if WORD.match(self.text, start) or self.text[start:start + 1] in ("'", '"'):
            word = WORD.match(self.text, start)
            if not word or word.group() not in KEYWORDS:
                low = self.value()
                if self.keyword("TO") and self.text[self.at:].strip():
                    return Condition("TO", name, [low, self.value()])
        return None

    def value(self):
        """A word that is no keyword, or a text in quotes."""
        self.skip()
        start = self.at
        quote = self.text[start:start + 1]
        if quote in ("'", '"'):
            return self.quoted(quote, start)
        word = WORD.match(self.text, start)
        if not word:
            fragment = re.compile(r"[^\s()=<>!,;]*").match(self.text, start).group()
            if fragment:
                self.fail(f"Was expecting a value but instead got `{escaped(fragment)}`.", start, start + len(fragment))
            self.fail("Was expecting a value but instead got nothing.", start, start)
        if word.group() in KEYWORDS:
            self.fail(f"Was expecting a value but instead got `{word.group()}`, which is a reserved keyword. To use "
                      f"`{word.group()}` as a field name or a value, surround it by quotes.", start, word.end())
        if word.group() in GEO_OPERATIONS:
            self.fail(f"The `{word.group()}` filter is an operation and can't be used as a value.", start, word.end())
        self.at = word.end()
        return word.group()

    def quoted(self, quote, start):
        """A backslash keeps the quote after it."""
        value, at = "", start + 1
        while at < len(self.text):
            character = self.text[at]
            if character == "\\" and self.text[at + 1:at + 2] == quote:
                value += quote
                at += 2
            elif character == quote:
                self.at = at + 1
                return value
            else:
                value += character
                at += 1
        rest = escaped(self.text[start:])
        self.fail(f"Expression `{rest}` is missing the following closing delimiter: `{quote}`.", start)

    def values(self):
        """`[a, b,]`"""
        self.skip()
        if self.text[self.at:self.at + 1] != "[":
            self.fail("Expected `[` after `IN` keyword.", self.at)
        self.at += 1
        values, separated = [], True
        while True:
            self.skip()
            following = self.text[self.at:self.at + 1]
            if following == "]":
                self.at += 1
                return values
            if not following:
                self.fail("Expected matching `]` after the list of field names given to `IN[`", self.at)
            if not separated or following == ",":
                self.fail("Expected only comma-separated field names inside `IN[..]` but instead found "
                          f"`{escaped(self.text[self.at:])}`.", self.at)
            values.append(self.value())
            self.skip()
            separated = self.text[self.at:self.at + 1] == ","
            self.at += separated

    def geo(self, word):
        """`_geoRadius(lat, lng, metres)`, `_geoBoundingBox([lat, lng], [lat, lng])`, `_geoPolygon([lat, lng], ...)`"""
        name, start = word.group(), word.end()
        self.at = start
        self.skip()
        close = self.text.find(")", self.at)
        if self.text[self.at:self.at + 1] != "(" or close < 0:
            self.fail(GEO_FORMS[name], self.at)
        arguments = self.text[self.at + 1:close]
        groups = re.split(r"\]\s*,?\s*\[", arguments.strip()[1:-1]) if name != "_geoRadius" else [arguments]
        brackets = arguments.strip().startswith("[") and arguments.strip().endswith("]")
        if name != "_geoRadius" and not brackets or name == "_geoBoundingBox" and len(groups) != 2:
            self.fail(GEO_FORMS[name], self.at + 1)
        numbers = [[NUMBER.fullmatch(part) for part in group.split(",")] for group in groups]
        if not all(match for group in numbers for match in group):
            self.fail(GEO_FORMS[name], self.at + 1)
        values = [[match.group(1) for match in group] for group in numbers]
        if name == "_geoRadius" and len(values[0]) not in (3, 4):
            found = len(values[0])
            self.fail(f"Was expecting 3 or 4 arguments for `_geoRadius`, but instead found {found}.", close, close + 1)
        for group in values:
            if name != "_geoRadius" and len(group) != 2:
                self.fail(f"Was expecting 2 coordinates but instead found {len(group)}.", close, close + 1)
        self.at = close + 1
        return Condition(name, "_geo", values)


def negated(operator, condition):
    """The condition, or its contrary if the operator begins with not."""
    return ("not", condition) if operator.startswith("not") else condition


def escaped(text):
    """Quotes and backslashes as errors show them."""
    return re.sub(r"(['\"\\])", r"\\\1", text)


def parse_filter(given):
    """A filter as given: text, or an array whose items are all required, inner arrays offering choices."""
    if given is None:
        return ("and", [])
    if isinstance(given, str):
        return FilterParser(given).parse()
    if not isinstance(given, list):
        raise shape_error("String, Array", given)
    trees = []
    for item in given:
        if isinstance(item, str):
            trees.append(FilterParser(item).parse())
        elif isinstance(item, list):
            for inner in item:
                if not isinstance(inner, str):
                    raise shape_error("String", inner)
            choices = [FilterParser(inner).parse() for inner in item]
            trees.append(("or", choices) if choices else ("and", []))
        else:
            raise shape_error("String, [String]", item)
    return ("and", trees)


def shape_error(expected, found):
    """A JSON filter that is neither text nor an array of the right depth."""
    text = json.dumps(found, separators=(",", ":"), ensure_ascii=False)
    message = f"Invalid syntax for the filter parameter: `expected {expected}, found: {text}`."
    return ApiError("invalid_search_filter", message)
