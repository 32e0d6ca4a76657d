"""A flood of records that cannot be applied, good ones between them: all good ones are found, every bad one has its letter.

Every refusal of shared/record/record.h is among them, each in several hostile forms. What must come of them says the
fold; that each form is refused for the reason for which it was made is checked beside.
"""
import collections
import itertools
import json
import random
import threading
import time

from documents import Publisher
from fold import learn, partition_of
from replica_view import assert_dead_letters, assert_is_fold, create_index, wait_level
from test_feeding import whole

POISON = 100_000
GOOD_EVERY = 8  # one good record among so many
PARTITIONS = 3
SOURCES_MAX = 4096
LARGEST = 4 * 1024 * 1024
LARGE = 6  # records beyond the limit, which are dear
SAMPLE_S = 0.05
SEED = 745476767  # with --full another one each time
LATE_S = 1  # who wakes so much later than it wanted stood still itself, with the machine
STALL_S_MAX = 10
STALL_S_AIM = 1
WORD = "wheatear"

HOSTILE_HEADERS = (
    [], [("", b"")], [("op ", b"delete"), ("OP", b"delete-all")], [("\u202eop", b"\xff\xfe"), ("seq ", None)],
    [("trace", None)] * 40, [("x" * 2000, b"y" * 2000)], [("millrace.error.code", b"not_json")],
    [("__connect.errors.topic", b"elsewhere"), ("__connect.errors.offset", b"-1"), ("millrace.truncated", b"9")],
    [("content-type", b"application/x-" + b"\x1b[31m" * 30)],
)
BARRIER = [("op", b"delete-by-filter")]

# (code, value, headers): of records whose key is a fresh document id in its own partition
REFUSED = [
    *(("unknown_operation", b"{}", [("op", op)]) for op in (b"", None, b"PUT", b"put ", b"\xff" * 300, b"delete\x00", b"7" * 9000)),
    *(("invalid_header", b"{}", [header]) for header in (
        ("seq", b""), ("seq", None), ("seq", b"-1"), ("seq", b"01"), ("seq", b"4294967296"), ("seq", b"9" * 5000), ("seq", b"1 "),
        ("seq", "١".encode()), ("created", b"1"), ("created", b"1/2"), ("created", b"-5.0"), ("created", b"9223372036854775808.0"),
        ("created", b"1.4294967296"), ("created", b"."), ("if-offset", b"0"), ("if-offset", None), ("idempotency-key", b""),
        ("idempotency-key", None), ("idempotency-key", b"k" * 1025), ("origin", None), ("origin", b"s/0/0.0"),
        ("origin", b"s.1/0/0.0/1"), ("origin", b"s.4294967296/0/0.0"), ("origin", b"s.1/2147483648/0.0"),
        ("origin", b"s.1/0/9223372036854775808.0"), ("origin", b"s.01/0/0.0"), ("origin", b"a b.1/0/0.0"),
        ("origin", b"s" * 250 + b".1/0/0.0"))),
    ("invalid_header", b"{}", [("ce_source", b"s"), ("ce_id", b"")]),
    ("invalid_header", b"{}", [("ce_source", b"s" * 1025), ("ce_id", b"1")]),
    *(("not_json", value, []) for value in (
        b"{", b" ", b"\x00", b"{}{}", b'{"a":1,}', b"{'a':1}", b'{"a":01}', b'{"a":+1}', b'{"a":.5}', b'{"a":NaN}', b'{"a":1e}',
        b'{"a":"\x01"}', b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\\ud800"}', b'{"a":"\\u12"}', b'{"a":"\\x41"}', b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00", b"{\"a\":'b'}", b"// {}", b'{"a":tru}', b"Infinity", b"{" * 500, b"\x80\x04\x95", b"a,b\n1,2\n")),
    *(("too_deep", value, []) for value in (
        b"[" * 129 + b"]" * 129, b'{"a":' * 129 + b"0" + b"}" * 129, b'{"x":1,"a":' + b"[" * 20000 + b"]" * 20000 + b"}")),
    *(("not_an_object", value, []) for value in (b"[]", b"null", b"0", b"-1.5e300", b'"text"', b"true", b"[{}]", b" \n[1]\t")),
    *(("id_mismatch", value, []) for value in (
        b'{"id":"other"}', b'{"id":null}', b'{"id":7}', b'{"id":["x"]}', b'{"id":{"id":"x"}}', b'{"\\u0069d":"other"}', b'{"id":""}')),
]
FILTERS = (b"", b'""', b"[]", b"null", b"7", b"{}", b'"n"', b'"n ="', b'"n = 1 AND"', b'"(n = 1"', b'["n = 1", 5]', b'"n IN [1"',
           b'"' + b"NOT " * 400 + b'n = 1"', b'"_geoRadius(1, 2, 3)"')


