"""Faults of every kind over all programs and the broker, most of them aimed at a moment at which something is under way.

A fault is: bring a moment about, strike, leave the victim as it is for a while, heal. The next one does not wait until
all is well again, only until every partition makes progress; so faults meet systems that are still busy with earlier
ones. After ROUND faults, twice, four times as many … and at the end the load is held and every replica compared with
the fold of the log (history.py), which takes the longer the longer the log is.
"""
import collections
import http.client
import shutil
import time

import confluent_kafka

from chaos_load import Load
from children import wait_until
from fleet import OneNode, Topology, feeding, rows_of, slots_shared, wait_whole
from fold import APPLIED, DEAD, DUPLICATE, SKIPPED, fold_topic, learn
from history import WRONGS, History, accounts
from replica_view import listing, log_ends, row_at_end, verify

NODES = ("n1", "n2", "n3")
INGESTS = ("ingest", "ingest2")
CONTROLLERS = ("rebalance", "rebalance2")
PARTITIONS = 4
PRODUCERS = 3
RATE = 240  # records a second, of all producers
ROUND = 10
AIM_S = 12
WHOLE_S = 240
PROGRESS_S = 240  # a machine that others use needs most of it to start a Kafka
AIM_MS = 300
CALM_RECORDS = 1500

BATCH, STORE, LETTER, COMMIT, FILLING, CATCH_UP = MOMENTS = (
    "a batch in flight", "a store", "a dead letter unacknowledged", "an offset commit", "a table filling",
    "a catch-up replay")

NETWORK = (
    ("ingest", "node", {"kind": "black_hole"}), ("ingest", "node", {"kind": "reset", "size": 700, "direction": "up"}),
    ("ingest", "node", {"kind": "half_open"}), ("ingest", "kafka", {"kind": "drop"}), ("ingest", "kafka", {"kind": "black_hole"}),
    ("node", "kafka", {"kind": "black_hole"}), ("rebalance", "kafka", {"kind": "drop"}), ("rebalance", "node", {"kind": "drop"}),
    ("ingest", "node", {"kind": "drip", "rate": 3000, "direction": "down"}), ("ingest", "node", {"kind": "delay", "ms": 700}),
)


