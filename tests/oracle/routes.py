"""The routes that read: a request's kind and body to status and answer."""
from .search import search


class Server:
    """The indexes by uid."""

    def __init__(self, indexes):
        self.indexes = {index.uid: index for index in indexes}

    def handle(self, uid, route, request):
        """(status, answer) of a request to a route of an index; (None, None) where the route is not modelled."""
        if route == "search":
            return search(self.indexes[uid], request)
        return None, None
