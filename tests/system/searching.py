"""Indexes for tests of searching: created, set, fed in an order that decides ties, and asked over connections that stay open.

An answer counts when it is whole: one that a shard is missing from is asked for again, up to a deadline.
"""
import http.client
import json
import sys
import urllib.parse
from pathlib import Path

from children import wait_until
from fold import Index

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

JSON_TYPE = "application/json"
TIME_MS = 1700000000000  # of the first record
RECORDS_A_MS = 2  # so many have one timestamp, and `seq` tells them apart
TASK_S = 120
WHOLE_S = 60
CHANGING = ("processingTimeMs", "requestUid")


def without_changing(answer):
    """An answer without what is new in each, inside `results` too."""
    if isinstance(answer, dict):
        kept = {name: value for name, value in answer.items() if name not in CHANGING}
        if isinstance(kept.get("results"), list):
            kept["results"] = [without_changing(result) for result in kept["results"]]
        return kept
    return answer


def request_to(uid, route, request):
    """(method, path, body or None, content type or None) of a request to a route as the oracle names them."""
    index = f"/indexes/{urllib.parse.quote(uid, safe='')}"
    if route in ("search", "facet-search", "documents-fetch"):
        return "POST", f"{index}/{route.replace('-fetch', '/fetch')}", json_bytes(request), JSON_TYPE
    if route == "multi-search":
        return "POST", "/multi-search", json_bytes(request), JSON_TYPE
    if route == "search-raw":
        return "POST", f"{index}/search", request["body"].encode(), request["contentType"]
    if route == "search-other":
        return request_to(request["indexUid"], "search", request["body"])
    if route == "search-get":
        return "GET", f"{index}/search{in_url(request)}", None, None
    if route == "documents-list":
        return "GET", f"{index}/documents{in_url(request)}", None, None
    assert route == "get-document", route
    fields = {name: value for name, value in request.items() if name == "fields"}
    return "GET", f"{index}/documents/{urllib.parse.quote(str(request['id']), safe='')}{in_url(fields)}", None, None


def json_bytes(value):
    return json.dumps(value, ensure_ascii=False).encode()


def in_url(parameters):
    """What follows the path; values that are not texts as Python writes them, as when the answers were recorded."""
    return "?" + urllib.parse.urlencode(parameters) if parameters else ""


class Asker:
    """One connection to the gateway; each thread needs its own."""

    def __init__(self, env):
        self._connection = http.client.HTTPConnection(env.programs["query"].listen, timeout=90)

    def send(self, method, path, body=None, content_type=None, token=None):
        """(status, body bytes, is it whole); once more if the connection had been closed meanwhile."""
        headers = {"Content-Type": content_type} if content_type else {}
        if token:
            headers["X-Millrace-Token"] = token
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            self._connection.close()
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        received = answer.read()
        return answer.status, received, answer.status != 503 and answer.headers["X-Millrace-Degraded"] is None

    def whole(self, method, path, body=None, content_type=None, token=None):
        """(status, body bytes) of the first answer that lacks nothing."""
        last = []

        def answered():
            last[:] = self.send(method, path, body, content_type, token)
            return last[2]

        try:
            wait_until(answered, WHOLE_S, f"{method} {path} is answered by every shard")
        except AssertionError as error:
            raise AssertionError(f"{error}; the last answer is {last}") from None
        return last[0], last[1]

    def ask(self, uid, route, request):
        """(status, answer) of a request to a route, without what changes; None for an answer that is no JSON."""
        status, received = self.whole(*request_to(uid, route, request))
        try:
            return status, without_changing(json.loads(received))
        except ValueError:
            return status, None

    def close(self):
        self._connection.close()


def no_cutoff(env, uid):
    """Searches are ranked to their end, however slow the machine: what is cut short says so in its answer."""
    wait_task(env, env.http("PATCH", f"/indexes/{uid}/settings", {"searchCutoffMs": 60000}), f"the cutoff of {uid}")


def wait_task(env, accepted, what):
    """Until a task that was accepted is final; it must have succeeded."""
    assert accepted.status == 202, f"{what}: {accepted}"
    path = f"/tasks/{accepted.json()['taskUid']}"

    def final():
        answer = env.http("GET", path)
        return answer.json() if answer.status == 200 and answer.json()["status"] in ("succeeded", "failed") else None

    task = env.wait_until(final, TASK_S, f"{what} is final")
    assert task["status"] == "succeeded", f"{what}: {task}"


class SearchedIndex:
    """An index of a test, and what has been published to it."""

    def __init__(self, env, uid, partitions, primary_key="id"):
        self.env = env
        self.uid = uid
        self.primary_key = primary_key
        admin = env.programs["query"].admin_url
        body = {"uid": uid, "primaryKey": primary_key, "partitions": partitions}
        wait_task(env, env.http("POST", admin + "/indexes", body), f"the creation of {uid}")

        def listed():
            rows = env.http("GET", admin + "/indexes").json()["results"]
            return next((row for row in rows if row["uid"] == uid), None)

        row = env.wait_until(listed, TASK_S, f"{uid} is listed")
        self.generation = row["generation"]
        self.log = Index(int(row["id"], 16), row["topic"], partitions, primary_key, row["partitioner"])
        self._producer = env.producer(enable_idempotence=True, acks="all")
        self._ends = {}  # partition → the last offset that Kafka has taken
        self._sent = 0

    def set(self, settings):
        """Changes settings; when it returns, searches obey them."""
        if settings:
            accepted = self.env.http("PATCH", f"/indexes/{self.uid}/settings", settings)
            wait_task(self.env, accepted, f"the settings of {self.uid}")

    def publish(self, documents):
        """Documents whose order is the insertion order: the timestamps rise, and `seq` within one."""
        for document in documents:
            time_ms, seq = divmod(self._sent, RECORDS_A_MS)
            self._sent += 1
            self.send(document[self.primary_key], document, TIME_MS + time_ms, [("seq", str(seq).encode())])
        self.flush()

    def send(self, key, document, timestamp=TIME_MS, headers=()):
        """One record on its way; no document deletes."""
        value = json_bytes(document) if document is not None else None
        self._producer.produce(self.log.topic, key=str(key), value=value, timestamp=timestamp, headers=list(headers),
                               on_delivery=self._delivered)
        self._producer.poll(0)

    def _delivered(self, error, message):
        assert error is None, str(error)
        self._ends[message.partition()] = max(message.offset(), self._ends.get(message.partition(), -1))

    def flush(self):
        """Until Kafka has all of it."""
        assert self._producer.flush(60) == 0, f"Kafka did not take every record of {self.uid}"

    def wait_searchable(self, asker):
        """Until searches cover what was published."""
        offsets = ",".join(f"{partition}@{offset}" for partition, offset in sorted(self._ends.items()))
        status, answer = asker.whole(*request_to(self.uid, "search", {"limit": 0}), token=f"{self.generation};{offsets}")
        assert status == 200, f"{self.uid} with all that was published: {status} {answer}"
