"""kill -9 of node, ingest and controller in the middle of a load: nothing is lost, nothing doubled.

A kill while idle proves nothing, so most kills are aimed: the node is held
still (SIGSTOP), the load goes on until ingest says that a batch is in flight,
then the victim dies. Where ingest is the victim, the node then wakes up with
the batch of a dead feeder.
"""
import http.client
import os
import random
import threading
import time

import confluent_kafka

from children import wait_until
from documents import Publisher, made_body
from replica_view import (assert_dead_letters, assert_is_fold, create_index, documents_of, log_ends, shards_of, start_node,
                          wait_level)

KILLS = 20
IN_FLIGHT_MIN = 10
PARTITIONS = 4
DOCUMENT_IDS = 5000
RATE = 1500  # records a second
SAMPLE_S = 0.1
CLOSED = "0" * 16
PATIENCE = {"query.timeout_ms": 20000}  # the machine may stand still; what counts is the answer


class Background(threading.Thread):
    """Repeats step() every `interval_s` until stopped; a failure is kept for the test."""

    def __init__(self, interval_s):
        super().__init__(daemon=True)
        self._interval_s = interval_s
        self._end = threading.Event()
        self.trouble = None

    def run(self):
        try:
            while not self._end.wait(self._interval_s):
                self.step()
        except Exception as error:  # shown by finish()
            self.trouble = error

    def finish(self):
        self._end.set()
        self.join(120)
        if self.trouble:
            raise self.trouble


class Load(Background):
    """Puts, deletes, tombstones, re-creations and bad records at a steady rate."""

    def __init__(self, env, topic, seed):
        super().__init__(0.02)
        self._dice = random.Random(seed)
        self.publisher = Publisher(env, topic)

    def step(self):
        for _ in range(int(RATE * 0.02)):
            id = f"doc-{self._dice.randrange(DOCUMENT_IDS)}"
            lot = self._dice.random()
            if lot < 0.80:
                self.publisher.send(id, made_body(self._dice, id, 30))
            elif lot < 0.90:
                self.publisher.send(id, None)
            elif lot < 0.98:
                self.publisher.send(id, b"ignored", [("op", b"delete")])
            elif lot < 0.99:
                self.publisher.send(id, b'{"id":')
            else:
                self.publisher.send(id, b'{"id":"another"}')

    def finish(self):
        super().finish()
        self.publisher.flush()


class Sampler(Background):
    """What must hold at every moment: committed <= stored <= received, and no watermark goes back."""

    def __init__(self, env, index):
        super().__init__(SAMPLE_S)
        self._env = env
        self._index = index
        self._consumer = confluent_kafka.Consumer({
            "bootstrap.servers": env.kafka.bootstrap, "group.id": f"{env.cluster}.ingest", "log_level": 0,
            "enable.auto.commit": False})
        self._last = {}
        self.samples = 0
        self.committed = {}

    def step(self):
        # Committed first: `stored` only grows, so what is read later may only be higher.
        places = [confluent_kafka.TopicPartition(self._index.topic, p) for p in range(self._index.partitions)]
        committed = {place.partition: place.offset for place in self._consumer.committed(places, timeout=30)}
        try:
            rows = shards_of(self._env, self._index)
        except (OSError, http.client.HTTPException):
            return  # it was just killed
        for partition, row in rows.items():
            self._check(partition, row, committed[partition])
        self.samples += 1

    def _check(self, partition, row, committed):
        where = f"partition {partition}: {row}"
        if row["session"] == CLOSED:
            return  # on disk; the node has not read yet whether to open it
        assert committed <= row["stored"], f"{committed} is committed, not stored; {where}"
        assert row["stored"] <= row["received"], where
        # it may go back for a moment: a commit of the killed ingest that was under way arrives after a later one
        self.committed[partition] = max(committed, self.committed.get(partition, committed))
        last = self._last.get(partition)
        if last:
            assert row["incarnation"] == last["incarnation"], f"another incarnation; was {last}; {where}"
            assert row["stored"] >= last["stored"], f"stored goes back from {last['stored']}; {where}"
            if row["session"] == last["session"]:
                assert row["received"] >= last["received"], f"received goes back from {last['received']}; {where}"
        self._last[partition] = row

    def close(self):
        self._consumer.close()


def in_flight(env):
    return env.metrics("ingest").get('millrace_ingest_batches_in_flight{node="n1"}', 0)


def wait_progress(env, index):
    """Until every replica has received more than the log's ends of now: the kill hit a working system."""
    ends = log_ends(env, index)

    def beyond():
        rows = shards_of(env, index)
        return len(rows) == index.partitions and all(rows[p]["received"] > end for p, end in ends.items())

    wait_until(beyond, 240, f"everything up to {ends} is received")


