"""Deduplication and every operation of contract 2, with real programs: what each replica holds is the fold of the log,
whoever feeds it, whatever it was told before."""
import json
import random
import shutil

from children import wait_until
from fleet import Topology, assert_replicas_are_fold, feeding, wait_whole
from replica_view import assert_dead_letters, create_index, log_ends
from test_dead_letters import agree, counted, dead_letters, place_of, publish
from test_feeding import whole


def key(text):
    return [("idempotency-key", text.encode())]


def body(id, **members):
    return json.dumps({"id": id, **members})


def put(id, identity=None, **members):
    """A message for publish()"""
    return id, body(id, **members), {"headers": key(identity)} if identity else {}


def operation(id, op, value, identity=None, **place):
    return id, value, {"headers": [("op", op.encode()), *(key(identity) if identity else [])], **place}


def fed_to(env, index, ends):
    fed = feeding(env)
    return all(fed.get((index.topic, p), {}).get("received", -1) >= end for p, end in ends.items())


def wait_fed(env, index, deadline_s=120):
    ends = log_ends(env, index)
    wait_until(lambda: fed_to(env, index, ends), deadline_s, f"everything is fed up to {ends}")
    return ends


def assert_counts(env, index, shards, names=("ingest",)):
    """What these workers, which read everything once, have counted is what the log says."""
    expected = {"dead_lettered": sum(s.count("dead") for s in shards), "duplicate": sum(s.count("duplicate") for s in shards),
                "applied": sum(s.count("applied") for s in shards)}

    def exact():
        found = counted(env, index.topic, names)
        return agree(env, {**found, "applied": found["indexed"] + found["deleted"]}, expected)

    try:
        wait_until(exact, 60, f"the counters say {expected}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {counted(env, index.topic, names)}") from None


def followed(env):
    topology = Topology(env)
    topology.start()
    return topology


def test_duplicates(env):
    env.plan(nodes=3, rf=2)
    env.start_all()
    topology = followed(env)
    index = create_index(env, "books", 1)
    places = publish(env.producer(), index.topic, [
        put("a", "k1", n=1),               # 0
        put("a", "k1", n=1),               # 1: again
        put("a", "k1", n=2),               # 2: the key for something else
        put("a", "k1", n=1),               # 3: the last occurrence decides: offset 2, another operation
        put("a", "k1", n=1),               # 4: again
        put("b", "k1", n=1),               # 5: the same key for another document
        put("a", "k2", n=3),               # 6
        ("a", None, {"headers": key("k2")}),  # 7: a delete is another operation
        ("a", None, {"headers": key("k3")}),  # 8
        ("a", None, {"headers": [("op", b"delete"), *key("k3")]}),  # 9: said in another way
        put("a", None, n=9),               # 10: no key
        put("a", None, n=9),               # 11: no key, no duplicate
        ("c", body("c", n=1), {"headers": [("ce_source", b"s"), ("ce_id", b"1")]}),  # 12
        ("c", '{"id": "c",  "n": 1}', {"headers": [("ce_source", b"s"), ("ce_id", b"1")]}),  # 13: other bytes
    ])
    assert [offset for _, offset in places] == list(range(14)), places
    shards = assert_replicas_are_fold(env, index, topology)
    verdicts = shards[0].verdicts
    assert [o for o, v in verdicts.items() if v.outcome == "duplicate"] == [1, 4, 9], verdicts
    reused = {2: 1, 3: 2, 7: 6, 13: 12}
    assert {o: v.earlier for o, v in verdicts.items() if v.code == "idempotency_key_reused"} == reused, verdicts
    assert_dead_letters(env, shards)
    for _, headers in dead_letters(env):
        earlier = reused[place_of(headers)[1]]
        assert str(earlier) in headers["__connect.errors.exception.message"], headers
    assert_counts(env, index, shards)
    topology.finish()


class Log:
    """What a careless producer does: puts, deletes, repetitions near and far, keys used twice."""

    def __init__(self, seed, ids=300):
        self._dice = random.Random(seed)
        self._ids = ids
        self.sent = []

    def messages(self, count):
        made = []
        for _ in range(count):
            lot = self._dice.random()
            id = f"d{self._dice.randrange(self._ids)}"
            identity = f"k{len(self.sent)}"
            if self.sent and lot < 0.25:
                message = self._dice.choice(self.sent)  # however long ago
            elif self.sent and lot < 0.30:
                earlier = self._dice.choice(self.sent)
                message = put(earlier[0], earlier[2]["headers"][0][1].decode(), other=self._dice.random())
            elif lot < 0.42:
                message = (id, None, {"headers": key(identity)})
            elif lot < 0.54:
                message = (id, json.dumps({f"m{self._dice.randrange(5)}": len(self.sent)}),
                           {"headers": [*key(identity), ("op", self._dice.choice([b"merge", b"merge-if-exists"]))]})
            else:
                message = put(id, identity, n=len(self.sent), text=f"text {self._dice.random()}")
            self.sent.append(message)
            made.append(message)
        return made


