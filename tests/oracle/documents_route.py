"""Reading documents: one by its id, or a page of all, by ids, filter and sort. All fields, whether displayed or not."""
import re

from .errors import ApiError
from .filters import compile_filter
from .formatting import select
from .parameters import checked_object, shown, unknown, url_value
from .ranking import parse_sort
from .search import check_sort

FETCH = {
    "offset": ("count", False), "limit": ("count", False), "fields": ("strings", True), "retrieveVectors": ("boolean", False),
    "ids": ("array", True), "filter": ("any", True), "sort": ("strings", True), "useNetwork": ("boolean", True),
}
ID = re.compile(r"[A-Za-z0-9_-]{1,511}")


def code_of(name):
    return "invalid_document_" + re.sub(r"([A-Z])", r"_\1", name).lower()


def get_document(index, request):
    """The document of an id; a list of fields narrows it."""
    wanted = str(request["id"])
    for document in index.documents:
        if str(document.source[index.primary_key]) == wanted:
            fields = request.get("fields")
            names = ["*"] if fields is None else fields.split(",") if fields else []
            return chosen(document.source, names, star=True)
    raise ApiError("document_not_found", f"Document `{wanted}` not found.")


def chosen(source, names, star):
    """The fields asked for; `*` among them means all only where `star` says so."""
    if names is None or star and "*" in names:
        return dict(source)
    return select(source, names)


def fetch(index, body):
    """The route with a body. Here `*` among the fields is a name like any other."""
    return page(index, checked_object(body, FETCH, code_of=code_of), star=False)


def list_documents(index, query):
    """The route with parameters in the URL."""
    given = {}
    for name, text in query.items():
        if name not in FETCH:
            raise unknown("parameter", name, list(FETCH))
        kind = "strings" if name == "ids" else FETCH[name][0]
        given[name] = url_value(name, kind, str(text), code_of=code_of)
    return page(index, given, star=True)


def page(index, given, star):
    """A page of the documents that pass, in the order of insertion or sorted."""
    try:
        accepts = compile_filter(given.get("filter"), index.settings)
    except ApiError as error:
        raise ApiError(error.code.replace("_search_", "_document_"), error.message) from None
    check_sort(index.settings, given.get("sort") or [], "invalid_document_sort")
    documents = [document for document in index.documents if accepts(document)]
    if "ids" in given:
        wanted = checked_ids(given["ids"])
        documents = [document for document in documents if str(document.source[index.primary_key]) in wanted]
    criteria = [parse_sort(text) for text in given.get("sort") or []]
    documents.sort(key=lambda d: (*(c.key_and_details(d.source)[0] for c in criteria), d.sequence))
    offset, limit = given.get("offset", 0), given.get("limit", 20)
    results = [chosen(document.source, given.get("fields"), star) for document in documents[offset:offset + limit]]
    if given.get("retrieveVectors"):
        results = [{**result, "_vectors": {}} for result in results]
    return {"results": results, "offset": offset, "limit": limit, "total": len(documents)}


def checked_ids(ids):
    """Ids as strings; each must be an integer or a short word."""
    for number, given in enumerate(ids):
        if isinstance(given, bool) or not isinstance(given, (int, str)) or not ID.fullmatch(str(given)):
            shape = shown(given).split(": ", 1)[-1].strip("`")
            raise ApiError("invalid_document_ids", f"In `.ids[{number}]`: Document identifier `{shape}` is invalid. A document "
                           "identifier can be of type integer or string, only composed of alphanumeric characters "
                           "(a-z A-Z 0-9), hyphens (-) and underscores (_), and can not be more than 511 bytes.")
    return {str(given) for given in ids}