def aim(env):
    """Holds the node until a batch is in flight, as ingest's metric says."""
    env.programs["shard"].stop()
    wait_until(lambda: in_flight(env) >= 1, 60, "a batch is in flight")


class Kills:
    def __init__(self, env, index, dice):
        self.env = env
        self.index = index
        self.dice = dice
        self.with_batch_in_flight = 0
        self.counts = {}
        self.created = []

    def kill(self, victim, aimed):
        moment = self.dice.random()
        start = time.monotonic()
        wait_until(lambda: time.monotonic() - start >= moment * 0.5, 30, "a random moment")
        if victim == "rebalance":
            self._request()
        if aimed:
            aim(self.env)
        busy = in_flight(self.env) >= 1
        self.env.programs[victim].kill9()
        if aimed and victim != "shard":
            self.env.programs["shard"].cont()
        self.with_batch_in_flight += busy
        self.counts[victim] = self.counts.get(victim, 0) + 1
        if victim == "shard":
            start_node(self.env)
        else:
            self.env.start(victim)
        wait_progress(self.env, self.index)

    def _request(self):
        """Something for the controller to be in the middle of."""
        uid = f"made-by-kill-{len(self.created)}"
        answer = self.env.http("POST", self.env.programs["query"].admin_url + "/indexes",
                               {"uid": uid, "primaryKey": "id", "partitions": 2})
        assert answer.status == 202, answer
        self.created.append((uid, answer.json()["taskUid"]))

    def wait_tasks(self):
        for uid, task in self.created:
            place = f"{self.env.programs['query'].admin_url}/tasks/{task}"
            wait_until(lambda: self.env.http("GET", place).json().get("status") == "succeeded", 120, f"{uid} is created")
        expected = {self.index.topic} | {f"{self.env.cluster}.docs.{uid}" for uid, _ in self.created}
        topics = {topic for topic in self.env.admin().list_topics(timeout=30).topics
                  if topic.startswith(f"{self.env.cluster}.docs.")}
        assert topics == expected, f"topics {topics}, not {expected}"


def victims_of(dice, count):
    """(program, aimed) in random order: two of five kills are the node's, two ingest's, one the controller's."""
    programs = ["shard", "ingest", "shard", "ingest", "rebalance"] * (count // 5)
    chosen = [(program, number % 4 != 3) for number, program in enumerate(programs)]
    dice.shuffle(chosen)
    return chosen


def campaign(env, count, seed):
    print(f"          kills: seed {seed}", flush=True)
    dice = random.Random(seed)
    env.start_all(PATIENCE)
    index = create_index(env, "busy", PARTITIONS)
    wait_until(lambda: len(shards_of(env, index)) == PARTITIONS, 90, "the replicas are there")
    load, sampler, kills = Load(env, index.topic, seed), Sampler(env, index), Kills(env, index, dice)
    load.start()
    sampler.start()
    try:
        wait_progress(env, index)
        for victim, aimed in victims_of(dice, count):
            kills.kill(victim, aimed)
    finally:
        load.finish()
        sampler.finish()
        sampler.close()
    print(f"          kills: {kills.counts}, {kills.with_batch_in_flight} of {count} with a batch in flight; "
          f"{load.publisher.sent} records, {sampler.samples} samples", flush=True)
    assert kills.with_batch_in_flight >= count * IN_FLIGHT_MIN // KILLS
    wait_level(env, index, 240)
    shards = assert_is_fold(env, index)
    assert_dead_letters(env, shards)
    assert sum(len(shard.dead_letters) for shard in shards) > 0
    assert max(sampler.committed.values()) > 0, "nothing was ever committed"
    kills.wait_tasks()
    total = sum(len(shard.documents) for shard in shards)
    found = documents_of(env, "busy")
    assert found == total, f"{found}, not {total}"
    assert_unique(env, shards)


def assert_unique(env, shards):
    """Over the gateway too, each document is there exactly once."""
    ids, offset = [], 0
    while True:
        page = env.http("GET", f"/indexes/busy/documents?offset={offset}&limit=1000&fields=id").json()["results"]
        ids += [document["id"] for document in page]
        offset += 1000
        if not page:
            break
    expected = [id.decode() for shard in shards for id in shard.documents]
    assert sorted(ids) == sorted(expected), f"{len(ids)} listed, {len(set(ids))} different, {len(expected)} expected"


def test_kills(env):
    """MILLRACE_KILLS_SEED repeats the order of an earlier run."""
    seed = int(os.environ.get("MILLRACE_KILLS_SEED") or random.SystemRandom().randrange(2**32))
    campaign(env, KILLS * 5 if env.full else KILLS, seed)


test_kills.timeout_s = 1500
