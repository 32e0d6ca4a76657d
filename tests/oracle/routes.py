"""The routes that read: a request's kind and body to status and answer."""
import json
import re

from .documents_route import fetch, get_document, list_documents
from .errors import ApiError
from .facets import check_facet_name, search_in_facet
from .federation import multi_search
from .matching import Search
from .parameters import FACET_SEARCH, check_vectors, checked_object, search_parameters, url_parameters
from .search import answer, check_searched

INDEX_UID = re.compile(r"[A-Za-z0-9_-]{1,400}")
JSON_TYPE = "application/json"


class Server:
    """The indexes by uid."""

    def __init__(self, indexes):
        self.indexes = {index.uid: index for index in indexes}

    def handle(self, uid, route, request):
        """(status, answer) of a request to a route of an index."""
        routes = {
            "search": lambda: self.search(uid, request),
            "search-get": lambda: self.search_by_url(uid, request),
            "search-raw": lambda: self.search(uid, parse_body(request["body"], request["contentType"])),
            "search-other": lambda: self.search(request["indexUid"], request["body"]),
            "facet-search": lambda: facet_search(self.index(uid), request),
            "multi-search": lambda: multi_search(self, request),
            "documents-fetch": lambda: fetch(self.index(uid), request),
            "documents-list": lambda: list_documents(self.index(uid), request),
            "get-document": lambda: get_document(self.index(uid), request),
        }
        try:
            return 200, routes[route]()
        except ApiError as error:
            return error.status, error.answer()

    def index(self, uid):
        """The index of a uid, which must be well formed and known."""
        if not INDEX_UID.fullmatch(uid):
            raise ApiError("invalid_index_uid", f"`{uid}` is not a valid index uid. Index uid can be an integer or a string "
                           "containing only alphanumeric characters, hyphens (-) and underscores (_), and can not be more "
                           "than 512 bytes.")
        if uid not in self.indexes:
            raise ApiError("index_not_found", f"Index `{uid}` not found.")
        return self.indexes[uid]

    def search(self, uid, body):
        return self.answer(uid, search_parameters(body))

    def search_by_url(self, uid, query):
        return self.answer(uid, url_parameters(query))

    def answer(self, uid, request):
        """What an index refuses is said in its name."""
        index = self.index(uid)
        try:
            return answer(index, request)
        except ApiError as error:
            raise error.named(uid) from None


def parse_body(body, content_type):
    """A JSON body, sent as JSON."""
    accepted = f"Accepted values for the Content-Type header are: `{JSON_TYPE}`"
    if content_type is None:
        raise ApiError("missing_content_type", f"A Content-Type header is missing. {accepted}")
    if content_type.split(";")[0].strip().lower() != JSON_TYPE:
        raise ApiError("invalid_content_type", f"The Content-Type `{content_type}` is invalid. {accepted}")
    if not body:
        raise ApiError("missing_payload", "A json payload is missing.")
    try:
        return json.loads(body)
    except ValueError as error:
        raise ApiError("malformed_payload", f"The json payload provided is malformed. `{error}`.") from None


def facet_search(index, body):
    """The search in the values of one facet, among the documents that a search finds; other parameters are ignored."""
    given = checked_object({name: value for name, value in body.items() if name in FACET_SEARCH}, FACET_SEARCH)
    if "facetName" not in given:
        raise ApiError("missing_facet_search_facet_name", "Missing field `facetName`")
    check_vectors(given)
    check_facet_name(index, given["facetName"])
    check_searched(index, given.get("attributesToSearchOn") or [])
    found = Search(index, given)
    documents = [item.document for item in found.above_threshold()]
    query = given.get("facetQuery")
    return {"facetHits": search_in_facet(index, documents, given["facetName"], query), "facetQuery": query}