class Flood:
    """Sends everything, and remembers for which reason each record was made."""

    def __init__(self, env, index, dice):
        self.index = index
        self.dice = dice
        self.publisher = Publisher(env, index.topic, linger_ms=20)
        self.numbers = itertools.count()
        self.good = []
        self.made = collections.Counter()

    def fresh(self):
        return f"x-{next(self.numbers)}".encode()

    def home(self, key):
        return partition_of(self.index, key)

    def anywhere(self):
        return self.dice.randrange(self.index.partitions)

    def send_good(self, *headers, partition=None):
        id = f"good-{len(self.good)}"
        if partition is not None:
            while self.home(id.encode()) != partition:
                id += "a"
        self.good.append(id)
        body = json.dumps({"id": id, "text": WORD, "number": len(self.good)}).encode()
        self.publisher.send(id, body, [*self.dice.choice(HOSTILE_HEADERS), *headers], partition=self.home(id.encode()))

    def send_bad(self, code, key, value, headers, partition):
        self.made[code] += 1
        self.publisher.send(key, value, [*self.dice.choice(HOSTILE_HEADERS), *headers], partition=partition)

    # -- one record of a kind -----------------------------------------------

    def refused(self):
        code, value, headers = self.dice.choice(REFUSED)
        key = self.fresh()
        self.send_bad(code, key, value, headers, self.home(key))

    def keyless(self):
        self.send_bad("missing_key", self.dice.choice((None, b"")), self.dice.choice((b"{}", None, b"x")), [], self.anywhere())

    def invalid_id(self):
        key = self.dice.choice((b" ", b"a b", b"\xff\xfe", "ü".encode(), b"a" * 512, b"k" * 60000, b"a\x00", b"a/b", b"\n", b"a.b"))
        self.send_bad("invalid_document_id", key, self.dice.choice((b"{}", None)), [], self.anywhere())

    def wrong_partition(self):
        key = self.fresh()
        others = [p for p in range(self.index.partitions) if p != self.home(key)]
        self.send_bad("wrong_partition", key, self.dice.choice((b"{}", None, b"{")), [], self.dice.choice(others))

    def unexpected_key(self):
        key = self.fresh()
        self.send_bad("unexpected_key", key, b'"id = x"', [("op", self.dice.choice((b"delete-by-filter", b"delete-all")))],
                      self.home(key))

    def invalid_filter(self):
        self.send_bad("invalid_filter", None, self.dice.choice(FILTERS), BARRIER, self.anywhere())

    def reused(self):
        """A key that a good record has, on the same document, for something else."""
        self.send_good(("idempotency-key", b"key-%d" % len(self.good)))
        id = self.good[-1].encode()
        self.send_bad("idempotency_key_reused", id, self.dice.choice((b"{}", None)),
                      [("idempotency-key", b"key-%d" % (len(self.good) - 1))], self.home(id))

    def another_source(self):
        """To partition 0, whose sources are used up."""
        key = self.fresh()
        while self.home(key) != 0:
            key = self.fresh()
        self.send_bad("too_many_sources", key, b"{}", [("origin", b"flood-%d.1/0/1.0" % next(self.numbers))], 0)

    def use_up_sources(self):
        for number in range(SOURCES_MAX):
            self.send_good(("origin", b"source.%d.1/0/1.0" % number), partition=0)

    def large(self):
        key = self.fresh()
        self.send_bad("too_large", key, b'{"a":"' + b"x" * LARGEST + b'"}', [], self.home(key))

    def run(self):
        self.use_up_sources()
        kinds = [self.refused] * 12 + [self.keyless, self.invalid_id, self.wrong_partition, self.unexpected_key,
                                       self.invalid_filter, self.reused, self.another_source]
        for number in range(POISON - LARGE):
            self.dice.choice(kinds)()
            if number % GOOD_EVERY == 0:
                self.send_good()
            if number % (POISON // LARGE) == 0:
                self.large()
        for _ in range(LARGE - self.made["too_large"]):
            self.large()
        self.publisher.flush(300)
        assert sum(self.made.values()) >= POISON, self.made


class Progress(threading.Thread):
    """How long nothing more was received of a log that has more, and how long nothing went on at all.

    A range leaves only when all of its dead letters are acknowledged, so what is received moves in steps; what ingest
    has read moves with each record.
    """

    def __init__(self, env, index):
        super().__init__(daemon=True)
        self._env = env
        self._index = index
        self._end = threading.Event()
        self.received_s = 0.0
        self.anything_s = 0.0
        self.at_worst = ""  # what ingest said then
        self.total = 0
        self.trouble = None

    def run(self):
        try:
            received = anything = None
            received_at = anything_at = time.monotonic()
            slept_at = time.monotonic()
            while not self._end.wait(SAMPLE_S):
                late = time.monotonic() - slept_at - SAMPLE_S
                if late > LATE_S:
                    received_at, anything_at = received_at + late, anything_at + late
                rows = self._ingest()
                now_received = [row["received"] for row in rows]
                now_anything = [(row["position"], row["dead_letters_pending"]) for row in rows]
                now = time.monotonic()
                level = all(row["received"] >= row["log_end"] for row in rows)
                if received != now_received or level:
                    received, received_at = now_received, now
                if anything != now_anything or level:
                    anything, anything_at = now_anything, now
                if now - received_at > self.received_s:
                    self.received_s, self.at_worst = now - received_at, rows
                self.anything_s = max(self.anything_s, now - anything_at)
                self.total = sum(now_received)
                slept_at = time.monotonic()
        except Exception as error:  # shown by finish()
            self.trouble = error

    def _ingest(self):
        rows = self._env.http("GET", self._env.programs["ingest"].admin_url + "/status", timeout=60).json()["shards"]
        return [{name: row[name] for name in ("partition", "position", "received", "log_end", "dead_letters_pending")}
                for row in sorted(rows, key=lambda row: row["partition"])]

    def finish(self):
        self._end.set()
        self.join(90)
        if self.trouble:
            raise self.trouble


def test_poison(env):
    seed = random.SystemRandom().randrange(2**32) if env.full else SEED
    print(f"          poison: seed {seed}", flush=True)
    env.start_all({"query.timeout_ms": "30000"})  # a page far behind is no quick answer
    index = create_index(env, "books", PARTITIONS)
    learn(env.kafka.bootstrap, index)
    flood, progress = Flood(env, index, random.Random(seed)), Progress(env, index)
    start = time.monotonic()
    progress.start()
    try:
        flood.run()
        wait_level(env, index, 600)
    finally:
        progress.finish()
    seconds = time.monotonic() - start
    print(f"          poison: {progress.total} records in {seconds:.0f} s; nothing was received for at most "
          f"{progress.received_s:.2f} s (aim: {STALL_S_AIM} s; then: {progress.at_worst}), nothing went on for at most "
          f"{progress.anything_s:.2f} s", flush=True)
    shards = assert_is_fold(env, index)
    assert_dead_letters(env, shards)
    refused = collections.Counter(code for shard in shards for code in shard.dead_letters.values())
    assert refused == flood.made, f"refused for another reason: {refused - flood.made}, made for: {flood.made - refused}"
    good = {id.encode() for id in flood.good}
    assert {id for shard in shards for id in shard.documents} == good
    assert_found(env, flood.good)
    print(f"          poison: {sum(refused.values())} dead letters of {len(refused)} kinds beside {len(good)} documents", flush=True)
    assert progress.anything_s < STALL_S_MAX, f"nothing went on for {progress.anything_s:.1f} s"


def assert_found(env, ids):
    """All of them, by a word that each has, through the gateway."""
    stats = whole(env, "GET", "/indexes/books/stats").json()
    assert stats["numberOfDocuments"] == len(ids), stats
    answer = whole(env, "POST", "/indexes/books/search", {"q": WORD, "limit": 1000}).json()
    assert len(answer["hits"]) == 1000 and {hit["id"] for hit in answer["hits"]} <= set(ids), answer
    found, offset = set(), 0
    while page := whole(env, "GET", f"/indexes/books/documents?offset={offset}&limit=1000&fields=id").json()["results"]:
        found |= {document["id"] for document in page}
        offset += 1000
    assert found == set(ids), f"{len(set(ids) - found)} are not found"


test_poison.timeout_s = 1200