def marks_taken(env, names):
    return sum(env.metrics(name).get('millrace_ingest_fill_pages_total{result="given"}', 0) for name in names
               if env.programs[name].running())


def test_ingest_dies_between(env):
    """Killed, and repetitions of what it has fed come afterwards: they are still repetitions."""
    env.plan(nodes=3, rf=2)
    env.start_all()
    topology = followed(env)
    index = create_index(env, "books", 2)
    log, producer = Log(1), env.producer()
    publish(producer, index.topic, log.messages(2000))
    wait_fed(env, index)
    for _ in range(3):
        env.programs["ingest"].kill9()
        publish(producer, index.topic, log.messages(1000))
        env.start("ingest")
        wait_fed(env, index)
        wait_until(lambda: marks_taken(env, ["ingest"]) >= 2, 30, "the marks of two partitions are taken from replicas")
        publish(producer, index.topic, log.messages(500))
        wait_fed(env, index)
    shards = assert_replicas_are_fold(env, index, topology)
    assert sum(shard.count("duplicate") for shard in shards) > 500
    assert sum("idempotency_key_reused" in shard.dead_letters.values() for shard in shards) == 2
    assert_dead_letters(env, shards)
    topology.finish()


test_ingest_dies_between.timeout_s = 600


def test_another_ingest_takes_over(env):
    env.plan(nodes=3, rf=2, ingests=2)
    env.start_all()
    topology = followed(env)
    index = create_index(env, "books", 4)
    log, producer = Log(2), env.producer()
    publish(producer, index.topic, log.messages(2000))
    wait_fed(env, index)
    wait_until(lambda: len({row["worker"] for row in feeding(env).values()}) == 2, 120, "both work")
    env.programs["ingest"].kill9()
    publish(producer, index.topic, log.messages(1000))
    wait_fed(env, index)
    wait_until(lambda: {row["worker"] for row in feeding(env).values()} == {"ingest2"}, 30, "the other one feeds everything")
    env.start("ingest")
    wait_until(lambda: len({row["worker"] for row in feeding(env).values()}) == 2, 120, "both work again")
    publish(producer, index.topic, log.messages(1000))
    shards = assert_replicas_are_fold(env, index, topology)
    assert sum(shard.count("duplicate") for shard in shards) > 500
    assert_dead_letters(env, shards)
    topology.finish()


test_another_ingest_takes_over.timeout_s = 600


def test_an_emptied_node_is_filled(env):
    """A replay judges as live feeding did: from the log's beginning, without looking at siblings."""
    env.plan(nodes=3, rf=2)
    env.start_all()
    topology = followed(env)
    index = create_index(env, "books", 2)
    log, producer = Log(3), env.producer()
    publish(producer, index.topic, log.messages(3000))
    wait_whole(env, index, topology, 120)
    holders = sorted({node for replicas in topology.replicas(index).values() for node in replicas})
    emptied = holders[0]
    before = topology.held_by(index, emptied)
    env.programs[emptied].kill9()
    shutil.rmtree(env.directory / emptied)
    publish(producer, index.topic, log.messages(1000))
    env.start(emptied)

    def filled():
        held = topology.held_by(index, emptied)
        return held and all(replica["in_sync"] and replica["incarnation"] != before[p]["incarnation"]
                            for p, replica in held.items() if p in before)

    wait_until(filled, 180, f"{emptied} is filled again")
    publish(producer, index.topic, log.messages(500))
    shards = assert_replicas_are_fold(env, index, topology)
    assert sum(shard.count("duplicate") for shard in shards) > 500
    assert_dead_letters(env, shards)
    topology.finish()


test_an_emptied_node_is_filled.timeout_s = 600


