"""Kafka loses the end of its log: whoever was ahead stops and names the remedy, and nobody takes new for old.

The broker is killed, the last records of some partitions are cut off, and
other records are produced over the same offsets before any program sees the
broker again (the proxy keeps them from it).
"""
import json

from confluent_kafka import KafkaException

from children import wait_until
from documents import Publisher
from fleet import rows_of
from fold import partition_of
from replica_view import create_index, log_ends, shards_of

NODES = ("n1", "n2")
BEFORE = 200
LOST = 20
# partition → how many other records follow over the lost offsets: none, fewer, as many, more. The last loses nothing.
FOLLOWING = {0: 0, 1: LOST // 2, 2: LOST, 3: LOST * 3}
WHOLE = 4
PARTITIONS = 5


class Tail:
    def __init__(self, env, kafka):
        self.env = env
        self.kafka = kafka
        self.said = 0  # how much ingest had written when the broker was back
        env.plan(nodes=len(NODES), rf=len(NODES))
        env.start_all()
        self.index = create_index(env, "books", PARTITIONS)
        self.publish("before", {p: BEFORE for p in range(PARTITIONS)})
        self.wait_received(NODES)

    def keys(self, word, partition):
        """Document ids that belong to a partition."""
        number = 0
        while True:
            key = f"{word}-{number}"
            if partition_of(self.index, key.encode()) == partition:
                yield key
            number += 1

    def publish(self, word, counts):
        """So many documents to each partition, each a batch of its own, so that the log can be cut behind any."""
        publisher = Publisher(self.env, self.index.topic, linger_ms=0, batch_num_messages=1)
        for partition, count in counts.items():
            for key, _ in zip(self.keys(word, partition), range(count)):
                publisher.send(key, json.dumps({"id": key, "word": word}).encode())
        publisher.flush()

    def wait_received(self, nodes, watermark="received"):
        ends = log_ends(self.env, self.index)
        wait_until(lambda: all(rows_of(self.env, self.index, node).get(p, {watermark: -1})[watermark] == end
                               for node in nodes for p, end in ends.items()), 240, f"{nodes} have {watermark} {ends}")

    def lose(self):
        """Ends with a broker that has other records where the lost ones were, and that only this test can reach."""
        ends = log_ends(self.env, self.index)
        self.kafka.kill9()
        self.env.proxy.set("kafka", "drop")
        for partition in FOLLOWING:
            end = self.kafka.lose_tail(self.index.topic, partition, LOST)
            assert end == ends[partition] - LOST, f"partition {partition} is cut to {end}, not to {ends[partition] - LOST}"
        self.kafka.start()
        after = wait_until(self.ends_if_led, 120, "Kafka leads the partitions again")
        assert after == {p: end - (LOST if p in FOLLOWING else 0) for p, end in ends.items()}, f"{ends} became {after}"
        self.publish("other", FOLLOWING)
        self.said = len(self.env.programs["ingest"].output())

    def ends_if_led(self):
        try:
            return log_ends(self.env, self.index)
        except KafkaException:
            return None

    def held(self, node):
        """{partition: (received, documents, digest)} of the shards that will lose something, as a node says."""
        return {p: (row["received"], row["documents"], row["digest"])
                for p, row in shards_of(self.env, self.index, node).items() if p in FOLLOWING}

    def fed(self):
        rows = self.env.http("GET", self.env.programs["ingest"].admin_url + "/status").json()["shards"]
        return {row["partition"]: row for row in rows if row["topic"] == self.index.topic}

    def wait_stopped(self):
        """Until every shard that was ahead has stopped; the one that was not goes on."""
        last = {}

        def stopped():
            last.update(self.fed())
            return all(last.get(p, {}).get("state") == "stopped" for p in FOLLOWING)

        try:
            wait_until(stopped, 240, f"shards {sorted(FOLLOWING)} have stopped")
        except AssertionError as error:
            raise AssertionError(f"{error}: " + "; ".join(f"{p}: {row}" for p, row in sorted(last.items()))) from None
        for partition in FOLLOWING:
            reason = last[partition]["stop_reason"]
            assert "restore the topic or rebuild the index" in reason, f"shard {partition} stopped: {reason}"
        self.publish("after", {WHOLE: 10})
        ends = log_ends(self.env, self.index)
        wait_until(lambda: all(rows_of(self.env, self.index, node).get(WHOLE, {"received": -1})["received"] == ends[WHOLE]
                               for node in NODES), 240, "the shard that lost nothing goes on")

    def check_untouched(self, before):
        """What was there before is there."""
        for node, held in before.items():
            assert self.held(node) == held, f"{node} had {held}, has {self.held(node)}"

    def check_not_fed(self):
        """No record of the new log was taken, or passed for a known one."""
        # Whoever calls a range known goes on feeding behind it.
        told = self.env.programs["ingest"].output()[self.said:].splitlines()
        fed_again = [line for line in told if "event=shard_feeding" in line and f"partition={WHOLE}" not in line]
        assert not fed_again, f"fed from the new log: {fed_again}"
        found = wait_until(self.answered, 60, "the gateway answers a search")
        assert found.json()["hits"] == [], f"records of the new log are found: {found}"

    def answered(self):
        found = self.env.http("POST", "/indexes/books/search", {"q": "other"})
        return found if found.status == 200 else None


def losing(env, test):
    with env.own_kafka(proxied=True) as kafka:
        test(Tail(env, kafka))
        troubles = env.close(clean=True)
        assert not troubles, troubles


def test_programs_that_run_through(env):
    def test(tail):
        tail.publish("lost", {p: LOST for p in range(PARTITIONS)})
        tail.wait_received(NODES)
        before = {node: tail.held(node) for node in NODES}
        tail.lose()
        env.proxy.clear()
        tail.wait_stopped()
        tail.check_untouched(before)
        tail.check_not_fed()
    losing(env, test)


def test_programs_that_start_again(env):
    def test(tail):
        tail.publish("lost", {p: LOST for p in range(PARTITIONS)})
        tail.wait_received(NODES, "stored")
        before = {node: tail.held(node) for node in NODES}
        for name in (*NODES, "ingest"):
            env.programs[name].kill9()
        tail.lose()
        env.proxy.clear()
        for name in (*NODES, "ingest"):
            env.start(name)
        tail.said = 0
        tail.wait_stopped()
        tail.check_untouched(before)
        tail.check_not_fed()
    losing(env, test)


def test_one_copy_was_ahead(env):
    """The other copy is where the log was cut, and what follows there fits it; the shard stops all the same."""
    def test(tail):
        env.programs["n2"].stop()
        tail.publish("lost", {p: LOST for p in range(PARTITIONS)})
        tail.wait_received(["n1"])
        before = {"n1": tail.held("n1")}
        tail.lose()
        env.programs["n2"].cont()
        env.proxy.clear()
        tail.wait_stopped()
        tail.check_untouched(before)
    losing(env, test)


for each in (test_programs_that_run_through, test_programs_that_start_again, test_one_copy_was_ahead):
    each.timeout_s = 1200
