"""What a hit shows: the fields retrieved, `_formatted` and `_matchesPosition`."""
from dataclasses import dataclass

from .cropping import crop_bounds
from .documents import number_text
from .facets import paths_of
from .settings import covers


def select(value, names, path=""):
    """The part of a document that the names cover, in the document's order; None: nothing."""
    if isinstance(value, dict):
        result = {}
        for key, inner in value.items():
            nested = f"{path}.{key}" if path else key
            if any(covers(name, nested) for name in names):
                result[key] = inner
            elif any(covers(nested, name) for name in names) and isinstance(inner, (dict, list)):
                chosen = select(inner, names, nested)
                if chosen or isinstance(inner, list):
                    result[key] = chosen
        return result
    return [chosen for chosen in (select(item, names, path) for item in value if isinstance(item, (dict, list))) if chosen]


@dataclass(frozen=True)
class Format:
    """How a field is shown: highlighted or not, cropped to so many words or not."""

    highlight: bool = False
    crop_words: int = 0


class Formatter:
    """Shapes the hits of one search."""

    def __init__(self, index, request, highlighter):
        self.request = request
        self.highlighter = highlighter
        self.displayed = index.settings["displayedAttributes"]
        self.known = index.known_paths
        self.retrieved = self.visible(request.get("attributesToRetrieve"))
        self.formats = self.formats_of()

    def visible(self, names):
        """Of the names asked for those displayed; `*` and no list mean all that is displayed."""
        if names is None or "*" in names:
            return self.displayed
        return [name for name in names if "*" in self.displayed or name in self.displayed]

    def formats_of(self):
        """{field or `*`: Format}; fields that no document has are left out."""
        formats = {}
        for entry in self.request.get("attributesToCrop") or []:
            name, colon, words = entry.rpartition(":")
            name = name if colon else entry
            crop_words = int(words) if colon and words.isdecimal() else self.request["cropLength"]
            formats[name] = Format(False, crop_words)
        for name in self.request.get("attributesToHighlight") or []:
            formats[name] = Format(True, formats[name].crop_words if name in formats else 0)
        shown = {name: formats[name] for name in formats if self.is_shown(name)}
        if "*" in shown and "*" in formats:
            for name in shown:
                highlight = shown[name].highlight or shown["*"].highlight
                shown[name] = Format(highlight, shown[name].crop_words or shown["*"].crop_words)
        return shown

    def is_shown(self, name):
        """A field that some document has and that is displayed."""
        return name == "*" or name in self.known and ("*" in self.displayed or name in self.displayed)

    def document(self, source):
        """The fields retrieved."""
        return self.choose(source, self.retrieved)

    def choose(self, source, names):
        """The part of a document that the names cover, or all of it."""
        return dict(source) if "*" in names else select(source, names)

    def formatted(self, source):
        """All that is retrieved or formatted, numbers as strings; None if nothing is to be formatted."""
        if not self.formats:
            return None
        names = list(self.retrieved)
        for name in self.formats:
            names += self.displayed if name == "*" else [name]
        return self.shape(self.choose(source, names), "")

    def shape(self, value, path):
        """A value with its texts shaped and its numbers as text; booleans and null stay."""
        if isinstance(value, dict):
            return {key: self.shape(inner, f"{path}.{key}" if path else key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.shape(inner, path) for inner in value]
        if isinstance(value, str) or isinstance(value, (int, float)) and not isinstance(value, bool):
            return self.shape_text(value if isinstance(value, str) else number_text(value), self.format_of(path))
        return value

    def format_of(self, path):
        """A field is shaped as its own name says, or that of a field it is in or that is in it, else as `*` says."""
        named = [f for name, f in self.formats.items() if name != "*" and (covers(name, path) or covers(path, name))]
        if named:
            return Format(any(f.highlight for f in named), max(f.crop_words for f in named))
        return self.formats.get("*", Format())

    def shape_text(self, text, form):
        """Marks the matches that lie in the crop, and shows where the text was cut."""
        if not form.highlight and not form.crop_words:
            return text
        matches = self.highlighter.matches(text)
        start, end = 0, len(text)
        if form.crop_words:
            start, end = crop_bounds(self.highlighter.tokenizer.tokens(text), matches, form.crop_words)
        result, at = "", start
        for match in matches if form.highlight else ():
            if start <= match.start and match.start + match.length <= end:
                stop = match.start + match.length
                marked = self.request["highlightPreTag"] + text[match.start:stop] + self.request["highlightPostTag"]
                result += text[at:match.start] + marked
                at = stop
        marker = self.request["cropMarker"]
        return (marker if start > 0 else "") + result + text[at:end] + (marker if end < len(text) else "")

    def positions(self, source):
        """{field: where its matches stand, in bytes}, in every displayed field; of an array the last element with matches."""
        result = {}
        self.add_positions(self.choose(source, self.displayed), "", [], result)
        return result

    def add_positions(self, value, path, indices, result):
        """Walks through a value; `indices` are the places in the arrays above it."""
        if isinstance(value, dict):
            for key, inner in value.items():
                self.add_positions(inner, f"{path}.{key}" if path else key, indices, result)
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                self.add_positions(inner, path, [*indices, number], result)
        elif isinstance(value, str) or isinstance(value, (int, float)) and not isinstance(value, bool):
            text = value if isinstance(value, str) else number_text(value)
            rows = [self.row(text, match, indices) for match in self.highlighter.matches(text)]
            if rows:
                result[path] = rows

    @staticmethod
    def row(text, match, indices):
        """Where one match stands and how long it is, in bytes."""
        marked = text[match.start:match.start + match.length]
        place = {"start": len(text[:match.start].encode()), "length": len(marked.encode())}
        return {**place, "indices": indices} if indices else place


def known_paths(documents):
    """Every path of any document."""
    return {path for document in documents for path in paths_of(document.source)}
