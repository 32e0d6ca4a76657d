"""Kafka stops in the middle of a load and comes back: searches go on, and nothing is missing afterwards."""
import threading
import time

from children import wait_until
from documents import Publisher, made
from replica_view import Line, assert_is_fold, create_index, shards_of, wait_level

SEARCHES = 200
USUAL_S = 1.5  # query.timeout_ms where nobody sets it: half of all searches at least need less
PATIENCE = {"query.timeout_ms": 20000}  # the machine may stand still; what counts is the answer


class Publishing(threading.Thread):
    """Publishes documents until told to end; an outage is for the client to wait out."""

    def __init__(self, env, index):
        super().__init__(daemon=True)
        self.publisher = Publisher(env, index.topic)
        self._end = threading.Event()
        self.trouble = None

    def run(self):
        number = 0
        try:
            while not self._end.wait(0.01):
                for id, body in made(10, seed=number):
                    self.publisher.send(b"d%d-" % (number % 500) + id, body.replace(b'"made-', b'"d%d-made-' % (number % 500)))
                number += 1
        except Exception as error:  # shown by finish()
            self.trouble = error

    def finish(self):
        self._end.set()
        self.join(120)
        if self.trouble:
            raise self.trouble
        self.publisher.flush(240)


def search_on(env, line, word):
    """One search; it must find something and be whole."""
    status, body = line.ask("POST", "/indexes/books/search", {"q": word, "limit": 5})
    assert status == 200, f"search for {word} during the outage: {status} {body[:300]}"
    assert b'"hits":[{' in body.replace(b" ", b""), body[:300]


def outage(env, kafka, index, stop):
    """Kafka ends by stop(); searches, get and listing go on; then it is there again."""
    publishing = Publishing(env, index)
    publishing.start()
    wait_until(lambda: sum(row["documents"] for row in shards_of(env, index).values()) > 500, 240, "500 documents")
    stop()
    assert not kafka.running()
    line = Line(env.programs["query"].listen)
    seconds = []
    for _ in range(SEARCHES):
        start = time.monotonic()
        search_on(env, line, "ba")
        seconds.append(time.monotonic() - start)
    line.close()
    assert sorted(seconds)[SEARCHES // 2] < USUAL_S, f"searches wait for Kafka: {sorted(seconds)}"
    answer = env.http("GET", "/indexes/books/documents?limit=3")
    assert answer.status == 200 and len(answer.json()["results"]) == 3, answer
    id = answer.json()["results"][0]["id"]
    assert env.http("GET", f"/indexes/books/documents/{id}").status == 200
    for name, program in env.programs.items():
        assert program.running(), f"{name} ended with {program.process.returncode} because Kafka was away"
    kafka.start()
    at_return = publishing.publisher.acknowledged
    wait_until(lambda: publishing.publisher.acknowledged > at_return, 240, "the producer has its Kafka again")
    publishing.finish()
    wait_level(env, index, 360)


def test_kafka_outage(env):
    with env.own_kafka() as kafka:
        env.start_all(PATIENCE)
        index = create_index(env, "books", 6)
        outage(env, kafka, index, kafka.stop)
        outage(env, kafka, index, kafka.kill9)
        assert_is_fold(env, index)
        # The controller has its office again as well.
        create_index(env, "after", 1)
        troubles = env.close(clean=True)
        assert not troubles, troubles


test_kafka_outage.timeout_s = 1800  # three starts of a Kafka, after a kill as well


def test_start_without_kafka(env):
    """Programs that start while Kafka is down wait and say so; then they go on by themselves."""
    with env.own_kafka() as kafka:
        env.start_all()
        index = create_index(env, "books", 2)
        publisher = Publisher(env, index.topic)
        for id, body in made(200):
            publisher.send(id, body)
        publisher.flush()
        assert_is_fold(env, index)
        for name in ("ingest", "shard", "rebalance", "query"):
            env.programs[name].kill9()
        kafka.stop()
        started = [env.start(name, wait=False) for name in ("ingest", "shard", "rebalance", "query")]
        wait_until(lambda: all("kafka" in program.output().lower() for program in started), 90,
                   "each program says that Kafka is not there")
        for program in started:
            assert program.running(), f"{program.name} ended with {program.process.returncode} without Kafka"
        kafka.start()
        for program in started:
            program.wait_ready(240)
        publisher = Publisher(env, index.topic)
        for id, body in made(300, seed=3):
            publisher.send(id, body)
        publisher.flush()
        assert_is_fold(env, index)
        troubles = env.close(clean=True)
        assert not troubles, troubles


test_start_without_kafka.timeout_s = 900
