"""Tokenisation: text to words and separators, the same for documents and queries."""
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

WORD, STOP_WORD, SOFT, HARD = "word", "stop word", "soft", "hard"
WORD_BYTES_MAX = 250
HARD_GAP = 8
CONTEXT_SEPARATORS = {"!", ";", "?", ". ", ", ", "¡", "¿", "§", "¶", "。", "、", "؟", "؛", "·", ";", "՜", "՞", "։"}
SEPARATOR_CATEGORIES = {"Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Sm", "Zl", "Zp", "Zs"}
NOT_SEPARATORS = set("<>=|~\u00a0")
EXTRA_SEPARATORS = {"`", "\t", "\n", "\r", "\0", ". ", ", "}
SCRIPTS = [  # first code point, last code point, script
    (0x41, 0x5A, "Latin"), (0x61, 0x7A, "Latin"), (0x80, 0x2AF, "Latin"), (0x370, 0x3FF, "Greek"),
    (0x400, 0x482, "Cyrillic"), (0x48A, 0x52F, "Cyrillic"), (0x530, 0x58F, "Armenian"), (0x590, 0x5FF, "Hebrew"),
    (0x600, 0x6FF, "Arabic"), (0x750, 0x77F, "Arabic"), (0xE00, 0xE7F, "Thai"), (0x10A0, 0x10FF, "Georgian"),
    (0x1D00, 0x1DBF, "Latin"), (0x1E00, 0x1EFF, "Latin"), (0x1F00, 0x1FFF, "Greek"), (0x2100, 0x214F, "Latin"),
    (0x2C60, 0x2C7F, "Latin"), (0xA640, 0xA69F, "Cyrillic"), (0xA720, 0xA7FF, "Latin"), (0xFB50, 0xFDFF, "Arabic"),
    (0xFE70, 0xFEFE, "Arabic"),
]
CASED_SCRIPTS = {"Latin", "Cyrillic", "Greek", "Georgian", "Armenian"}
MARK_FREE_SCRIPTS = {"Latin", "Hebrew", "Thai", "Arabic", "Greek"}
LATIN = {"’": "'", "‘": "'", "‛": "'", "œ": "oe", "æ": "ae", "đ": "d", "ı": "i"}
ARABIC = {"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ـ": ""}


@dataclass(frozen=True)
class Token:
    """A piece of text: its kind, what it is compared by, and which characters it spans."""

    kind: str
    lemma: str
    start: int
    text: str
    script: str

    @property
    def end(self):
        return self.start + len(self.text)

    @property
    def is_word(self):
        return self.kind in (WORD, STOP_WORD)


@lru_cache(maxsize=None)
def script_of(character):
    """The script of a character, or None for those that belong to every script (digits, punctuation, marks)."""
    point = ord(character)
    for first, last, script in SCRIPTS:
        if first <= point <= last:
            return None if unicodedata.category(character) == "Mn" else script
    return None


def scripts_of(text):
    """The script run that each character belongs to; a character of no script goes with what stands before it."""
    known = [script_of(character) for character in text]
    run = next((script for script in known if script), None)
    runs = []
    for script in known:
        run = script or run
        runs.append(run)
    return runs


@lru_cache(maxsize=None)
def is_default_separator(character):
    """Punctuation, spaces and mathematical signs separate words, but for a few."""
    if character in EXTRA_SEPARATORS:
        return True
    return unicodedata.category(character) in SEPARATOR_CATEGORIES and character not in NOT_SEPARATORS


def decompose(text):
    """Compatibility decomposition without control characters."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c) != "Cc")


@lru_cache(maxsize=None)
def normalize(text, script):
    """Decomposition, lower case, spelling variants, and no accents in the scripts that can do without them."""
    text = decompose(text)
    if script in CASED_SCRIPTS:
        text = "".join(c.lower() if len(c.lower()) == 1 else unicodedata.normalize("NFKD", c.lower()) for c in text)
    if script == "Latin":
        text = "".join(LATIN.get(c, c) for c in text)
    if script == "Arabic":
        text = "".join(ARABIC.get(c, c) for c in text)
    if script in MARK_FREE_SCRIPTS:
        text = "".join(c for c in text if unicodedata.category(c) != "Mn")
    return text


def facet_normal_form(text):
    """Strings of filters, facets and sort: trimmed, decomposed, lower case; accents stay."""
    return unicodedata.normalize("NFKD", text.strip()).lower()


class Tokenizer:
    """Cuts text as the settings say: separators, words that are kept whole, stop words."""

    def __init__(self, settings):
        self.kept_whole = set(settings["dictionary"])
        self.not_separators = set(settings["nonSeparatorTokens"])
        self.separators = set(settings["separatorTokens"])
        self.stop_words = {decompose(word) for word in settings["stopWords"]}
        longer = {s for s in self.kept_whole | self.separators | {". ", ", "} if len(s) > 1} - self.not_separators
        by_length = sorted(longer, key=len, reverse=True)
        self.longer = re.compile("|".join(re.escape(s) for s in by_length)) if by_length else None
        self.cache = {}

    def is_separator(self, piece):
        """A separator by default or by the settings, unless the settings except it."""
        if piece in self.separators:
            return True
        if piece in self.not_separators:
            return False
        return piece in EXTRA_SEPARATORS or (len(piece) == 1 and is_default_separator(piece))

    def tokens(self, text):
        """All tokens of a text in order; they cover it without a gap."""
        if text not in self.cache:
            self.cache[text] = list(self.cut(text))
        return self.cache[text]

    def cut(self, text):
        """Separators and whole words are found leftmost-longest; the rest is cut where the script changes."""
        scripts = scripts_of(text)
        position = begun = 0
        while position < len(text):
            match = self.longer and self.longer.match(text, position)
            if match or self.is_separator(text[position]):
                yield from self.words(text, begun, position, scripts)
                end = match.end() if match else position + 1
                yield self.token(text, position, end, scripts[position])
                position = begun = end
            else:
                position += 1
        yield from self.words(text, begun, position, scripts)

    def words(self, text, start, end, scripts):
        """What stands between two separators is one word a script."""
        for position in range(start + 1, end + 1):
            if position == end or scripts[position] != scripts[start]:
                yield self.token(text, start, position, scripts[start])
                start = position

    def token(self, text, start, end, script):
        """Stop words and separators are recognised in the decomposed form, before lower case."""
        piece = text[start:end]
        form = decompose(piece)
        if form in self.stop_words:
            kind = STOP_WORD
        elif piece not in self.kept_whole and (self.is_separator(form) or not form):
            kind = HARD if form in CONTEXT_SEPARATORS else SOFT
        else:
            kind = WORD
        return Token(kind, normalize(piece, script), start, piece, script)

    def located_words(self, text):
        """Words with their positions: one more a word, eight more over a hard separator."""
        position, before = 0, None
        for token in self.tokens(text):
            if token.is_word:
                position += 0 if before is None else HARD_GAP if before == HARD else 1
                before = token.kind
                yield position, token
            elif before is not None and before != HARD:
                before = token.kind

    def lemmas(self, text):
        """The normalised words of a text, stop words left out."""
        return [token.lemma for token in self.tokens(text) if token.kind == WORD]