def test_operations_through_the_gateway(env):
    """Every operation, as a search sees it."""
    env.plan(nodes=3, rf=2)
    env.start_all()
    topology = followed(env)
    index = create_index(env, "books", 2)
    producer = env.producer()

    def to_all(op, value):
        return [operation(None, op, value, partition=p) for p in range(index.partitions)]

    def feed(messages):
        publish(producer, index.topic, messages)
        wait_fed(env, index)

    def document(id):
        answer = whole(env, "GET", f"/indexes/books/documents/{id}")
        return answer.json() if answer.status == 200 else answer.status

    def found(words):
        answer = whole(env, "POST", "/indexes/books/search", {"q": words, "limit": 100})
        assert answer.status == 200, answer
        return sorted(hit["id"] for hit in answer.json()["hits"])

    feed([put(f"b{n}", title=f"millstone {n}", genre="old" if n % 2 else "new", pages=n) for n in range(20)])
    assert len(found("millstone")) == 20
    feed([operation("b3", "merge", '{"title":"waterwheel","stock":7}'),
          operation("b21", "merge", '{"title":"waterwheel"}'),
          operation("b4", "merge-if-exists", '{"title":"waterwheel"}'),
          operation("b22", "merge-if-exists", '{"title":"waterwheel"}'),
          operation("b5", "put-if-exists", '{"title":"waterwheel"}'),
          operation("b23", "put-if-exists", '{"title":"waterwheel"}')])
    assert found("waterwheel") == ["b21", "b3", "b4", "b5"]
    assert document("b3") == {"id": "b3", "title": "waterwheel", "genre": "old", "pages": 3, "stock": 7}
    assert document("b21") == {"title": "waterwheel", "id": "b21"}
    assert document("b4")["genre"] == "new" and document("b5") == {"id": "b5", "title": "waterwheel"}
    assert document("b22") == document("b23") == 404
    assert len(found("millstone")) == 17
    feed(to_all("delete-by-filter", json.dumps('genre = "OLD" AND pages > 10')))
    left = sorted(f"b{n}" for n in range(20) if n not in (3, 4, 5) and not (n % 2 and n > 10))
    assert found("millstone") == left, (found("millstone"), left)
    feed(to_all("delete-by-filter", '"genre = old AND"'))  # no filter: a dead letter in each partition
    shards = assert_replicas_are_fold(env, index, topology)
    assert sorted(code for shard in shards for code in shard.dead_letters.values()) == ["invalid_filter"] * 2
    assert_dead_letters(env, shards)
    feed([put("late", title="millstone late"), *to_all("delete-all", None), put("later", title="millstone later")])
    shards = assert_replicas_are_fold(env, index, topology)
    assert found("millstone") == ["later"] and [len(shard.documents) for shard in shards].count(0) == 1
    topology.finish()


def test_a_full_table(env):
    """More identities than ingest.table holds: the partition waits and says so, nothing is judged without them."""
    env.plan(nodes=1, rf=1)
    env.start_all({"ingest.table": "4MiB"})
    topology = followed(env)
    index = create_index(env, "books", 1)
    producer = env.producer(linger_ms=50)
    for n in range(140_000):
        while True:
            try:
                producer.produce(index.topic, key=f"d{n % 1000}", value=f'{{"n":{n}}}', headers=key(f"k{n}"))
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(120) == 0

    def status():
        return env.http("GET", env.programs["ingest"].admin_url + "/status").json()

    wait_until(lambda: "ingest.table" in status()["table"]["trouble"], 180, "the table is full")
    metrics = env.metrics("ingest")
    assert metrics["millrace_ingest_table_failing"] == 1, metrics
    assert 2 * 1024 * 1024 < metrics["millrace_ingest_table_bytes"] <= 4 * 1024 * 1024, metrics
    wait_until(lambda: status()["shards"][0]["waits_for"], 30, "the shard says so")
    wait_until(lambda: status()["shards"][0]["received"] == status()["shards"][0]["position"], 30, "what was taken is fed")
    stuck = status()["shards"][0]
    assert 131_000 < stuck["received"] < 140_000, stuck
    assert env.http("GET", f"/indexes/books/documents/d{(stuck['received'] - 1) % 1000}").status == 200
    # Offered again and again, and no other line about it.
    stood_at = stuck["received"]
    wait_until(lambda: env.metrics("ingest")["millrace_ingest_table_failing"] == 1, 30, "still")
    assert status()["shards"][0]["received"] == stood_at
    assert env.programs["ingest"].output().count("event=table_failing") == 1
    assert not list((env.directory / "ingest").glob("identities-*")), "the file has no name"
    assert env.programs["ingest"].terminate() == 0
    env.start("ingest", {"ingest.table": "64MiB"})
    publish(producer, index.topic, [put("d0", "k139000", n=0), ("d0", '{"n":139000}', {"headers": key("k139000")})])
    wait_fed(env, index, 180)
    shards = assert_replicas_are_fold(env, index, topology)
    assert shards[0].verdicts[140_000].code == "idempotency_key_reused"
    assert status()["table"]["trouble"] == "" and status()["table"]["bytes"] > 2 * 1024 * 1024, status()["table"]
    topology.finish()


test_a_full_table.timeout_s = 600
test_a_full_table.only_full = True
