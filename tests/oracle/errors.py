"""Errors of the API: a code with its status and type, and a message."""

STATUSES = {"index_not_found": 404, "document_not_found": 404, "missing_content_type": 415, "invalid_content_type": 415}
LINK = "https://docs.meilisearch.com/errors#"


class ApiError(Exception):
    """A refused request. `of_index`: the settings of an index refuse it, so the answer names that index."""

    def __init__(self, code, message, of_index=False):
        super().__init__(message)
        self.code = code
        self.message = message
        self.of_index = of_index
        self.status = STATUSES.get(code, 400)

    def named(self, uid):
        """The same with the index in front, if it is the index that refuses."""
        return ApiError(self.code, f"Index `{uid}`: {self.message}") if self.of_index else self

    def inside(self, place):
        """The same in a part of a request: there even an unknown index is a wrong request."""
        error = ApiError(self.code, f"Inside `{place}`: {self.message}")
        error.status = 400
        return error

    def answer(self):
        return {"message": self.message, "code": self.code, "type": "invalid_request", "link": LINK + self.code}
