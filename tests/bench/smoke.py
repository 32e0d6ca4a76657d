"""Figures of a stack: bulk load, latency from producing to finding, searches, memory.

    build/venv/bin/python tests/bench/smoke.py [--build DIR] [--runs N] [--nodes N --rf R] [-o table|json]

Every run has programs, directories and an index of its own on one Kafka.

- documents a second: from the first record published (by an outside producer
  in another process, as fast as Kafka takes them) until the gateway's stats
  count them all, until every replica has received them all, and until every
  one has stored them all; asked every 20 ms.
- produce to searchable: 500 records a second, each a new document with a word
  of its own, produced without linger. Every tenth is searched for through the
  gateway, without pause and in turn with the others that are still missing,
  until it is a hit; the time is from before produce() to the arrival of that
  answer. An outside consumer reads the log beside that: how long the same
  records took to reach it is what Kafka and this machine take by themselves.
- search: 500 words of the catalogue, each as a query of its own, from one
  keep-alive client.
- memory: each program's resident set after all that, and its peak.
"""
import http.client
import json
import multiprocessing
import random
import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from command import ROOT, command, source_of

from children import wait_until
from environment import Environment, Ports
from kafka_server import KafkaServer
from replica_view import create_index, log_ends, shards_of

PARTITIONS = 12
RATE = 500
RATE_SECONDS = 30
SAMPLE_EVERY = 10
WORDS = 500
SEARCH_ROUNDS = 4


def producer_of(bootstrap, **settings):
    import confluent_kafka

    return confluent_kafka.Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "acks": "all",
                                     "enable.idempotence": True, "message.max.bytes": 8388608, **settings})


def publish_all(bootstrap, topic, documents, started):
    """Runs in a process of its own: everything, as fast as it goes."""
    producer = producer_of(bootstrap, **{"linger.ms": 20, "compression.type": "lz4",
                                         "queue.buffering.max.messages": 1000000})
    producer.list_topics(topic, timeout=10)
    started.send(time.monotonic())
    for key, value in documents:
        while True:
            try:
                producer.produce(topic, key=key, value=value)
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
    started.send((producer.flush(120), time.monotonic()))


def publish_steadily(bootstrap, topic, sampled):
    """Runs in a process of its own: RATE records a second for RATE_SECONDS; tells the time of every tenth."""
    producer = producer_of(bootstrap, **{"linger.ms": 0})
    producer.list_topics(topic, timeout=10)
    start = time.monotonic()
    for number in range(RATE * RATE_SECONDS):
        left = start + number / RATE - time.monotonic()
        if left > 0:
            producer.poll(left)
        while time.monotonic() < start + number / RATE:
            producer.poll(0.0005)
        body = json.dumps({"id": f"probe-{number}", "word": f"probe{number}x", "description": "a record of steady load " * 20})
        before = time.monotonic()
        producer.produce(topic, key=f"probe-{number}", value=body)
        producer.poll(0)
        if number % SAMPLE_EVERY == 0:
            sampled.send((number, before))
    left = producer.flush(30)
    sampled.send((None, left))


def consume_steadily(bootstrap, topic, line):
    """Runs in a process of its own: tells of every tenth record when it arrived, once it has been told to end."""
    import confluent_kafka

    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": f"{topic}.bench", "enable.auto.commit": False})
    consumer.assign([confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_END) for p in range(PARTITIONS)])
    consumer.poll(1)
    line.send("ready")
    arrived = {}
    while not line.poll(0):
        message = consumer.poll(0.1)
        if message is not None and not message.error():
            number = int(message.key().decode().split("-")[1])
            if number % SAMPLE_EVERY == 0:
                arrived[number] = time.monotonic()
    line.send(arrived)
    consumer.close()


class Client:
    """One keep-alive connection to the gateway's search."""

    def __init__(self, place):
        self._connection = http.client.HTTPConnection(place, timeout=30)

    def search(self, query, limit=20):
        body = json.dumps({"q": query, "limit": limit})
        self._connection.request("POST", "/indexes/packages/search", body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == 200 and not answer.headers.get("X-Millrace-Degraded"), (answer.status, text[:300])
        return text


def replicas_of(env, index):
    """[(partition, row)] of every replica on every node."""
    return [place for node in env.nodes for place in shards_of(env, index, node).items()]


def wait_replicas(env, index):
    """Until every shard has all its copies, ready for the load."""
    def ready():
        replicas = replicas_of(env, index)
        return len(replicas) == PARTITIONS * env.rf and all(row["state"] == "active" for _, row in replicas)

    wait_until(ready, 60, f"{env.rf} replicas of each shard are active")


def measure_bulk(env, index, documents):
    """Documents/s searchable, received by every replica, stored by every replica; records/s published."""
    started, sending = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=publish_all, args=(env.kafka.bootstrap, index.topic, documents, sending))
    process.start()
    first = started.recv()
    poll = 0.02

    def wait_for(condition, what):
        end = time.monotonic() + 300
        while True:
            begun = time.monotonic()
            if condition():
                return time.monotonic() - first
            assert begun < end, f"not within 300 s: {what}"
            wait_until(lambda: time.monotonic() >= begun + poll, 10, "the next question")

    count = len(documents)
    searchable = wait_for(lambda: env.http("GET", "/indexes/packages/stats").json()["numberOfDocuments"] == count,
                          f"{count} documents are searchable")
    left, published = started.recv()
    process.join()
    assert left == 0, f"{left} records were not published"
    ends = log_ends(env, index)
    received = wait_for(lambda: all(row["received"] >= ends[p] for p, row in replicas_of(env, index)), "all is received")
    stored = wait_for(lambda: all(row["stored"] >= ends[p] for p, row in replicas_of(env, index)), "all is stored")
    return count / searchable, count / received, count / stored, count / (published - first)


