"""Filters of delete-by-filter, apart from the product's code: a part of Meilisearch's language.

From the reference's grammar and meaning: comparison, TO, IN, EXISTS, IS NULL, IS EMPTY, AND, OR, NOT, parentheses, and
the form as arrays. Without CONTAINS and STARTS WITH: whoever sends those to a fold hears NotImplementedError. Geo is
refused, as the product refuses it.
"""
import re
import unicodedata

from fold_json import Members, Number

VALUE_BYTES_MAX = 468
TOKEN = re.compile(r"""\s*(?:(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<sign>!=|>=|<=|[=<>()\[\],])|(?P<word>[\w.-]+))""")
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
KEYWORDS = {"AND", "OR", "NOT", "IN", "TO", "EXISTS", "IS", "NULL", "EMPTY", "CONTAINS", "STARTS", "WITH",
            "_geoRadius", "_geoBoundingBox", "_geoPolygon"}
ELSEWHERE = {"CONTAINS", "STARTS"}
DEPTH_MAX = 150
PARENTHESIS_DEPTH = 4  # of the levels; a NOT is one
COMPARISONS = {"=": lambda a, b: a == b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "<": lambda a, b: a < b,
               "<=": lambda a, b: a <= b}


class Malformed(Exception):
    """No filter."""


def number(text):
    """The double that the text is; None if it is none."""
    value = float(text) if NUMBER.fullmatch(text) else None
    return None if value is None or value in (float("inf"), float("-inf")) else value


def folded(text):
    return unicodedata.normalize("NFKD", text.strip()).lower().encode()


def cut(text):
    """The first bytes of a value, without cutting a character."""
    return text[:VALUE_BYTES_MAX].decode(errors="ignore").encode() if len(text) > VALUE_BYTES_MAX else text


class Literal:
    def __init__(self, text):
        self.number = number(text)
        self.text = folded(text)


# ---- reading --------------------------------------------------------------


class Reader:
    def __init__(self, text):
        self._tokens = []
        at, end = 0, len(text.rstrip())
        while at < end:
            found = TOKEN.match(text, at)
            if not found:
                raise Malformed(text[at:])
            at = found.end()
            if found["quoted"]:
                self._tokens.append(("value", re.sub(r"\\(.)", r"\1", found["quoted"][1:-1])))
            elif found["word"] and found["word"] not in KEYWORDS:
                self._tokens.append(("value", found["word"]))
            else:
                self._tokens.append(("sign", found["sign"] or found["word"]))
        self._at = 0
        self._depth = 0

    def take(self, *signs):
        """True if these come next; then they are passed."""
        if self._tokens[self._at:self._at + len(signs)] != [("sign", sign) for sign in signs]:
            return False
        self._at += len(signs)
        return True

    def expect(self, *signs):
        if not self.take(*signs):
            raise Malformed(f"expected {signs}")

    def value(self):
        if self._at == len(self._tokens) or self._tokens[self._at][0] != "value":
            raise Malformed("expected a value")
        self._at += 1
        return self._tokens[self._at - 1][1]

    def all(self):
        if not self._tokens:
            return None
        found = self.alternatives()
        if self._at < len(self._tokens):
            raise Malformed(f"more behind the end: {self._tokens[self._at:]}")
        return found

    def alternatives(self):
        found = [self.conjunction()]
        while self.take("OR"):
            found.append(self.conjunction())
        return ("or", found)

    def conjunction(self):
        found = [self.negation()]
        while self.take("AND"):
            found.append(self.negation())
        return ("and", found)

    def deeper(self, levels, read):
        self._depth += levels
        if self._depth > DEPTH_MAX:
            raise Malformed("too deep")
        found = read()
        self._depth -= levels
        return found

    def negation(self):
        if self.take("NOT"):
            return ("not", self.deeper(1, self.negation))
        if self.take("("):
            found = self.deeper(PARENTHESIS_DEPTH, self.alternatives)
            self.expect(")")
            return found
        return self.condition()

    def condition(self):
        if self._at < len(self._tokens) and self._tokens[self._at][1] in ELSEWHERE:
            raise NotImplementedError(self._tokens[self._at][1])
        field = self.value()
        for sign in ("!=", *COMPARISONS):
            if self.take(sign):
                literal = Literal(self.value())
                return ("not", ("=", field, literal)) if sign == "!=" else (sign, field, literal)
        if self.take("EXISTS"):
            return ("exists", field)
        if self.take("NOT", "EXISTS"):
            return ("not", ("exists", field))
        if self.take("IS"):
            negated = self.take("NOT")
            found = ("null", field) if self.take("NULL") else ("empty", field)
            if found[0] == "empty":
                self.expect("EMPTY")
            return ("not", found) if negated else found
        if self.take("IN"):
            return ("in", field, self.literals())
        if self.take("NOT", "IN"):
            return ("not", ("in", field, self.literals()))
        for word in ELSEWHERE:
            if self.take(word) or self.take("NOT", word):
                raise NotImplementedError(word)
        low = Literal(self.value())
        self.expect("TO")
        return ("between", field, low, Literal(self.value()))

    def literals(self):
        self.expect("[")
        found = []
        while not self.take("]"):
            found.append(Literal(self.value()))
            if not self.take(","):
                self.expect("]")
                break
        return found


