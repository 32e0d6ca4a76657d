"""Reads from several replicas: who is asked, what a slow or dead node costs, tokens, and hundreds of connections."""
import http.client
import json
import selectors
import socket
import threading
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

from children import wait_until
from documents import Publisher, made
from fleet import rows_of
from replica_view import create_index, log_ends
from searching import no_cutoff

DOCUMENTS = made(300)
PARTITIONS = 3
WORDS = sorted({word for _, body in DOCUMENTS for word in json.loads(body)["text"].split() if word.isascii()})[:60]
HEDGES_AT_ONCE = 10
HEDGE_EVERY = 10
CONNECTIONS = 500
CLIENT_THREADS = 4
PATIENCE = {"query.timeout_ms": 15000}
ROUNDS = 6


class Reader:
    """One keep-alive connection to the gateway."""

    def __init__(self, env, uid="books"):
        self._env = env
        self._connection = http.client.HTTPConnection(env.programs["query"].listen, timeout=90)
        self._uid = uid

    def ask(self, path, token=None):
        self._connection.request("GET", f"/indexes/{self._uid}{path}", headers={"X-Millrace-Token": token} if token else {})
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers

    def search(self, q, token=None):
        return self.ask("/search?" + urllib.parse.urlencode({"q": q}), token)

    def whole(self, q):
        """The answer of a search that must be neither refused nor degraded."""
        return comparable(self.unflagged("/search?" + urllib.parse.urlencode({"q": q})))

    def unflagged(self, path):
        """The body of an answer that must lack nothing, but for what nodes lack that stood still with the machine."""
        status, body, headers = self.ask(path)
        if headers["X-Millrace-Degraded"] is not None and self._env.stood_still("shard"):
            status, body, headers = wait_until(lambda: self._whole(path), 60, "the nodes serve again")
        assert status == 200 and headers["X-Millrace-Degraded"] is None, f"{path}: {status} {headers['X-Millrace-Degraded']} {body}"
        return body

    def _whole(self, path):
        answer = self.ask(path)
        return answer if answer[2]["X-Millrace-Degraded"] is None else None


def comparable(body):
    return {key: value for key, value in body.items() if key not in ("processingTimeMs", "requestUid")}


def library(env, proxied=True, **settings):
    """An index `books` with DOCUMENTS on two nodes, two replicas a shard, all serving."""
    env.plan(nodes=2, rf=2, proxied=proxied)
    env.start_all({**PATIENCE, **settings})
    index = create_index(env, "books", PARTITIONS)
    no_cutoff(env, "books")
    publisher = Publisher(env, index.topic)
    for id, body in DOCUMENTS:
        publisher.send(id, body)
    publisher.flush()
    wait_serving(env, index)
    return index


def wait_serving(env, index):
    ends = log_ends(env, index)

    def level():
        rows = [row for node in env.nodes for row in rows_of(env, index, node).items()]
        return len(rows) == 2 * PARTITIONS and all(row["state"] == "active" and row["received"] >= ends[partition]
                                                   for partition, row in rows)

    wait_until(level, 120, "two replicas of each shard serve")


def count(env, name, **labels):
    text = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return env.metrics("query").get(f"{name}{{{text}}}" if text else name, 0)


def asked(env, node):
    return count(env, "millrace_query_node_duration_seconds_count", node=node)


def legs(env):
    return sum(value for name, value in env.metrics("query").items() if name.startswith("millrace_query_legs_total"))


def test_a_node_of_two(env):
    """Both are asked; one that is silent, and then one that is dead, costs no reader anything."""
    library(env)
    reader = Reader(env)
    expected = {word: reader.whole(word) for word in WORDS}
    assert sum(len(answer["hits"]) for answer in expected.values()) > len(WORDS)

    def shared():
        before = {node: asked(env, node) for node in env.nodes}
        for word in WORDS:
            assert reader.whole(word) == expected[word], word
        return min(asked(env, node) - before[node] for node in env.nodes) > len(WORDS) / 4

    wait_until(shared, 120, "each of two nodes gets a quarter of the searches")

    env.proxy.set("n1", "black_hole", source="query")
    for _ in range(3):
        for word in WORDS:
            assert reader.whole(word) == expected[word], word
    assert count(env, "millrace_query_hedges_total", result="won") > 0
    sent = count(env, "millrace_query_hedges_total", result="sent")
    assert sent <= HEDGES_AT_ONCE + legs(env) / HEDGE_EVERY, f"{sent} hedges in {legs(env)} questions"
    env.proxy.clear()

    env.programs["n2"].kill9()
    for _ in range(2):
        for word in WORDS:
            assert reader.whole(word) == expected[word], word
    # by id as well, and what is not there is not there
    for id, body in DOCUMENTS[:40]:
        assert reader.unflagged(f"/documents/{id.decode()}") == json.loads(body), id
    assert reader.ask("/documents/never-published")[0] == 404
    assert count(env, "millrace_search_degraded_total", reason="shards") == 0
    assert count(env, "millrace_search_degraded_total", reason="stale") == 0 or env.stood_still("shard")
    env.programs["n1"].kill9()
    status, body, _ = reader.search(WORDS[0])
    assert (status, body["code"]) == (503, "unavailable"), (status, body)


