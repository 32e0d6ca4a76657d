"""What an index knows of one document: fields flattened, words with positions, distances of word pairs."""
import re
from functools import cached_property

from .settings import covers
from .tokenizer import HARD_GAP, WORD, WORD_BYTES_MAX

POSITION_MAX = 65535
DISTANCE_MAX = 4
NUMBER_LIKE = re.compile(r"[0-9!-/:-@\[-`{-~]+")


def number_text(value):
    """A JSON number as it is written back: shortest form, a point in every float."""
    if isinstance(value, int):
        return str(value)
    text = repr(value)
    mantissa, _, exponent = text.partition("e")
    if exponent:
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return text


def scalar_text(value):
    """The text of a string, number or boolean; None for everything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    return value if isinstance(value, str) else None


def leaves(value, path, first=0):
    """(path, scalar, first position) of everything in a value: objects extend the path by a point, arrays do not.

    Scalars that share an array with objects begin later where that array is itself inside an object.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        mixed = "." in path and any(isinstance(inner, dict) for inner in value)
        for inner in value:
            yield from leaves(inner, path, HARD_GAP if mixed else first)
    else:
        yield path, value, first


def values_at(value, path):
    """All values under a dotted path, at every nesting: keys may themselves contain points, arrays are passed through."""
    if isinstance(value, list):
        for inner in value:
            yield from values_at(inner, path)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key == path:
                yield inner
            elif path.startswith(key + "."):
                yield from values_at(inner, path[len(key) + 1:])


def bucket(position):
    """Positions are exact below 16, then 24, then powers of two."""
    if position < 16:
        return position
    if position < 24:
        return 24
    return 1 << (position - 1).bit_length()


class Field:
    """The words of one searchable field of one document."""

    def __init__(self, path, weight, exact):
        self.path = path
        self.weight = weight
        self.exact = exact
        self.words = []
        self.word_count = 0
        self.next_position = None

    def add(self, text, tokenizer, first):
        """Adds a value; the first begins at a given position, the others eight after the last one."""
        start = first if self.next_position is None else self.next_position
        last = None
        for position, token in tokenizer.located_words(text):
            last = start + position
            self.word_count += token.kind == WORD
            if token.kind == WORD and token.lemma and last <= POSITION_MAX and len(token.lemma.encode()) <= WORD_BYTES_MAX:
                self.words.append((last, token.lemma))
        if last is not None:
            self.next_position = last + HARD_GAP


class Document:
    """One document as an index sees it. `sequence` is its place in the order of insertion."""

    def __init__(self, source, sequence, settings, tokenizer):
        self.source = source
        self.sequence = sequence
        self.settings = settings
        self.tokenizer = tokenizer

    @cached_property
    def fields(self):
        """Searchable fields in the order of the document."""
        typos = self.settings["typoTolerance"]
        fields = {}
        for path, value, first in leaves(self.source, ""):
            weight = searchable_weight(self.settings, path)
            text = scalar_text(value)
            if weight is None or text is None:
                continue
            if path not in fields:
                exact = any(covers(entry, path) for entry in typos["disableOnAttributes"])
                fields[path] = Field(path, weight, exact)
            fields[path].add(text, self.tokenizer, first)
        return list(fields.values())

    @cached_property
    def pairs(self):
        """{(left, right): smallest forward distance within one field}, up to 3."""
        pairs = {}
        if self.settings["proximityPrecision"] == "byAttribute":
            return self.attribute_pairs()
        for field in self.fields:
            for index, (position, left) in enumerate(field.words):
                for other, right in field.words[index + 1:]:
                    distance = other - position
                    if distance >= DISTANCE_MAX:
                        break
                    if 0 < distance < pairs.get((left, right), DISTANCE_MAX):
                        pairs[left, right] = distance
        return pairs

    def attribute_pairs(self):
        """With precision by attribute, words of one field are neighbours in both directions."""
        pairs = {}
        for field in self.fields:
            words = {word for _, word in field.words}
            pairs.update({(left, right): 1 for left in words for right in words})
        return pairs

    @cached_property
    def words(self):
        """{word: fields that hold it}"""
        words = {}
        for field in self.fields:
            for _, word in field.words:
                if field not in words.setdefault(word, []):
                    words[word].append(field)
        return words

    @cached_property
    def buckets(self):
        """{word: buckets of its positions in any field}"""
        buckets = {}
        for field in self.fields:
            for position, word in field.words:
                buckets.setdefault(word, set()).add(bucket(position))
        return buckets

    def allows_typos(self, word, field):
        """Words of fields without typo tolerance, and of digits only if so set, are reached exactly or not at all."""
        return not field.exact and not is_spared(self.settings, word)


def is_spared(settings, word):
    """Words of digits and punctuation, where these allow no typos."""
    return settings["typoTolerance"]["disableOnNumbers"] and NUMBER_LIKE.fullmatch(word) is not None


def searchable_weight(settings, path):
    """The rank of a field: the place of its entry in the searchable attributes; None: not searchable."""
    entries = settings["searchableAttributes"]
    if entries == ["*"]:
        return 0
    for weight, entry in enumerate(entries):
        if entry == "*" or covers(entry, path):
            return weight
    return None

