"""Searches over HTTP, for engine.py: a real Kafka, three nodes, two replicas of each shard, a gateway, default settings.

The catalogue is published to two indexes, of one shard and of eight. The
client is bench_load, keep-alive and without waits of its own; what it and an
answer that asks nobody cost is said as "GET /health".

- one client: each query in turn, by kind and all of them together.
- eight clients: searches/s, of each kind alone and of all in turn.
- written: one client, while the catalogue is published again and again, with
  each id the body of the next entry. What the replicas had not received when
  the searches ended is said beside it.
"""
import json
import multiprocessing
import shutil
import time

from command import ROOT
from corpora import corpus
from query import Load, NODES, RF, publish, search_path
from smoke import percentile, producer_of, replicas_of

from children import wait_until
from environment import Environment, Ports
from kafka_server import KafkaServer
from replica_view import create_index, log_ends

SHARDS = {"one_shard": 1, "eight_shards": 8}
CLIENTS = 8
HEALTH_ROUNDS = 2000
WRITES_PER_SECOND = 5000
TICK_S = 0.005
ALL = "all kinds"


def publish_steadily(bootstrap, topic, documents, line):
    """Runs in a process of its own until it is told to end: says when it has begun, and (records, seconds) at its end."""
    producer = producer_of(bootstrap, **{"linger.ms": 5, "queue.buffering.max.messages": 1000000})
    producer.list_topics(topic, timeout=10)
    start, sent = time.monotonic(), 0
    line.send("begun")
    while not line.poll(TICK_S):
        while sent < (time.monotonic() - start) * WRITES_PER_SECOND:
            key, value = documents[sent % len(documents)]
            producer.produce(topic, key=key, value=value)
            sent += 1
        producer.poll(0)
    left = producer.flush(60)
    line.send((sent - left, time.monotonic() - start))


def renewed(documents):
    """With each id the body of the next entry."""
    return [(key, b'{"id":"%s"' % key + body[len(after) + 8:]) for (key, _), (after, body)
            in zip(documents, documents[1:] + documents[:1])]


class Writes:
    """Records that are published while this is open."""

    def __init__(self, env, index, documents):
        self._env, self._index = env, index
        self._line, there = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=publish_steadily, args=(env.kafka.bootstrap, index.topic, documents, there))

    def __enter__(self):
        self._process.start()
        assert self._line.recv() == "begun"
        started = [row["received"] for _, row in replicas_of(self._env, self._index)]
        wait_until(lambda: all(row["received"] > before for before, (_, row) in
                               zip(started, replicas_of(self._env, self._index))), 60, "every replica receives")
        return self

    def __exit__(self, kind, *_):
        if kind:
            self._process.kill()
            return
        rows, ends = replicas_of(self._env, self._index), log_ends(self._env, self._index)
        self.behind = sum(ends[partition] - row["received"] for partition, row in rows) / RF
        self._line.send("end")
        sent, seconds = self._line.recv()
        self._process.join()
        self.per_second = sent / seconds


def times_of(kinds, took_us):
    """{kind: [µs]}, of answers in the order of the questions, round after round."""
    times = {ALL: took_us, **{kind: [] for kind in sorted(set(kinds))}}
    for number, taken in enumerate(took_us):
        times[kinds[number % len(kinds)]].append(taken)
    return times


class Stack:
    """A Kafka, on which every measure() starts programs of its own."""

    def __init__(self, arguments, directory, rounds):
        self._build, self._directory, self._rounds = arguments.build, directory, rounds
        self._load = Load(arguments, directory)
        self._ports, self._env = Ports(), None
        self._documents = [(json.loads(line)["id"].encode(), line) for line in corpus("debian").read_bytes().splitlines()]
        self._kafka = KafkaServer(ROOT, directory / "kafka", (self._ports.free(), self._ports.free()))
        self._kafka.start()
        self._count = 0

    def close(self):
        if self._env:
            self._env.close(clean=False)
        for child in multiprocessing.active_children():
            child.kill()
        self._kafka.kill9()

    def measure(self, lines, writes):
        """{figure: value}; `lines` as of engine.queries()."""
        self._count += 1
        place = self._directory / f"stack{self._count}"
        place.mkdir()
        self._env = Environment(f"bench{self._count}", place, self._build, self._kafka, self._ports)
        self._env.plan(nodes=NODES, rf=RF)
        self._env.start_all()
        self._kinds, queries = zip(*(line.split("\t") for line in lines))
        self._bodies = [{"q": query} for query in queries]
        figures = self._figures(writes)
        troubles = self._env.close(clean=True)
        self._env = None
        assert not troubles, troubles
        shutil.rmtree(place)
        return {f"HTTP: {name.replace('_', ' ')}": value for name, value in figures.items()}

    def _figures(self, writes):
        figures = self._health()
        indexes = {name: create_index(self._env, name, shards) for name, shards in SHARDS.items()}
        for index in indexes.values():
            publish(self._env, index, self._documents)
        idle, rates = {}, {}
        for name in SHARDS:
            self._ask(name, 1, "1x")
            idle[name], rates[name] = self._one_client(name), self._rates(name)
            figures.update(self._times(f"{name}: 1 client", idle[name]))
            figures.update({f"{name}: 1 client, {kind}, searches/s": 1e6 * len(taken) / sum(taken) for kind, taken in idle[name].items()})
            figures.update({f"{name}: {CLIENTS} clients, {kind}, searches/s": rate for kind, rate in rates[name].items()})
        figures.update(self._ratios("eight : one", idle["eight_shards"], idle["one_shard"]))
        figures.update({f"eight : one, {CLIENTS} clients, {kind}, searches/s": rate / rates["one_shard"][kind]
                        for kind, rate in rates["eight_shards"].items()})
        for name, index in indexes.items() if writes else ():
            figures.update(self._written(name, index, idle[name]))
        return figures

    def _health(self):
        done = self._load.run(self._env.programs["query"].listen, "/health", [], 1, f"{HEALTH_ROUNDS}x")
        return {"GET /health, p50 µs": 1000 * done["p50_ms"], "GET /health, p99 µs": 1000 * done["p99_ms"]}

    def _ask(self, name, clients, rounds, kind=None, mode=None):
        bodies = [body for body, its in zip(self._bodies, self._kinds) if kind in (None, its)]
        return self._load.run(self._env.programs["query"].listen, search_path(name), bodies, clients, rounds, mode)

    def _one_client(self, name):
        return times_of(self._kinds, self._ask(name, 1, f"{self._rounds}x", mode="list")["took_us"])

    def _rates(self, name):
        return {kind or ALL: self._ask(name, CLIENTS, f"{self._rounds}x", kind)["per_second"]
                for kind in (None, *sorted(set(self._kinds)))}

    def _written(self, name, index, idle):
        with Writes(self._env, index, renewed(self._documents)) as writes:
            times = self._one_client(name)
        return {f"{name}, written: documents/s": writes.per_second,
                f"{name}, written: documents a replica lacked at the end": writes.behind,
                **self._times(f"{name}, written", times), **self._ratios(f"{name}, written : idle", times, idle)}

    def _times(self, what, times):
        return {f"{what}, {kind}, p{percent} µs": percentile(taken, percent) for kind, taken in times.items() for percent in (50, 99)}

    def _ratios(self, what, times, others):
        return {f"{what}, {kind}, p{percent}": percentile(taken, percent) / percentile(others[kind], percent)
                for kind, taken in times.items() for percent in (50, 99)}