def test_a_replica_that_is_not_fed(env):
    """A read with a token is answered by the replica that has received what it names, never by the other."""
    index = library(env)
    env.proxy.set("n1", "black_hole", source="ingest", direction="up")
    producer = env.producer(enable_idempotence=True, acks="all")
    reader = Reader(env)
    delivered = []
    for number in range(30):
        id = f"fresh-{number}"
        producer.produce(index.topic, key=id, value=json.dumps({"id": id, "text": f"fresh{number} written"}).encode(),
                         on_delivery=lambda error, message: delivered.append((error, message)))
        assert producer.flush(30) == 0
        error, message = delivered[-1]
        assert error is None, error
        token = f"1;{message.partition()}@{message.offset()}"
        status, body, headers = reader.search(f'"fresh{number}"', token)
        assert status == 200 and [hit["id"] for hit in body["hits"]] == [id], (number, status, body)
        status, body, _ = reader.ask(f"/documents/{id}", token)
        assert status == 200 and body["id"] == id, (number, status, body)
        status, body, _ = reader.ask("/documents?limit=1000", token)
        assert status == 200 and id in [document["id"] for document in body["results"]], (number, status)
        # what an answer covers is a token too: the next read goes back behind no earlier one
        status, body, _ = reader.search(f'"fresh{number}"', headers["X-Millrace-Token"])
        assert status == 200 and len(body["hits"]) == 1, (number, status, body)
    env.proxy.clear()
    # a token beyond the log's end is waited for until the deadline, and then refused
    status, body, _ = reader.search("fresh1", f"1;0@{log_ends(env, index)[0] + 1000}")
    assert (status, body["code"]) == (503, "consistency_token_not_reached"), (status, body)


class Crowd(threading.Thread):
    """Many keep-alive connections of one thread; each sends its next request when it has its answer."""

    def __init__(self, env, first, connections, rounds, expected):
        super().__init__()
        self._env = env
        self._place = env.programs["query"].listen.rsplit(":", 1)
        self._numbers = range(first, first + connections)
        self._rounds = rounds
        self._expected = expected
        self.answers = 0
        self.trouble = None

    def run(self):
        try:
            self._run()
        except Exception as error:  # shown by the test
            self.trouble = error

    def _run(self):
        selector = selectors.DefaultSelector()
        left = {}
        for number in self._numbers:
            connection = socket.create_connection((self._place[0], int(self._place[1])), timeout=90)
            left[connection] = self._rounds
            selector.register(connection, selectors.EVENT_READ, [number, bytearray()])
            self._send(connection, number)
        while left:
            ready = selector.select(90)
            assert ready, f"{len(left)} connections without an answer"
            for key, _ in ready:
                self._read(selector, left, key.fileobj, key.data)

    def _send(self, connection, number):
        path = "/indexes/books/search?" + urllib.parse.urlencode({"q": WORDS[number % len(WORDS)], "limit": 20 + number})
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def _read(self, selector, left, connection, state):
        number, received = state
        piece = connection.recv(65536)
        assert piece, f"connection {number} was closed"
        received += piece
        head, separator, body = bytes(received).partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(next(line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")))
        if len(body) < length:
            return
        if b"X-Millrace-Degraded" in head and self._env.stood_still("shard"):
            received.clear()
            self._send(connection, number)
            return
        assert head.startswith(b"HTTP/1.1 200 ") and b"X-Millrace-Degraded" not in head, (head, body[:300])
        answer = json.loads(body)
        word = WORDS[number % len(WORDS)]
        assert answer["query"] == word and answer["limit"] == 20 + number, (number, answer)
        assert [hit["id"] for hit in answer["hits"]][:20] == self._expected[word], (word, answer)
        self.answers += 1
        received.clear()
        left[connection] -= 1
        if left[connection] > 0:
            self._send(connection, number)
            return
        selector.unregister(connection)
        connection.close()
        del left[connection]


def test_a_node_stands_still(env):
    """Stopped with questions on it, more than the hedges' budget: every reader still gets its whole answer."""
    library(env, proxied=False)
    reader = Reader(env)
    expected = {word: [hit["id"] for hit in reader.whole(word)["hits"]] for word in WORDS}
    crowd = Crowd(env, 0, 6 * HEDGES_AT_ONCE, 20, expected)
    crowd.start()
    wait_until(lambda: crowd.answers > 100 or crowd.trouble, 60, "searches are under way")
    env.programs["n1"].stop()
    crowd.join()
    env.programs["n1"].cont()
    assert crowd.trouble is None, crowd.trouble
    assert crowd.answers == 6 * HEDGES_AT_ONCE * 20


def test_hundreds_of_connections(env):
    """500 connections at once, no two searches equal: each gets its own whole answer."""
    library(env, proxied=False, **{"query.timeout_ms": 60000})
    reader = Reader(env)
    expected = {word: [hit["id"] for hit in reader.whole(word)["hits"]] for word in WORDS}
    share = CONNECTIONS // CLIENT_THREADS
    crowds = [Crowd(env, number * share, share, ROUNDS, expected) for number in range(CLIENT_THREADS)]
    for crowd in crowds:
        crowd.start()
    for crowd in crowds:
        crowd.join()
    assert [crowd.trouble for crowd in crowds] == [None] * CLIENT_THREADS, [crowd.trouble for crowd in crowds]
    assert sum(crowd.answers for crowd in crowds) == CONNECTIONS * ROUNDS
    # the gateway has forgotten them: nothing is in flight any more
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda word: Reader(env).whole(word), WORDS))
    assert [[hit["id"] for hit in answer["hits"]] for answer in answers] == [expected[word] for word in WORDS]
    failed = count(env, "millrace_query_legs_total", outcome="failed") + count(env, "millrace_query_legs_total", outcome="unsent")
    assert failed == 0, f"{failed} questions to nodes failed"


test_hundreds_of_connections.timeout_s = 600
