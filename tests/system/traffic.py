"""Writes and searches at once, each answer held against what the log says it must be.

Two kinds of documents share an index. The stable ones never change: what a
search finds of them is known exactly, whatever happens. The churning ones are
put and deleted all the time; an answer says in X-Millrace-Token up to which
offset of each partition it covers, and what it shows must be the log's state
at exactly those offsets.

The searchers are a process of their own (this file as a program): they write a
line a search, which the test judges.
"""
import argparse
import json
import os
import random
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from children import Child, wait_until
from fold import partition_of

STABLE_GROUPS = 24
STABLE_IN_GROUP = 15
CHURN_GROUPS = 40
CHURN_IN_GROUP = 6
STABLE_TIME_MS = 1700000000000
DELETED = None  # the body of a version that deletes
RECENT = 20  # versions of a document among which those without an offset are
TOKEN = "x-millrace-token"
DEGRADED = "x-millrace-degraded"


def words(count, seed):
    """Different words of eight letters, so far apart that no typo leads from one to another."""
    dice = random.Random(seed)
    found = set()
    while len(found) < count:
        found.add("".join(dice.choice("bcdfghjklmnpqrstvwxz") for _ in range(8)))
    return sorted(found)


WORDS = words(STABLE_GROUPS + CHURN_GROUPS, 11)


class Stable:
    """The documents that never change, and what searches for them must find."""

    def __init__(self):
        self.documents = []  # in the order of their insertion keys
        for number in range(STABLE_GROUPS * STABLE_IN_GROUP):
            group = number % STABLE_GROUPS
            self.documents.append({"id": f"stable-{number}", "group": WORDS[group], "number": number})

    def publish(self, publisher):
        for place, document in enumerate(self.documents):
            publisher.send(document["id"], json.dumps(document).encode(), timestamp=STABLE_TIME_MS + place)

    def questions(self):
        """[(body, hits, total)]: searches with their whole answers, in order."""
        found = []
        for group in range(STABLE_GROUPS):
            hits = self.documents[group::STABLE_GROUPS]
            for offset, limit in ((0, 20), (0, 5), (4, 7)):
                body = {"q": WORDS[group], "offset": offset, "limit": limit}
                found.append((body, hits[offset:offset + limit], len(hits)))
        return found


class Version:
    """One put or delete of a churning document."""

    def __init__(self, body, sent_at):
        self.body = body
        self.sent_at = sent_at
        self.acknowledged_at = None
        self.offset = None


class Churn(threading.Thread):
    """Puts and deletes documents at a steady rate, and remembers each version with its offset."""

    def __init__(self, env, index, rate, seed):
        super().__init__(daemon=True)
        self._index = index
        self._rate = rate
        self._dice = random.Random(seed)
        self._producer = env.producer(enable_idempotence=True, acks="all")
        self._end = threading.Event()
        self.trouble = None
        self.ids = [f"churn-{number}" for number in range(CHURN_GROUPS * CHURN_IN_GROUP)]
        self.history = {id: [] for id in self.ids}
        self.partitions = {id: partition_of(index, id.encode()) for id in self.ids}
        self.sent = 0

    def group(self, group):
        return self.ids[group::CHURN_GROUPS]

    def run(self):
        start = time.monotonic()
        try:
            while not self._end.wait(0.01):
                while self.sent < (time.monotonic() - start) * self._rate:
                    self._change()
                self._producer.poll(0)
        except Exception as error:  # shown by finish()
            self.trouble = error

    def _change(self):
        number = self._dice.randrange(len(self.ids))
        id = self.ids[number]
        history = self.history[id]
        body = DELETED
        if self._dice.random() >= 0.2:
            body = {"id": id, "group": WORDS[STABLE_GROUPS + number % CHURN_GROUPS], "version": len(history)}
        version = Version(body, time.monotonic())
        history.append(version)
        self.sent += 1
        value, headers = json.dumps(body).encode(), None
        if body is DELETED:
            value, headers = (None, None) if self._dice.random() < 0.5 else (b"ignored", [("op", b"delete")])
        self._producer.produce(self._index.topic, key=id, value=value, headers=headers,
                               on_delivery=lambda error, message: self._delivered(version, error, message))

    def _delivered(self, version, error, message):
        if error:
            self.trouble = AssertionError(f"Kafka did not take a record: {error}")
        version.offset = message.offset()
        version.acknowledged_at = time.monotonic()

    def acknowledged_until(self):
        """Every version sent before this moment has its offset."""
        waiting = [version.sent_at for history in self.history.values() for version in history[-RECENT:]
                   if version.offset is None]
        return min(waiting, default=time.monotonic())

    def finish(self):
        self._end.set()
        self.join(60)
        left = self._producer.flush(120)
        if self.trouble:
            raise self.trouble
        assert left == 0, f"{left} records are not acknowledged"