def measure_steady(env, index):
    """Milliseconds from produce to hit, and from produce to an outside consumer, of every tenth record."""
    here, there = multiprocessing.Pipe()
    consumer = multiprocessing.Process(target=consume_steadily, args=(env.kafka.bootstrap, index.topic, there))
    consumer.start()
    assert here.recv() == "ready"
    reading, sending = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=publish_steadily, args=(env.kafka.bootstrap, index.topic, sending))
    client = Client(env.programs["query"].listen)
    client.search("warm")
    process.start()
    latencies, pending, produced, going_on = [], {}, {}, True
    while going_on or pending:
        # Waits only while there is nothing to search for.
        while going_on and reading.poll(None if not pending else 0):
            number, before = reading.recv()
            if number is None:
                assert before == 0, f"{before} records were not published"
                going_on = False
            else:
                pending[number] = produced[number] = before
        for number, before in list(pending.items()):
            if b'"probe-%d"' % number in client.search(f"probe{number}x", 1):
                latencies.append((time.monotonic() - before) * 1000)
                del pending[number]
            else:
                assert time.monotonic() < before + 60, f"probe{number}x is not searchable after a minute"
    process.join()
    here.send("end")
    arrived = here.recv()
    consumer.join()
    assert arrived.keys() == produced.keys(), f"{len(arrived)} of {len(produced)} records were consumed"
    return latencies, [(arrived[number] - before) * 1000 for number, before in produced.items()]


def words_of(documents):
    """500 words of the catalogue, the same in every run."""
    dice = random.Random(500)
    words = set()
    for _, body in dice.sample(documents, 3000):
        text = json.loads(body).get("description", body.decode()).lower()
        words.update(word for word in re.findall(r"\w+", text) if re.fullmatch(r"[a-z]{3,}", word))
    return dice.sample(sorted(words), WORDS)


def measure_searches(env, words):
    """Milliseconds of each search; the first round warms up."""
    client = Client(env.programs["query"].listen)
    latencies, missing = [], set()
    for round_number in range(SEARCH_ROUNDS + 1):
        for word in words:
            start = time.monotonic()
            text = client.search(word)
            if round_number > 0:
                latencies.append((time.monotonic() - start) * 1000)
                if json.loads(text)["estimatedTotalHits"] == 0:
                    missing.add(word)
    assert not missing, f"words of the catalogue were not found: {missing}"
    return latencies


def memory_of(program):
    """(resident MiB, peak MiB)"""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{program.pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024, int(fields["VmHWM"].split()[0]) / 1024


def percentile(values, percent):
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def measure(env, documents):
    """{figure: value} of one run."""
    env.start_all()
    index = create_index(env, "packages", PARTITIONS)
    wait_replicas(env, index)
    searchable, received, stored, published = measure_bulk(env, index, documents)
    searches = measure_searches(env, words_of(documents))
    steady, consumed = measure_steady(env, index)
    figures = {
        "published, records/s": published,
        "searchable, documents/s": searchable,
        "received by all replicas, documents/s": received,
        "stored by all replicas, documents/s": stored,
        f"produce to searchable at {RATE}/s, p50 ms": percentile(steady, 50),
        f"produce to searchable at {RATE}/s, p99 ms": percentile(steady, 99),
        f"produce to an outside consumer at {RATE}/s, p50 ms": percentile(consumed, 50),
        f"produce to an outside consumer at {RATE}/s, p99 ms": percentile(consumed, 99),
        f"search of {WORDS} words, p50 ms": percentile(searches, 50),
        f"search of {WORDS} words, p99 ms": percentile(searches, 99),
    }
    for name, program in env.programs.items():
        resident, peak = memory_of(program)
        figures[f"{name}, RSS MiB"] = resident
        figures[f"{name}, peak RSS MiB"] = peak
    return figures


def run_all(arguments):
    documents, source = source_of()
    directory = Path(tempfile.mkdtemp(prefix="millrace-bench-"))
    ports, env = Ports(), None
    kafka = KafkaServer(ROOT, directory / "kafka", (ports.free(), ports.free()))
    runs = []
    try:
        kafka.start()
        for number in range(arguments.runs):
            place = directory / f"run{number}"
            place.mkdir()
            env = Environment(f"bench{number}", place, arguments.build, kafka, ports)
            env.plan(nodes=arguments.nodes, rf=arguments.rf)
            runs.append(measure(env, documents))
            troubles = env.close(clean=True)
            assert not troubles, troubles
            print(f"run {number + 1} of {arguments.runs} done", file=sys.stderr)
    finally:
        if env:
            env.close(clean=False)
        for child in multiprocessing.active_children():
            child.kill()
        kafka.kill9()
        shutil.rmtree(directory, ignore_errors=True)
    return {"documents": len(documents), "source": source, "bytes": sum(len(body) for _, body in documents),
            "partitions": PARTITIONS, "nodes": arguments.nodes, "RF": arguments.rf}, runs


if __name__ == "__main__":
    command(__doc__, {"--nodes": {"type": int, "default": 1}, "--rf": {"type": int, "default": 1}}, run_all)
