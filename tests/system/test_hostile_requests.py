"""Malformed requests between valid ones, on the same and on neighbouring connections: valid answers stay what they were.

What is malformed is refused with the error that belongs to it, or the connection is closed. MILLRACE_HOSTILE_SEED is the seed,
which every failure names with its step.
"""
import json
import os
import random
import re
import socket
import time

from children import wait_until
from fleet import rows_of
from searching import JSON_TYPE, Asker, SearchedIndex, json_bytes, request_to
from oracle.random_corpus import Corpus
from oracle.random_request import Requests

STEPS, STEPS_FULL = 600, 6000
LINES = 4
VALID = 24
ANSWER_S = 60
HEAD_S = 4  # so long the whole head of a request may take for sure
BODY_BYTES_MAX = 1 << 20
CHANGING = (re.compile(rb'"processingTimeMs":\d+'), re.compile(rb'"requestUid":"[^"]*"'))
UID = "hostile"
PATH = f"/indexes/{UID}/search"


class Line:
    """A connection that stays open; None for an answer when the other side has closed it.

    It is opened when something is sent: who says nothing for some seconds is not waited for.
    """

    def __init__(self, address):
        host, port = address.split(":")
        self.address = (host, int(port))
        self._socket = None

    def close(self):
        if self._socket:
            self._socket.close()
        self._socket = None

    def send(self, sent):
        """What the other side does not want to read any more is nobody's fault."""
        if not self._socket:
            self._socket = socket.create_connection(self.address, ANSWER_S)
            self._received = b""
        try:
            self._socket.sendall(sent)
        except ConnectionError:
            pass

    def end(self):
        """No more is sent."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _more(self):
        try:
            received = self._socket.recv(65536)
        except ConnectionError:
            received = b""
        self._received += received
        return bool(received)

    def answer(self):
        """(status, head, body)"""
        while b"\r\n\r\n" not in self._received:
            if not self._more():
                assert not self._received, f"an answer ends in its head: {self._received!r}"
                return None
        head, _, rest = self._received.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head + b"\r\n").group(1))
        self._received = rest
        while len(self._received) < length:
            assert self._more(), f"an answer ends in its body: {head!r} {self._received!r}"
        body, self._received = self._received[:length], self._received[length:]
        return int(head.split(b" ")[1]), head, body


def request(method, path, body=None, content_type=None, length=None):
    """The bytes of a request; `length` other than the body's."""
    lines = [f"{method} {path} HTTP/1.1", "Host: here"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    if body is not None:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def posted(body, length=None):
    return request("POST", PATH, body, JSON_TYPE, length)


# Bodies, and the code of their refusal.
REFUSED = [
    (b"", "missing_payload"), (b"{", "malformed_payload"), (b'{"q":"x"', "malformed_payload"), (b'{"q":"x"}}', "malformed_payload"),
    (b'{"q":\xff}', "malformed_payload"), (b'{"q":"\xc3\x28"}', "malformed_payload"), (b'{"q":"\xed\xa0\x80"}', "malformed_payload"),
    (b'{"q":"x",}', "malformed_payload"), (b"\x00\x01\x02", "malformed_payload"), (b"[" * 100000, "malformed_payload"),
    (b'{"q":' + b'{"a":' * 5000 + b"1" + b"}" * 5001, "malformed_payload"), (b'{"nothing":1}', "bad_request"), (b'{"q":7}', "invalid_search_q"),
    (b'{"limit":"x"}', "invalid_search_limit"), (b'{"limit":-1}', "invalid_search_limit"), (b'{"offset":1e3}', "invalid_search_offset"),
    (b'{"limit":99999999999999999999}', "invalid_search_limit"), (b'{"facets":"x"}', "invalid_search_facets"),
    (b'{"sort":["n"]}', "invalid_search_sort"), (b'{"sort":["nothing:asc"]}', "invalid_search_sort"),
    (b'{"filter":"n ="}', "invalid_search_filter"), (b'{"filter":"nothing = 1"}', "invalid_search_filter"),
    (b'{"filter":"' + b"(" * 3000 + b'n = 1"}', "invalid_search_filter"), (b'{"filter":"n = 1 AND"}', "invalid_search_filter"),
    (b'{"filter":["n = 1",[["n = 2"]]]}', "invalid_search_filter"), (b'{"matchingStrategy":"none"}', "invalid_search_matching_strategy"),
    (b'{"rankingScoreThreshold":2}', "invalid_search_ranking_score_threshold"),
]
# Heads after which nobody knows where the next request would begin.
HEADS = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"GET\r\n\r\n", b"NONSENSE / HTTP/9.9\r\n\r\n",
         b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: here\r\nContent-Length: -1\r\n\r\n",
         b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
         b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
         b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
         b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000 + b"\r\n", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: here\r\n\r\n"]


class Hostile:
    """Steps of one seed: each sends something malformed and looks at what becomes of it and of its neighbours."""

    def __init__(self, env, seed, valid, node):
        self.dice = random.Random(seed)
        self.valid = valid  # [(bytes, (status, body))]
        self.address = env.programs["query"].listen
        self.lines = [Line(self.address) for _ in range(LINES)]
        self.node = node
        self.kinds = [self.refused, self.refused, self.refused, self.halves, self.left, self.shorter, self.longer, self.oversized,
                      self.head, self.not_waited_for, self.pipelined, self.pipelined, self.question]

    def step(self):
        """What was done, once all of it was as it should be."""
        kind, line = self.dice.choice(self.kinds), self.dice.choice(self.lines)
        try:
            kind(line)
            for each in (line, self.dice.choice(self.lines)):
                self.check_valid(each)
        except (AssertionError, OSError) as error:
            raise AssertionError(f"{kind.__name__}: {type(error).__name__}: {error}") from error
        return kind.__name__

    def check_valid(self, line):
        sent, expected = self.dice.choice(self.valid)
        line.send(sent)
        self.check_answer(line.answer(), sent, expected)

    def check_answer(self, answer, sent, expected):
        assert answer is not None, f"the connection was closed instead of an answer to {sent!r}"
        if is_partial(answer):  # a node stood still, with the machine: the same question must be answered by every shard soon
            answer = wait_until(lambda: self.asked_anew(sent), ANSWER_S, f"{sent!r} is answered by every shard")
        status, _, body = answer
        found = status, without_changing(body)
        assert found == expected, f"{sent!r} is answered {found} instead of {expected}"

    def asked_anew(self, sent):
        """The answer on a connection of its own, if it lacks nothing."""
        line = Line(self.address)
        line.send(sent)
        answer = line.answer()
        line.close()
        assert answer is not None, f"a new connection was closed instead of an answer to {sent!r}"
        return None if is_partial(answer) else answer

    def check_refused(self, answer, sent, code):
        assert answer is not None, f"the connection was closed after {sent[:300]!r}"
        assert answer[0] >= 400 and json.loads(answer[2])["code"] == code, f"{answer} of {sent[:300]!r} instead of {code}"

    # -- what is malformed ----------------------------------------------------

    def refused(self, line):
        """A whole request; the connection stays."""
        body, code = self.dice.choice(REFUSED)
        line.send(posted(body))
        self.check_refused(line.answer(), body, code)

    def halves(self, line):
        """A valid request in two pieces, between which a neighbour is answered."""
        sent, expected = self.dice.choice(self.valid)
        at = self.dice.randrange(1, len(sent))
        begun = time.monotonic()
        line.send(sent[:at])
        self.check_valid(self.dice.choice([other for other in self.lines if other is not line]))
        line.send(sent[at:])
        answer = line.answer()
        if answer is None and time.monotonic() - begun > HEAD_S:
            line.close()  # the machine stood still, and the gateway waited for no more of it
        else:
            self.check_answer(answer, sent, expected)

    def left(self, line):
        """A part of a request, and nobody waits."""
        sent = self.dice.choice(self.valid)[0]
        line.send(sent[:self.dice.randrange(1, len(sent))])
        line.close()

    def shorter(self, line):
        """A length below the body's: a part of it is no JSON, and what is left of it no request."""
        line.send(posted(b'{"q":"some words","limit":3}', length=self.dice.randrange(1, 27)))
        self.check_refused(line.answer(), b"a shorter length", "malformed_payload")
        line.end()
        answer = line.answer()
        assert answer is None or answer[0] >= 400, f"the rest of a body is answered {answer}"
        line.close()

    def longer(self, line):
        """A length above it: what follows is the body's."""
        line.send(posted(b'{"q":"some words"}', length=40) + b"0" * 22)
        self.check_refused(line.answer(), b"a longer length", "malformed_payload")

    def oversized(self, line):
        """Refused before it is read, or once it was."""
        size = BODY_BYTES_MAX + self.dice.choice((1, 4096, 1 << 20))
        line.send(posted(b'{"q":"' + b"a" * (size - 8) + b'"}'))
        answer = line.answer()
        assert answer is None or answer[0] == 413, f"{size} bytes are answered {answer}"
        line.close()

    def head(self, line):
        sent = self.dice.choice(HEADS)
        line.send(sent)
        line.end()
        answer = line.answer()
        assert answer is None or answer[0] >= 400, f"{sent[:300]!r} is answered {answer}"
        line.close()

    def not_waited_for(self, line):
        """Closed while it is answered."""
        for _ in range(self.dice.randint(1, 3)):
            line.send(self.dice.choice(self.valid)[0])
        line.close()

    def pipelined(self, line):
        """Several at once, some of them malformed: answered one after the other."""
        several = []
        for _ in range(self.dice.randint(2, 5)):
            if self.dice.random() < 0.5:
                several.append((*self.dice.choice(self.valid), None))
            else:
                body, code = self.dice.choice(REFUSED)
                several.append((posted(body), None, code))
        line.send(b"".join(sent for sent, _, _ in several))
        for sent, expected, code in several:
            answer = line.answer()
            if code:
                self.check_refused(answer, sent, code)
            else:
                self.check_answer(answer, sent, expected)

    def question(self, line):
        """To a node: settings that nobody has, members of wrong types, a part of a question."""
        asked, line = dict(self.node["asked"]), Line(self.node["listen"])
        name = self.dice.choice(("shards", "settings", "limit", "q"))
        kind = self.dice.randrange(3)
        if kind == 0:
            asked["settings"] = 1 << 40
        elif kind == 1:
            asked[name] = self.dice.choice(([[]], {"x": {}}, 2.5, 1e300))
        body = json_bytes(asked)
        if kind == 2:
            body = body[:self.dice.randrange(len(body))]
        line.send(request("POST", "/search", body, JSON_TYPE))
        answer = line.answer()
        assert answer is None or answer[0] >= 400, f"{body!r} is answered {answer}"
        if kind == 0:
            assert answer[0] == 409 and json.loads(answer[2])["code"] == "settings_version", answer
        line.close()


def is_partial(answer):
    """Whether a shard is missing from it, which it says."""
    status, head, _ = answer
    return status == 503 or b"degraded" in head.lower()


def without_changing(body):
    for changing in CHANGING:
        body = changing.sub(b"", body)
    return body


def valid_requests(asker, source):
    """[(bytes, (status, body))] of requests that find something, and one that does not."""
    valid = []
    while len(valid) < VALID:
        asked = request_to(UID, *source.one())
        status, body = asker.whole(*asked)
        if status == 200:
            valid.append((request(*asked), (status, without_changing(body))))
    return valid


def question_to(env, index):
    """A node, and a question that it answers."""
    explained = env.http("POST", f"/indexes/{UID}/explain", {}).json()
    node, held = next((node, sorted(held)) for node in env.nodes if (held := rows_of(env, index.log, node)))
    asked = {"shards": [{"index": f"{index.log.id:016x}", "partitions": held}], "settings": explained["settings"], "limit": 3,
             "q": "a", "stale": False}
    env.wait_until(lambda: env.http("POST", env.programs[node].url + "/search", asked).status == 200, ANSWER_S,
                   f"{asked} is answered")
    return {"listen": env.programs[node].listen, "asked": asked}


def test_interleaved(env):
    seed = int(os.environ.get("MILLRACE_HOSTILE_SEED", "1"))
    env.plan(nodes=2)
    env.start_all({"query.timeout_ms": "15000"})
    corpus = Corpus(random.Random(f"hostile {seed}"), UID)
    index = SearchedIndex(env, UID, 3)
    asker = Asker(env)
    index.set(corpus.settings)
    index.publish(corpus.documents)
    index.wait_searchable(asker)
    valid = valid_requests(asker, Requests(random.Random(f"requests {seed}"), corpus))
    hostile = Hostile(env, f"steps {seed}", valid, question_to(env, index))
    done = {}
    for step in range(STEPS_FULL if env.full else STEPS):
        try:
            kind = hostile.step()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, step {step}: {error}") from error
        done[kind] = done.get(kind, 0) + 1
    print(f"  {dict(sorted(done.items()))}")
    for line in hostile.lines:
        line.close()
    asker.close()
    assert min(done.values()) > 10 and len(done) == len({kind.__name__ for kind in hostile.kinds}), done


test_interleaved.timeout_s = 600