class Judge:
    """Holds answers of searches for churning documents against the versions in the log.

    An answer that says what it covers must be exactly that. Besides, none may
    be shown `stale_s` after its successor was acknowledged: a new owner of a
    slot comes after the session's 6 s, and a replica out of sync is not asked
    after 15 s; a replica whose disk was put back by minutes would be caught.
    """

    def __init__(self, churn, stale_s):
        self._churn = churn
        self._stale_s = stale_s
        self._unjudged = []

    def troubles(self, entries, everything=False):
        """What is wrong with these and earlier answers; those stay for later whose versions have no offset yet."""
        until = self._churn.acknowledged_until()
        self._unjudged += entries
        now = [entry for entry in self._unjudged if everything or entry["to"] < until]
        self._unjudged = [entry for entry in self._unjudged if not everything and entry["to"] >= until]
        found = []
        for entry in now:
            trouble = entry.get("failed") or entry.get("wrong") or ("hits" in entry and self.fault_in(entry))
            if trouble:
                found.append(f"search for {entry.get('q')} in {entry['to'] - entry['from']:.2f} s: {trouble}")
        return found

    def fault_in(self, entry):
        """What is wrong with an answer; None if nothing is."""
        covered = positions(entry["token"])
        if not covered:
            return "the answer does not say what it covers"
        for partition, offset in positions(entry["presented"]).items():
            if covered.get(partition, -1) < offset:
                return f"asked with {entry['presented']}, answered {entry['token']}"
        shown = {hit["id"]: hit for hit in entry["hits"]}
        if len(shown) < len(entry["hits"]):
            return f"finds a document twice: {entry['hits']}"
        ids = self._churn.group(entry["group"])
        for stranger in shown.keys() - set(ids):
            return f"finds {stranger}"
        for id in ids:
            trouble = self._fault_of(id, shown.get(id), covered, entry["from"])
            if trouble:
                return f"{id}: {trouble}; covered {entry['token']}"
        return None

    def _fault_of(self, id, shown, covered, asked_at):
        history = self._churn.history[id]
        upto = covered.get(self._churn.partitions[id], -1)
        last = -1
        while last + 1 < len(history) and history[last + 1].offset is not None and history[last + 1].offset <= upto:
            last += 1
        expected = history[last].body if last >= 0 else None
        if shown != expected:
            return f"shows {shown}, at offset {upto} the log says {expected}"
        following = history[last + 1] if last + 1 < len(history) else None
        if following and following.acknowledged_at and following.acknowledged_at < asked_at - self._stale_s:
            return f"shows {shown}, {asked_at - following.acknowledged_at:.1f} s after {following.body} was acknowledged"
        return None


def positions(token):
    """{partition: offset} of a token "generation;p@offset,…"; {} for none."""
    if not token:
        return {}
    places = token.split(";", 1)[1]
    return {int(p): int(offset) for p, offset in (place.split("@") for place in places.split(",") if place)}


class Searches:
    """The searchers' process, and what it has seen so far."""

    def __init__(self, env, stable, rate, threads):
        order = {"place": env.programs["query"].listen, "rate": rate, "threads": threads,
                 "questions": stable.questions(), "churn": WORDS[STABLE_GROUPS:]}
        path = env.directory / "searches.json"
        path.write_text(json.dumps(order))
        self._output = env.directory / "searches.out"
        self._read = 0
        self._waiting = []
        self.count = 0
        self._child = Child("searches", [sys.executable, __file__, path], self._output)

    def take(self):
        """The searches that were answered since the last call."""
        assert self._child.running(), "the searchers have ended: " + self._child.output()[-500:]
        self._look()
        taken, self._waiting = self._waiting, []
        return taken

    def _look(self):
        with self._output.open("rb") as output:
            output.seek(self._read)
            content = output.read()
        whole = content.rfind(b"\n") + 1
        self._read += whole
        new = [json.loads(line) for line in content[:whole].splitlines()]
        self._waiting += new
        self.count += len(new)

    def wait_more(self, count, deadline_s=240):
        """Until `count` further searches were answered."""
        self._look()
        wanted = self.count + count

        def enough():
            self._look()
            return self.count >= wanted

        wait_until(enough, deadline_s, f"{count} further searches are answered")

    def finish(self):
        """Ends the searchers; the searches since the last call of take()."""
        code = self._child.terminate()
        assert code == 0, f"the searchers ended with {code}: {self._child.output()[-500:]}"
        self._look()
        taken, self._waiting = self._waiting, []
        return taken


