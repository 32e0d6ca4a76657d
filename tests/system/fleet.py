"""Many nodes: what the topology records, what each node says, and whether every replica is the fold of its partition."""
import http.client
import json
import threading
import time

import confluent_kafka

from children import wait_until
from fold import fold_topic
from replica_view import listing, log_ends, row_at_end, shards_of, verify

POLL_S = 0.1


class OneNode:
    """One node of many, for what replica_view asks of an environment with a single one."""

    def __init__(self, env, name):
        self.programs = {"shard": env.programs[name]}
        self.kafka = env.kafka
        self.http = env.http


class Topology(threading.Thread):
    """Follows the topology topic with a client of its own; remembers when each record came."""

    def __init__(self, env):
        super().__init__(daemon=True)
        self._consumer = confluent_kafka.Consumer({
            "bootstrap.servers": env.kafka.bootstrap, "group.id": f"{env.cluster}.watch", "log_level": 0,
            "enable.auto.commit": False, "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
        self._consumer.assign([confluent_kafka.TopicPartition(f"{env.cluster}.topology", 0, 0)])
        self._end = threading.Event()
        self._lock = threading.Lock()
        self.trouble = None
        self._cluster = {}
        self._shards = {}  # (index id, partition) → record
        self.history = []  # (monotonic seconds, key, record)

    def run(self):
        try:
            while not self._end.is_set():
                message = self._consumer.poll(POLL_S)
                if message is not None and not message.error() and message.value() is not None:
                    self._take(message.key().decode(), json.loads(message.value()))
        except Exception as error:  # shown by finish()
            self.trouble = error

    def _take(self, key, record):
        with self._lock:
            self.history.append((time.monotonic(), key, record))
            if key == "cluster":
                self._cluster = record
            elif key.startswith("shard/"):
                _, index, partition = key.split("/")
                self._shards[int(index, 16), int(partition)] = record

    def cluster(self):
        with self._lock:
            return self._cluster

    def replicas(self, index):
        """{partition: {node: its replica as recorded}}"""
        with self._lock:
            return {partition: {replica["node"]: replica for replica in record["replicas"]}
                    for (id, partition), record in self._shards.items() if id == index.id}

    def held_by(self, index, node):
        """{partition: replica} of one node"""
        return {p: replicas[node] for p, replicas in self.replicas(index).items() if node in replicas}

    def finish(self):
        self._end.set()
        self.join(60)
        self._consumer.close()
        if self.trouble:
            raise self.trouble


def rows_of(env, index, node):
    """{partition: what the node says of its replica}; nothing while it does not answer."""
    try:
        return shards_of(env, index, node)
    except (OSError, http.client.HTTPException, AssertionError):
        return {}


def feeding(env):
    """{(topic, partition): the row of the ingest worker that feeds it, and its name as `worker`}"""
    found = {}
    for name, program in env.programs.items():
        if name.startswith("ingest") and program.running() and program.listen:
            try:
                answer = env.http("GET", program.admin_url + "/status", timeout=5)
            except (OSError, http.client.HTTPException):
                continue
            rows = answer.json()["shards"] if answer.status == 200 else []
            found.update({(row["topic"], row["partition"]): {**row, "worker": name} for row in rows
                          if row["state"] == "feeding"})
    return found


def slots_shared(env, workers):
    """Whether each of the ingest workers owns slots, and together they own all."""
    owned = [env.http("GET", env.programs[name].admin_url + "/status").json()["slots"] for name in workers]
    return all(owned) and sum(owned) == 64


def what_is_missing(env, index, topology, ends):
    """Why the index is not whole: every shard with RF replicas, in-sync, active, at the ends, and fed. None if it is."""
    recorded = topology.replicas(index)
    if len(recorded) < index.partitions:
        return f"only {sorted(recorded)} are in the topology"
    rows = {node: rows_of(env, index, node) for node in env.nodes}
    fed = feeding(env)
    for partition, replicas in sorted(recorded.items()):
        if len(replicas) != env.rf:
            return f"partition {partition} has the replicas {sorted(replicas)}"
        if (index.topic, partition) not in fed:
            return f"partition {partition} is not fed"
        for node, replica in replicas.items():
            row = rows[node].get(partition)
            if not (replica["in_sync"] and replica["state"] == "active"):
                return f"partition {partition} on {node} is recorded as {replica}; the node says {row}"
            if not row or row["state"] != "active" or row["received"] < ends[partition]:
                return f"partition {partition} on {node} is to be at {ends[partition]}; the node says {row}"
            if replica["incarnation"] != row["incarnation"]:
                return f"partition {partition} on {node} is {row['incarnation']}, recorded is {replica['incarnation']}"
    return None


class Watermarks(threading.Thread):
    """What must hold at every moment: what is committed is stored by every in-sync replica, which loses nothing.

    A replica that came back in-sync may have stored less than was committed without it, so only what is committed
    while it has been in-sync for SETTLED_S is held against it; the node whose disk a test puts back is excused.
    What is committed itself may go back, if only for a moment: the group has no members, so Kafka orders and fences
    nothing, and a commit that was under way (of a former owner, or sent again) may arrive after a later one. It does
    no harm, because nobody starts from there; caught_up() tells when as much is committed again as ever was.
    """

    SETTLED_S = 5.0  # a worker that stands still learns of it that much later

    def __init__(self, env, index, topology):
        super().__init__(daemon=True)
        self._env = env
        self._index = index
        self._topology = topology
        self._consumer = confluent_kafka.Consumer({
            "bootstrap.servers": env.kafka.bootstrap, "group.id": f"{env.cluster}.ingest", "log_level": 0,
            "enable.auto.commit": False})
        self._end = threading.Event()
        self._committed = {}
        self._highest = {}  # partition → the highest that ever was committed
        self._in_sync_since = {}  # (partition, node, incarnation) → monotonic seconds
        self._rows = {}  # (partition, node) → row
        self.excused = None
        self.samples = 0
        self.late_commits = 0
        self.trouble = None

    def run(self):
        try:
            while not self._end.wait(POLL_S):
                self._sample()
        except Exception as error:  # shown by finish()
            self.trouble = error

    def _sample(self):
        # Committed first: `stored` only grows, so what is read later may only be higher.
        places = [confluent_kafka.TopicPartition(self._index.topic, p) for p in range(self._index.partitions)]
        committed = {place.partition: place.offset for place in self._consumer.committed(places, timeout=30)}
        rows = {node: rows_of(self._env, self._index, node) for node in self._env.nodes}
        now = time.monotonic()
        recorded = {(p, node, replica["incarnation"]) for p, replicas in self._topology.replicas(self._index).items()
                    for node, replica in replicas.items() if replica["in_sync"]}
        self._in_sync_since = {key: self._in_sync_since.get(key, now) for key in recorded}
        for node, shards in rows.items():
            for partition, row in shards.items():
                self._check_row(partition, node, row)
        for (partition, node, incarnation), since in self._in_sync_since.items():
            row = rows[node].get(partition)
            moved = committed[partition] > self._committed.get(partition, committed[partition])
            if moved and row and row["incarnation"] == incarnation and now - since > self.SETTLED_S and node != self.excused:
                assert committed[partition] <= row["stored"], \
                    f"{committed[partition]} is committed, not stored: partition {partition} on {node}: {row}"
        for partition, offset in committed.items():
            if offset < self._committed.get(partition, offset):
                print(f"          partition {partition}: committed goes back from {self._committed[partition]} to {offset}",
                      flush=True)
                self.late_commits += 1
            self._highest[partition] = max(offset, self._highest.get(partition, offset))
        self._committed = committed
        self.samples += 1

    def caught_up(self):
        """Whether as much is committed of every partition as ever was."""
        if self.trouble:
            raise self.trouble
        committed = self._committed
        return all(committed[partition] >= offset for partition, offset in list(self._highest.items()))

    def _check_row(self, partition, node, row):
        last = self._rows.get((partition, node))
        self._rows[partition, node] = row
        assert row["stored"] <= row["received"], f"partition {partition} on {node}: {row}"
        if not last or last["incarnation"] != row["incarnation"] or node == self.excused:
            return
        assert row["stored"] >= last["stored"], f"stored goes back on {node}: from {last} to {row}"
        if row["session"] == last["session"]:
            assert row["received"] >= last["received"], f"received goes back on {node}: from {last} to {row}"

    def finish(self):
        self._end.set()
        self.join(240)
        self._consumer.close()
        if self.trouble:
            raise self.trouble


def wait_whole(env, index, topology, deadline_s):
    """Until nothing is missing up to the log's ends of now."""
    ends = log_ends(env, index)
    last = [None]

    def whole():
        last[0] = what_is_missing(env, index, topology, ends)
        return last[0] is None

    try:
        wait_until(whole, deadline_s, "everything is in-sync again")
    except AssertionError as error:
        raise AssertionError(f"{error}: {last[0]}") from None


def assert_replicas_are_fold(env, index, topology):
    """Every recorded replica holds, lists and digests the fold of its partition, and so does its sibling."""
    wait_whole(env, index, topology, 240)
    shards = fold_topic(env.kafka.bootstrap, index)
    recorded = topology.replicas(index)

    def stored():
        return all(rows_of(env, index, node).get(shard.partition, {"stored": -1})["stored"] == shard.end
                   for shard in shards for node in recorded[shard.partition])

    wait_until(stored, 240, "everything is stored")
    for shard in shards:
        for node in recorded[shard.partition]:
            assert_replica(env, index, node, shard)
    return shards


def assert_replica(env, index, node, shard):
    where = f"partition {shard.partition} on {node}"
    row = row_at_end(OneNode(env, node), index, shard)
    assert row["received"] == shard.end, f"{where}: received {row['received']}, the log ends at {shard.end}"
    found = listing(OneNode(env, node), index, shard.partition)
    expected = [(id, body.strip(b" \t\n\r"), key) for id, body, key in shard.in_order()]
    differing = next((pair for pair in zip(found, expected) if pair[0] != pair[1]), None)
    assert differing is None, f"{where}: has {differing[0]}, the log says {differing[1]}"
    assert len(found) == len(expected), f"{where}: lists {len(found)} documents, not {len(expected)}"
    assert row["documents"] == len(expected), f"{where}: says {row['documents']} documents, lists {len(expected)}"
    assert row["digest"] == shard.digest(), f"{where}: digest {row['digest']}, not {shard.digest()}"
    status, body = verify(OneNode(env, node), index, shard.partition)
    assert status == 200, f"{where}: /verify answers {status} {body[:300]}"
