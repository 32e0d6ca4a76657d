"""A search: request to answer."""
from .errors import ApiError
from .matching import Search


def search(index, request):
    """The answer of the search route, or the error, with its status."""
    try:
        return 200, answer(index, request)
    except ApiError as error:
        return error.status, error.answer()


def answer(index, request):
    found = Search(index, request)
    offset, limit, paging = page_of(request, len(found.ranked), index.settings["pagination"]["maxTotalHits"])
    hits = [hit(found, ranked, request) for ranked in found.ranked[offset:offset + limit]]
    return {"hits": hits, "query": request.get("q") or "", **paging}


def page_of(request, found, total_max):
    """(offset, limit, what the answer says of paging), by offset and limit or by page."""
    total = min(found, total_max)
    if request.get("page") is not None or request.get("hitsPerPage") is not None:
        page = request["page"] if request.get("page") is not None else 1
        size = request["hitsPerPage"] if request.get("hitsPerPage") is not None else 20
        pages = -(-total // size) if size else 0
        offset = (page - 1) * size if page else 0
        limit = size if page else 0
        paging = {"hitsPerPage": size, "page": page, "totalPages": pages, "totalHits": total}
    else:
        offset = request.get("offset") or 0
        limit = 20 if request.get("limit") is None else request["limit"]
        paging = {"limit": limit, "offset": offset, "estimatedTotalHits": total}
    offset = min(offset, total_max)
    return offset, min(limit, total_max - offset), paging


def hit(found, ranked, request):
    shown = dict(ranked.document.source)
    fields = request.get("attributesToRetrieve")
    if fields is not None and "*" not in fields:
        shown = {key: value for key, value in shown.items() if key in fields}
    if request.get("showRankingScore"):
        shown["_rankingScore"] = ranked.score
    if request.get("showRankingScoreDetails"):
        shown["_rankingScoreDetails"] = ranked.details
    return shown