class Chaos:
    def __init__(self, env, index, dice):
        self.env = env
        self.index = index
        learn(env.kafka.bootstrap, index)
        self.dice = dice
        self.topology = Topology(env)
        self.topology.start()
        self.load = Load(env, index, PRODUCERS, RATE, dice)
        self.commits = confluent_kafka.Consumer(env.kafka.client(**{
            "group.id": f"{env.cluster}.ingest", "enable.auto.commit": False}))
        self.met = collections.Counter()
        self.missed = collections.Counter()
        self.counts = collections.Counter()
        self.findings = []
        self.compared = 0
        self.faults = 0

    # -- what is under way --------------------------------------------------

    def gauge(self, program, name):
        """The sum over a metric's series; 0 from a program that does not answer."""
        try:
            metrics = self.env.metrics(program)
        except (OSError, http.client.HTTPException):
            return 0
        return sum(value for key, value in metrics.items() if key.split("{")[0] == name)

    def running(self, names):
        return [name for name in names if self.env.programs[name].running() and not self.env.programs[name].paused]

    def any_ingest(self, name):
        return any(self.gauge(worker, name) >= 1 for worker in self.running(INGESTS))

    def shards_fed(self):
        return [row for row in feeding(self.env).values() if row["topic"] == self.index.topic]

    def batch_in_flight(self):
        return self.any_ingest("millrace_ingest_batches_in_flight")

    def filling(self):
        return self.any_ingest("millrace_ingest_fill_pages_in_flight")

    def store_in_flight(self, node):
        return self.gauge(node, "millrace_node_stores_in_flight") >= 1

    def letter_pending(self, worker):
        return any(row["dead_letters_pending"] for row in self.shards_fed() if row["worker"] == worker)

    def commit_in_flight(self, worker):
        """Ingest has committed more than Kafka knows."""
        rows = {row["partition"]: row for row in self.shards_fed() if row["worker"] == worker and row["committed"] > 0}
        if not rows:
            return False
        places = [confluent_kafka.TopicPartition(self.index.topic, p) for p in rows]
        try:
            known = {place.partition: place.offset for place in self.commits.committed(places, timeout=10)}
        except confluent_kafka.KafkaException:
            return False
        return any(row["committed"] > known[p] for p, row in rows.items())

    def behind(self, node):
        return any(replica["node"] == node and replica["lane"] == "behind" and replica["received"] < row["log_end"]
                   for row in self.shards_fed() for replica in row["replicas"])

    # -- aims: (the moment, who is to be struck) ------------------------------

    def slow(self, destination, sources, direction, ms=AIM_MS):
        for source in sources:
            self.env.proxy.set(destination, "delay", source=source, ms=ms, direction=direction)

    def aim_batch(self):
        node = self.dice.choice(self.running(NODES))
        self.slow(node, INGESTS, self.dice.choice(("up", "down")))
        victim = self.dice.choice((node, *self.running(INGESTS)))
        return victim, lambda: self.batch_in_flight()

    def aim_store(self):
        node = self.dice.choice(self.running(NODES))
        return node, lambda: self.store_in_flight(node)

    def aim_letter(self):
        worker = self.feeder()
        self.slow("kafka", [worker], "down")
        victim = self.dice.choice((worker, worker, "kafka"))
        return victim, lambda: self.letter_pending(worker)

    def aim_commit(self):
        worker = self.feeder()
        self.slow("kafka", [worker], "both")
        victim = self.dice.choice((worker, worker, "kafka"))
        return victim, lambda: self.commit_in_flight(worker)

    def aim_filling(self):
        """A node that starts again is fed from further back, by a reader that asks it what it knows."""
        node = self.restart_node()
        victim = self.dice.choice((node, *self.running(INGESTS)))
        return victim, lambda: self.filling()

    def aim_catch_up(self):
        if self.dice.random() < 0.3:
            return self.aim_refill()
        node = self.restart_node()
        victim = self.dice.choice((node, *self.running(INGESTS)))
        return victim, lambda: self.behind(node)

    def aim_refill(self):
        """A node that lost its disk: a controller replays the log into new replicas."""
        node = self.dice.choice(self.running(NODES))
        self.env.programs[node].kill9()
        shutil.rmtree(self.env.directory / node)
        self.slow(node, CONTROLLERS, "down")
        self.env.start(node)
        victim = self.dice.choice((node, *self.running(CONTROLLERS)))
        return victim, lambda: any(self.gauge(name, "millrace_replay_batches_in_flight") >= 1
                                   for name in self.running(CONTROLLERS))

    def feeder(self):
        """A worker that feeds something."""
        return self.dice.choice(wait_until(lambda: [row["worker"] for row in self.shards_fed()], PROGRESS_S, "somebody feeds"))

    def restart_node(self):
        """Killed, left behind, and started again with answers that take their time."""
        node = self.dice.choice(self.running(NODES))
        self.env.programs[node].kill9()
        self.wait_s(1 + 2 * self.dice.random())
        self.slow(node, INGESTS, "down")
        self.env.start(node)
        return node

    # -- faults -------------------------------------------------------------

    def plan(self, count):
        """(title, aim or None) of each fault: in each ROUND every moment once, the batch twice, and three without aim."""
        chosen = []
        while len(chosen) < count:
            each = [(BATCH, self.aim_batch)] * 2 + [
                (STORE, self.aim_store), (LETTER, self.aim_letter), (COMMIT, self.aim_commit), (FILLING, self.aim_filling),
                (CATCH_UP, self.aim_catch_up)]
            each += [("network", None), ("controller", None), self.dice.choice((("broker", None), ("gateway", None)))]
            self.dice.shuffle(each)
            chosen += each
        return chosen[:count]

    def run(self, count):
        compare_at = ROUND
        for number, (title, aim) in enumerate(self.plan(count), 1):
            start = time.monotonic()
            done = self.strike_aimed(title, aim) if aim else self.strike_freely(title)
            self.wait_progress()
            self.faults += 1
            print(f"          fault {number}: {title}: {done}, progress after {time.monotonic() - start:.1f} s", flush=True)
            if number in (compare_at, count):
                compare_at *= 2
                self.compare(f"after {number} faults", last=number == count)

    def strike_aimed(self, moment, aim):
        victim, is_met = aim()
        try:
            wait_until(is_met, AIM_S, moment)
            self.met[moment] += 1
            missed = ""
        except AssertionError:
            self.missed[moment] += 1
            missed = " (missed)"
        return self.strike(victim, self.dice.random() < 0.7) + missed

    def strike_freely(self, title):
        if title == "network":
            return self.network()
        victim = {"controller": self.dice.choice(CONTROLLERS), "broker": "kafka", "gateway": "query"}[title]
        return self.strike(victim, self.dice.random() < 0.6)

    def strike(self, victim, kill):
        """Kills or pauses, and heals."""
        self.counts["kill -9" if kill else "pause"] += 1
        kafka = self.env.kafka if victim == "kafka" else None
        program = None if kafka else self.env.programs[victim]
        away_s = self.dice.choice((0, 0.5, 2, 4, 8 if victim in INGESTS else 5))
        if kill:
            (kafka or program).kill9()
        elif kafka:
            kafka.pause()
        else:
            program.stop()
        self.env.proxy.clear()
        self.wait_s(away_s)
        if kill and kafka:
            kafka.start()
        elif kill:
            self.env.start(victim)
        elif kafka:
            kafka.resume()
        else:
            program.cont()
        return f"{'killed' if kill else 'paused'} {victim} for {away_s} s"

    def network(self):
        self.counts["network"] += 1
        source, kind, fault = self.dice.choice(NETWORK)
        node = self.dice.choice(NODES)
        sources = {"ingest": INGESTS, "rebalance": CONTROLLERS, "node": (node,)}[source]
        for name in sources:
            self.env.proxy.set("kafka" if kind == "kafka" else node, source=name, **fault)
        self.wait_s(1 + 4 * self.dice.random())
        self.env.proxy.clear()
        return f"{source} to {kind if kind == 'kafka' else node}: {' '.join(str(value) for value in fault.values())}"

    @staticmethod
    def wait_s(seconds):
        end = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() >= end, seconds + 5, "a while")

    def wait_progress(self):
        """Until some replica of each partition has received all that the log holds now, and somebody feeds it."""
        ends = wait_until(self.ends, PROGRESS_S, "Kafka tells the log's ends")

        def received():
            rows = [rows_of(self.env, self.index, node) for node in self.running(NODES)]
            return all(any(p in row and row[p]["received"] >= end for row in rows) for p, end in ends.items())

        try:
            wait_until(received, PROGRESS_S, f"progress up to {ends}")
        except AssertionError as error:
            rows = {node: {p: row["received"] for p, row in rows_of(self.env, self.index, node).items()} for node in NODES}
            raise AssertionError(f"{error}; received: {rows}; fed: {self.shards_fed()}") from None

    def ends(self):
        try:
            return log_ends(self.env, self.index)
        except confluent_kafka.KafkaException:
            return None

    # -- looking --------------------------------------------------------------

    def calm(self):
        """Before any fault: the workers' own counters account for every offset, as the fold does."""
        wait_until(lambda: slots_shared(self.env, INGESTS), WHOLE_S, "every ingest worker owns slots")
        stood = self.env.stood_still("shard", "ingest")
        self.load.start()
        wait_until(lambda: len(self.load.acknowledged()) >= CALM_RECORDS, WHOLE_S, f"{CALM_RECORDS} records")
        self.load.hold()
        wait_whole(self.env, self.index, self.topology, WHOLE_S)
        shards = fold_topic(self.env.kafka.bootstrap, self.index)
        of_fold = collections.Counter()
        for shard in shards:
            of_fold.update(accounts(shard))
        differing = {}

        def alike():
            # A node says that it has a record before ingest has counted that answer.
            counted = self.counted()
            differing.clear()
            differing.update((name, (counted[name], of_fold[name])) for name in of_fold if counted[name] != of_fold[name])
            # who stood still with the machine forgets what it has counted, or counts again
            return not differing or self.env.stood_still("shard", "ingest") > stood

        try:
            wait_until(alike, 60, "ingest has counted all")
        except AssertionError as error:
            raise AssertionError(f"{error}: counted by ingest, and as the fold says: {differing}") from None
        print(f"          calm: {sum(of_fold.values())} offsets: {dict(of_fold)}", flush=True)
        self.load.release()

    def counted(self):
        """{outcome: offsets} as the workers have counted them."""
        counted = collections.Counter()
        for worker in INGESTS:
            for row in self.env.http("GET", self.env.programs[worker].admin_url + "/status").json()["shards"]:
                counted.update({"records": row["records"], DEAD: row["refused"], SKIPPED: row.get("skipped", 0),
                                DUPLICATE: row.get("duplicates", 0) + row.get("imported_before", 0),
                                "control": row.get("control", 0)})
        counted[APPLIED] = counted.pop("records", 0) - counted[DEAD] - counted[SKIPPED] - counted[DUPLICATE]
        return counted

    def compare(self, when, last=False):
        """Every document of every replica against the fold; the load rests meanwhile."""
        self.load.hold()
        wait_whole(self.env, self.index, self.topology, WHOLE_S)
        history = History()
        shards = fold_topic(self.env.kafka.bootstrap, self.index, history.watch)
        for partition, offset, key in self.load.acknowledged():
            assert (partition, offset) in history and history.key_at(partition, offset) == key, \
                f"Kafka acknowledged {key} at {partition}@{offset}, the log has {history.key_at(partition, offset)}"
        recorded = self.topology.replicas(self.index)
        if last:
            wait_until(lambda: all(rows_of(self.env, self.index, node).get(shard.partition, {"stored": -1})["stored"] == shard.end
                                   for shard in shards for node in recorded[shard.partition]), WHOLE_S, "everything is stored")
        for shard in shards:
            for node in recorded[shard.partition]:
                self.compare_replica(history, shard, node, when, last)
        if not last:
            self.load.release()
        self.shards = shards

    def compare_replica(self, history, shard, node, when, last):
        where = f"partition {shard.partition} on {node}, {when}"
        row = row_at_end(OneNode(self.env, node), self.index, shard)
        assert row["received"] == shard.end, f"{where}: received {row['received']}, the log ends at {shard.end}"
        found = history.findings(shard, listing(OneNode(self.env, node), self.index, shard.partition), where)
        for finding in found[:5]:
            print(f"          {finding}", flush=True)
        self.findings += found
        self.compared += len(shard.documents)
        accounts(shard)
        if not found:
            assert row["documents"] == len(shard.documents), f"{where}: {row['documents']} documents, not {len(shard.documents)}"
            assert row["digest"] == shard.digest(), f"{where}: digest {row['digest']}, not {shard.digest()}"
        if last:
            status, body = verify(OneNode(self.env, node), self.index, shard.partition)
            assert status == 200, f"{where}: /verify answers {status} {body[:300]}"

    # -- the end --------------------------------------------------------------

    def finish(self):
        self.load.finish()
        self.commits.close()

    def verdict(self):
        outcomes = collections.Counter()
        for shard in self.shards:
            outcomes.update(accounts(shard))
        wrongs = collections.Counter(finding.wrong for finding in self.findings)
        print(f"          chaos: {self.faults} faults ({', '.join(f'{count} {kind}' for kind, count in self.counts.items())}); "
              f"{sum(outcomes.values())} offsets: {dict(outcomes)}, {self.load.sent_again()} records sent again after a timeout",
              flush=True)
        print("          met: " + ", ".join(f"{moment} {self.met[moment]} of {self.met[moment] + self.missed[moment]}"
                                            for moment in MOMENTS), flush=True)
        print(f"          {self.compared} documents compared: " + ", ".join(f"{wrong} {wrongs[wrong]}" for wrong in WRONGS),
              flush=True)
        assert not self.findings, f"{len(self.findings)} wrong, e.g.\n" + "\n".join(str(f) for f in self.findings[:20])
        return self.shards