# ---- the searchers' process -------------------------------------------------------------------


class Failed(Exception):
    pass


class Connection:
    """HTTP/1.1 over one kept connection, no more than is needed."""

    def __init__(self, place):
        host, port = place.rsplit(":", 1)
        self._place = (host, int(port))
        self._socket = None

    def ask(self, path, body, headers=()):
        """(status, {header: value}, body)"""
        content = json.dumps(body).encode()
        head = [f"POST {path} HTTP/1.1", "Host: gateway", "Content-Type: application/json",
                f"Content-Length: {len(content)}", *headers]
        try:
            if not self._socket:
                self._socket = socket.create_connection(self._place, timeout=20)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall("\r\n".join([*head, "", ""]).encode() + content)
            return self._answer()
        except OSError as error:
            self.close()
            raise Failed(repr(error)) from None

    def _answer(self):
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, body = received.split(b"\r\n\r\n", 1)
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        while len(body) < int(headers["content-length"]):
            body += self._more()
        if headers.get("connection", "").lower() == "close":
            self.close()
        return int(status.split()[1]), headers, body

    def _more(self):
        part = self._socket.recv(65536)
        if not part:
            raise ConnectionError("the gateway closed the connection in an answer")
        return part

    def close(self):
        if self._socket:
            self._socket.close()
        self._socket = None


class Searcher(threading.Thread):
    """Asks at a steady rate; behind its time it asks without a pause."""

    def __init__(self, order, number, out):
        super().__init__()
        self._order = order
        self._dice = random.Random(number)
        self._out = out
        self._connection = Connection(order["place"])
        self._token = None

    def run(self):
        interval = self._order["threads"] / self._order["rate"]
        due = time.monotonic() + self._dice.random() * interval
        while not self._out.end.wait(max(0, due - time.monotonic())):
            due += interval
            entry = {"from": time.monotonic()}
            try:
                (self._churn if self._dice.random() < 0.4 else self._stable)(entry)
            except Failed as failure:
                entry["failed"] = str(failure)
            entry["to"] = time.monotonic()
            self._out.put(entry)
        self._connection.close()

    def _search(self, body, entry, headers=()):
        entry["q"] = body["q"]
        status, headers, content = self._connection.ask("/indexes/busy/search", body, headers)
        if status != 200 or DEGRADED in headers:
            raise Failed(f"{status} {DEGRADED}={headers.get(DEGRADED)} {content[:300]!r}")
        return headers, json.loads(content)

    def _stable(self, entry):
        body, hits, total = self._dice.choice(self._order["questions"])
        _, answer = self._search(body, entry)
        if answer["hits"] != hits or answer["estimatedTotalHits"] != total:
            entry["wrong"] = f"{body}: {len(answer['hits'])} hits of {answer['estimatedTotalHits']}, not {len(hits)} of " \
                             f"{total}: {json.dumps(answer)[:1000]}"

    def _churn(self, entry):
        group = self._dice.randrange(len(self._order["churn"]))
        presented = self._token if self._dice.random() < 0.5 else None
        headers, answer = self._search({"q": self._order["churn"][group], "limit": 100}, entry,
                                       [f"X-Millrace-Token: {presented}"] if presented else [])
        self._token = headers.get(TOKEN)
        entry.update(group=group, hits=answer["hits"], token=self._token, presented=presented)


class Output:
    def __init__(self):
        self.end = threading.Event()
        self._lock = threading.Lock()

    def put(self, entry):
        line = json.dumps(entry) + "\n"
        with self._lock:
            os.write(1, line.encode())


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("order", type=Path)
    order = json.loads(arguments.parse_args().order.read_text())
    out = Output()
    signal.signal(signal.SIGTERM, lambda *_: out.end.set())
    searchers = [Searcher(order, number, out) for number in range(order["threads"])]
    for searcher in searchers:
        searcher.start()
    out.end.wait()
    for searcher in searchers:
        searcher.join()


if __name__ == "__main__":
    main()
