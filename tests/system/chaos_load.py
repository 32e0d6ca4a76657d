"""Producers that do to an index whatever a log may hold: all operations, repeated, contradicted and refused.

Each sends until it is held, over its own client without Kafka's idempotence: what times out it sends again under the
same idempotency key, so that the log really has records twice. What the log then means is not decided here but by the
fold (fold.py); a producer only remembers what Kafka has acknowledged, and where.
"""
import collections
import json
import random
import threading
import time

from fold import partition_of

SHARED = 300  # documents that all producers change
GROUPS = 20
RECENT = 3000  # of so many records some are sent again
QUEUE_S = 3  # Kafka's time to take a record; then it is sent again
ACK_S = 240
OPEN_MAX = 200  # records without an answer; then nothing new is sent
POISON = (
    (b'{"id":', [], "not_json"), (b"[1]", [], "not_an_object"), (b'{"id":"another"}', [], "id_mismatch"),
    (b"{}", [("seq", b"x")], "invalid_header"), (b"{}", [("op", b"upsert")], "unknown_operation"),
    (b"[" * 200 + b"]" * 200, [], "too_deep"))


class Producer(threading.Thread):
    """One of several."""

    def __init__(self, env, index, number, rate, seed):
        super().__init__(daemon=True)
        self._index = index
        self._name = f"p{number}"
        self._rate = rate
        self._dice = random.Random(seed)
        self._producer = env.producer(acks="all", message_timeout_ms=QUEUE_S * 1000, linger_ms=5)
        self._end = threading.Event()
        self._hold = threading.Event()
        self._held = threading.Event()
        self._open = 0  # records that Kafka has neither acknowledged nor refused
        self._again = collections.deque()  # what timed out
        self._recent = collections.deque(maxlen=RECENT)
        self._count = 0
        self.acknowledged = []  # (partition, offset, key)
        self.sent_again = 0
        self.trouble = None

    # -- the thread ---------------------------------------------------------

    def run(self):
        try:
            due = time.monotonic()
            while not self._end.is_set():
                if self._hold.is_set():
                    self._quieten()
                    due = time.monotonic()
                    continue
                self._producer.poll(0.01)
                while self._again:
                    self._send(*self._again.popleft())
                while due < time.monotonic():
                    due += 1 / self._rate
                    if self._open + len(self._again) < OPEN_MAX:
                        self._operation()
        except Exception as error:  # shown by whoever holds or ends it
            self.trouble = error
            self._held.set()

    def _quieten(self):
        """Everything is acknowledged, however often it has to be sent; then waits."""
        end = time.monotonic() + ACK_S
        while self._open or self._again:
            while self._again:
                self._send(*self._again.popleft())
            self._producer.poll(0.05)
            assert time.monotonic() < end, f"{self._name}: Kafka leaves {self._open} records unanswered for {ACK_S} s"
        self._held.set()
        while self._hold.is_set() and not self._end.is_set():
            self._end.wait(0.01)

    def hold(self):
        self._held.clear()
        self._hold.set()

    def wait_held(self):
        assert self._held.wait(ACK_S + 10), f"{self._name} does not come to rest"
        if self.trouble:
            raise self.trouble

    def release(self):
        self._hold.clear()

    def finish(self):
        self._end.set()
        self.join(30)

    # -- records ------------------------------------------------------------

    def _send(self, key, value, headers, partition):
        record = (key, value, headers, partition)

        def delivered(error, message):
            self._open -= 1
            if error:
                self._again.append(record)
                self.sent_again += 1
            else:
                self.acknowledged.append((message.partition(), message.offset(), key))

        while True:
            try:
                self._producer.produce(self._index.topic, key=key, value=value, headers=headers, partition=partition,
                                       on_delivery=delivered)
                break
            except BufferError:
                self._producer.poll(0.05)
        self._open += 1

    def _new(self, key, value, headers=(), partition=None, identity=True):
        self._count += 1
        headers = list(headers)
        if identity:
            headers.append(("idempotency-key", f"{self._name}-{self._count}".encode()))
        if partition is None:
            partition = partition_of(self._index, key)
        self._recent.append((key, value, headers, partition))
        self._send(key, value, headers, partition)

    def _body(self, id, **more):
        text = "".join(self._dice.choice("abcdeäß ") for _ in range(self._dice.randrange(60)))
        document = {"id": id, "g": self._dice.randrange(GROUPS), "n": self._count, "t": text, **more}
        return json.dumps(document, ensure_ascii=self._dice.random() < 0.5).encode()

    def _id(self):
        """A shared document, or one of its own that probably is there."""
        if self._dice.random() < 0.6 or self._count == 0:
            return f"s-{self._dice.randrange(SHARED)}"
        return f"{self._name}-{self._dice.randrange(self._count)}"

    def _operation(self):
        lot = self._dice.random()
        choices = FULL if self._index.contract > 1 else SIMPLE
        next(what for share, what in choices if lot < share)(self)

    # -- what is sent -------------------------------------------------------

    def put_new(self):
        id = f"{self._name}-{self._count}"
        self._new(id.encode(), self._body(id))

    def put(self):
        id = self._id()
        self._new(id.encode(), self._body(id), identity=self._dice.random() < 0.9)

    def merge(self):
        """Adds a field that no other record adds: a lost or doubled merge is seen for ever."""
        id = self._id()
        body = {f"{self._name}_{self._count}": self._count}
        if self._dice.random() < 0.2:
            body["g"] = self._dice.randrange(GROUPS)
        self._new(id.encode(), json.dumps(body).encode(), [("op", b"merge")])

    def if_exists(self):
        id = self._id()
        if self._dice.random() < 0.5:
            self._new(id.encode(), self._body(id), [("op", b"put-if-exists")])
        else:
            body = {f"{self._name}_{self._count}": True}
            self._new(id.encode(), json.dumps(body).encode(), [("op", b"merge-if-exists")])

    def delete(self):
        id = self._id().encode()
        if self._dice.random() < 0.5:
            self._new(id, None)
        else:
            self._new(id, b"ignored", [("op", b"delete")])

    def again(self):
        """A record as it was, near or far behind itself."""
        if self._recent:
            self._send(*self._dice.choice(self._recent))

    def contradict(self):
        """Another operation under an idempotency key that was used."""
        if not self._recent:
            return
        key, _, headers, partition = self._dice.choice(self._recent)
        if key:
            identity = [header for header in headers if header[0] == "idempotency-key"]
            self._send(key, self._body(key.decode(), other=self._count), identity, partition)

    def poison(self):
        id = self._id().encode()
        value, headers, _ = self._dice.choice(POISON)
        lot = self._dice.random()
        if lot < 0.1:
            self._new(None, b"{}", partition=self._dice.randrange(self._index.partitions))
        elif lot < 0.2 and self._index.partitions > 1:
            self._new(id, b"{}", partition=(partition_of(self._index, id) + 1) % self._index.partitions)
        else:
            self._new(id, value, headers)

    def delete_by_filter(self):
        group, low = self._dice.randrange(GROUPS), self._dice.randrange(self._count + 1)
        expression = self._dice.choice((
            f"g = {group} AND n < {low}", f"g IN [{group}, {(group + 1) % GROUPS}] AND NOT n > {low // 4}",
            [f"g = {group}", [f"n < {low // 3}", f"n {low} TO {low + 50}"]], f"{self._name}_{low} EXISTS",
            f"g = {group} AND t IS EMPTY", f"(g > {GROUPS - 2} OR g <= 0) AND other EXISTS", f"g = {group} AND t < b"))
        self._new(None, json.dumps(expression).encode(), [("op", b"delete-by-filter")],
                  partition=self._dice.randrange(self._index.partitions))

    def delete_all(self):
        self._new(None, None, [("op", b"delete-all")], partition=self._dice.randrange(self._index.partitions))


