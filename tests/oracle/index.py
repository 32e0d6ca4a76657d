"""An index: settings, and documents in the order of insertion."""
from functools import cached_property

from .derivations import Vocabulary
from .documents import Document
from .formatting import known_paths
from .settings import complete
from .tokenizer import Tokenizer


class Index:
    """What searches run on. A document sent again keeps its place."""

    def __init__(self, uid, settings, primary_key, documents):
        self.uid = uid
        self.settings = complete(settings)
        self.primary_key = primary_key
        self.tokenizer = Tokenizer(self.settings)
        self.vocabulary = Vocabulary(self.settings, self.tokenizer)
        by_id = {}
        for source in documents:
            by_id[str(source[primary_key])] = source
        self.documents = [
            Document(source, sequence, self.settings, self.tokenizer) for sequence, source in enumerate(by_id.values())
        ]

    @cached_property
    def dictionary(self):
        """Every word of every searchable field."""
        return {word for document in self.documents for word in document.words}

    @cached_property
    def known_paths(self):
        """Every path of every document."""
        return known_paths(self.documents)