def read(expression):
    """The tree of a string, or of an array (AND) of strings and arrays (OR) of strings; None without a condition."""
    if isinstance(expression, str):
        return Reader(expression).all()
    parts = []
    for item in expression:
        if isinstance(item, str):
            parts.append(Reader(item).all())
        elif isinstance(item, list) and all(isinstance(text, str) for text in item):
            parts.append(either([Reader(text).all() for text in item]))
        else:
            raise Malformed(item)
    parts = [part for part in parts if part]
    return ("and", parts) if parts else None


def either(parts):
    parts = [part for part in parts if part]
    return ("or", parts) if parts else None


# ---- matching -------------------------------------------------------------


def reached(value, path):
    """What a path reaches: through objects, arrays of objects, and members whose names hold full stops."""
    if isinstance(value, list) and not isinstance(value, Members):
        for item in value:
            yield from reached(item, path)
        return
    if not isinstance(value, Members):
        return
    last = dict(value)  # of members with one name the last counts
    for end in [at for at, letter in enumerate(path) if letter == "."] + [len(path)]:
        if path[:end] in last:
            if end == len(path):
                yield last[path]
            else:
                yield from reached(last[path[:end]], path[end + 1:])


def values(value):
    """(number or None, folded text or None) of each value that `value` is or, as an array, has."""
    if isinstance(value, bool):
        yield None, b"true" if value else b"false"
    elif isinstance(value, Number):
        yield number(value), None
    elif isinstance(value, str):
        if value:
            yield None, cut(folded(value))
    elif isinstance(value, list) and not isinstance(value, Members):
        for item in value:
            yield from values(item)


def compares(compare, literal, value):
    found, text = value
    if text is not None:
        return compare(text, literal.text)
    return found is not None and literal.number is not None and compare(found, literal.number)


def matches(tree, document):
    """Whether a document (fold_record.parse) meets the condition."""
    kind, *rest = tree
    if kind == "and":
        return all(matches(part, document) for part in rest[0])
    if kind == "or":
        return any(matches(part, document) for part in rest[0])
    if kind == "not":
        return not matches(rest[0], document)
    found = list(reached(document, rest[0]))
    if kind == "exists":
        return bool(found)
    if kind == "null":
        return any(value is None for value in found)
    if kind == "empty":
        return any(value == "" or (isinstance(value, list) and not value) for value in found)
    of_all = [value for item in found for value in values(item)]
    if kind == "in":
        return any(compares(COMPARISONS["="], literal, value) for literal in rest[1] for value in of_all)
    if kind == "between":
        return any(compares(COMPARISONS[">="], rest[1], value) and compares(COMPARISONS["<="], rest[2], value)
                   for value in of_all)
    return any(compares(COMPARISONS[kind], rest[1], value) for value in of_all)