def shares(*rows):
    """[(share so far, what)] that end with 1."""
    total, found = 0, []
    for share, what in rows:
        total += share
        found.append((total, what))
    assert abs(total - 1) < 1e-9, total
    return [*found[:-1], (2, found[-1][1])]


FULL = shares((0.30, Producer.put_new), (0.10, Producer.put), (0.22, Producer.merge), (0.06, Producer.if_exists),
              (0.08, Producer.delete), (0.14, Producer.again), (0.04, Producer.contradict), (0.04, Producer.poison),
              (0.0198, Producer.delete_by_filter), (0.0002, Producer.delete_all))
SIMPLE = shares((0.40, Producer.put_new), (0.20, Producer.put), (0.20, Producer.delete), (0.15, Producer.again),
                (0.05, Producer.poison))


class Load:
    """Several producers, held and released together."""

    def __init__(self, env, index, producers, rate, dice):
        self.producers = [Producer(env, index, number, rate / producers, dice.randrange(2**32)) for number in range(producers)]

    def start(self):
        for producer in self.producers:
            producer.start()

    def hold(self):
        """Returns when Kafka has acknowledged all that was sent."""
        for producer in self.producers:
            producer.hold()
        for producer in self.producers:
            producer.wait_held()

    def release(self):
        for producer in self.producers:
            producer.release()

    def acknowledged(self):
        return [place for producer in self.producers for place in producer.acknowledged]

    def sent_again(self):
        return sum(producer.sent_again for producer in self.producers)

    def finish(self):
        for producer in self.producers:
            producer.finish()
