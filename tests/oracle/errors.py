"""Errors of the API: a code with its status and type, and a message."""

STATUSES = {"index_not_found": 404, "document_not_found": 404, "missing_content_type": 415, "invalid_content_type": 415}
LINK = "https://docs.meilisearch.com/errors#"


class ApiError(Exception):
    """A refused request."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self):
        return STATUSES.get(self.code, 400)

    def answer(self):
        return {"message": self.message, "code": self.code, "type": "invalid_request", "link": LINK + self.code}
