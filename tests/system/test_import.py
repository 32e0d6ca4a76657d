"""Import: other topics' records into an index, each of them once, whatever dies in between."""
import json
import random
import subprocess
import threading
from collections import Counter

import confluent_kafka

from environment import ROOT
from fold import APPLIED, DUPLICATE, Index, Shard, records_of
from test_feeding import index_of, publish, whole
from test_sasl import grant, granting_commands

KILLS = 4
RULES = {"primary_key": "id", "id": "id", "key": "json", "tombstones": "ignore",
         "delete_when": [{"field": "gone", "op": "=", "value": True}],
         "ignore_when": [{"field": "draft", "op": "=", "value": True}]}
CRC32 = {"partitioner": "consistent_random"}  # what kcat and confluent-kafka take unless told otherwise


def configure(env, *sources, extra=None):
    env.write_config({"sources": list(sources), **(extra or {})})


def said(env, ingest="ingest"):
    """What a worker says of sources: {name: status}."""
    answer = env.http("GET", env.programs[ingest].admin_url + "/status").json()
    return {entry["name"]: entry for entry in answer["sources"]}


def imported(env, name, ends):
    """True once some worker has committed up to these ends that the test knows: {(topic, partition): offset}."""
    here = {}
    for worker in (w for w in env.programs if w.startswith("ingest")):
        for part in said(env, worker).get(name, {}).get("partitions", []):
            here[part["topic"], part["partition"]] = part["committed"]
    return all(here.get(place) == end for place, end in ends.items())


def wait_for_source(env, uid, name, ingest="ingest"):
    """The index that was made for the source, once the worker has partitions of it."""
    env.wait_until(lambda: said(env, ingest).get(name, {}).get("partitions"), 60, f"{name} is imported")
    return index_of(env, uid)


class Shop:
    """Orders as a service publishes them: keys of its own, changes, deletions, drafts, and nonsense."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.number = 0
        self.documents = {}  # what an index must hold
        self.relevant = 0  # records that become an operation
        self.ignored = 0
        self.refused = []  # [(place in the list given out, code)]

    def messages(self, count):
        made = []
        for _ in range(count):
            made.append(self._one(len(made)))
        return made

    def _one(self, place):
        self.number += 1
        id = f"o{self.dice.randrange(400)}"
        key = json.dumps({"shop": "north", "order": id})
        order = {"id": id, "number": self.number, "price": self.dice.random()}
        chance = self.dice.random()
        if chance < 0.03:
            self.refused.append((place, "not_json"))
            return (key, b"{", [], -1)
        if chance < 0.05:
            self.refused.append((place, "missing_id"))
            return (key, b'{"number":%d}' % self.number, [], -1)
        if chance < 0.1:
            self.ignored += 1
            return (key, json.dumps({**order, "draft": True}).encode(), [], -1)
        self.relevant += 1
        if chance < 0.2:
            self.documents.pop(id, None)
            return (key, json.dumps({**order, "gone": True}).encode(), [], -1)
        self.documents[id] = order
        return (key, json.dumps(order).encode(), [("service", b"shop")], -1)


def letters_of(env, topic):
    """{(partition, offset): [code, …]} of a source's dead letters."""
    found = {}
    for message in env.read_topic(f"{env.cluster}.dead-letter"):
        headers = {name: (value or b"").decode() for name, value in message.headers()}
        if headers["__connect.errors.topic"] == topic:
            place = (int(headers["__connect.errors.partition"]), int(headers["__connect.errors.offset"]))
            found.setdefault(place, []).append(headers["millrace.error.code"])
    return found


def folded(env, index):
    """The fold by origins, whatever the generation's own contract makes of them."""
    judged = Index(index.id, index.topic, index.partitions, index.primary_key, index.partitioner, contract=2)
    records, places = records_of(env.kafka.bootstrap, index.topic)
    shards = [Shard(judged, partition, end=places[partition][0]) for partition in range(index.partitions)]
    for partition, record in records:
        shards[partition].apply(record)
    return shards


def documents_of(shards):
    return {id.decode(): json.loads(body) for shard in shards for id, (body, _) in shard.documents.items()}


def origins_applied(env, index, shards):
    """How often the fold applies each source record: {origin: times}."""
    verdicts = {(shard.partition, offset): verdict for shard in shards for offset, verdict in shard.verdicts.items()}
    applied = Counter()
    for message in env.read_topic(index.topic):
        if verdicts[message.partition(), message.offset()].outcome == APPLIED:
            applied[dict(message.headers())["origin"]] += 1
    return applied


def check(env, index, shop, letters):
    shards = folded(env, index)
    assert documents_of(shards) == shop.documents
    applied = origins_applied(env, index, shards)
    twice = sorted(origin for origin, times in applied.items() if times > 1)
    assert not twice, f"applied more than once: {twice[:5]}"
    assert len(applied) == shop.relevant, (len(applied), shop.relevant)
    assert set(letters) == set(letters_of(env, index.source)), "every refused record has a dead letter, and no other"
    for place, codes in letters_of(env, index.source).items():
        assert set(codes) == {letters[place]}
    env.wait_until(lambda: documents_in(env, index.uid) == len(shop.documents), 60, "the index holds them")
    return shards


def import_shop(env, uid="orders", partitions=4, **source):
    """Starts everything with one source; the index with what the test wants to know of it."""
    topic = f"{env.cluster}-shop.orders"
    env.create_topic(topic, 3)
    configure(env, {"topic": topic, "index": uid, "partitions": partitions, **RULES, **source})
    env.start_all()
    index = wait_for_source(env, uid, topic)
    index.uid, index.source, index.ends = uid, topic, {}
    return index


def publish_shop(env, index, shop, count):
    """{(partition, offset): code} of what must be refused."""
    shop.refused.clear()
    places = publish(env, index.source, shop.messages(count), **CRC32)
    for partition, offset in places:
        index.ends[index.source, partition] = max(index.ends.get((index.source, partition), 0), offset + 1)
    return {places[place]: code for place, code in shop.refused}


def test_other_keys(env):
    index = import_shop(env)
    shop = Shop(1)
    letters = publish_shop(env, index, shop, 3000)
    env.wait_until(lambda: imported(env, index.source, index.ends), 60, "everything is imported")
    shards = check(env, index, shop, letters)
    assert sum(shard.count(DUPLICATE) for shard in shards) == 0
    assert all(len(codes) == 1 for codes in letters_of(env, index.source).values())
    status = said(env)[index.source]
    assert (status["imported"], status["ignored"], status["dead_lettered"]) == \
        (shop.relevant, shop.ignored, len(letters)), status
    counted = {name: value for name, value in env.metrics("ingest").items() if "import_records_total" in name}
    assert sum(counted.values()) == 3000, counted


class Publishing(threading.Thread):
    """Publishes a shop's orders bit by bit until it is told to finish, so that whoever is killed is killed in the middle."""

    def __init__(self, env, index, shop, size):
        super().__init__(daemon=True)
        self.env, self.index, self.shop, self.size = env, index, shop, size
        self.letters = {}
        self.trouble = None
        self._enough = threading.Event()

    def run(self):
        try:
            while not self._enough.wait(0.1):
                self.letters.update(publish_shop(self.env, self.index, self.shop, self.size))
        except BaseException as trouble:  # the test's own thread raises it
            self.trouble = trouble

    def finish(self):
        self._enough.set()
        self.join()
        if self.trouble:
            raise self.trouble
        return self.letters


def log_length(env, index):
    consumer = confluent_kafka.Consumer(env.kafka.client(**{"group.id": env.cluster + ".length"}))
    try:
        return sum(consumer.get_watermark_offsets(confluent_kafka.TopicPartition(index.topic, p), timeout=60)[1]
                   for p in range(index.partitions))
    finally:
        consumer.close()


def test_killed_in_the_middle(env):
    env.plan(ingests=2)
    index = import_shop(env)
    shop = Shop(2)
    publishing = Publishing(env, index, shop, size=200)
    publishing.start()
    for kill in range(KILLS):
        length = log_length(env, index)
        env.wait_until(lambda: log_length(env, index) > length + 300, 90, "imports go on")
        victim = env.programs["ingest" if kill % 2 == 0 else "ingest2"]
        victim.kill9()
        env.start(victim.name)
    letters = publishing.finish()
    env.wait_until(lambda: imported(env, index.source, index.ends), 180, "everything is imported")
    shards = check(env, index, shop, letters)
    assert sum(shard.count(DUPLICATE) for shard in shards) > 0, "no kill was in the middle"


test_killed_in_the_middle.timeout_s = 600  # a worker that was killed leaves its groups after seconds, each time


def test_pattern_and_a_later_topic(env):
    first, later = f"{env.cluster}-eu.orders", f"{env.cluster}-us.orders"
    env.create_topic(first, 2)
    configure(env, {"pattern": f"^{env.cluster}-.*\\.orders$", "index": "orders", "partitions": 2, "primary_key": "id",
                    "id": "{shop}-{number}", "dead_letter_topic": f"{env.cluster}-dead.orders"})
    env.create_topic(f"{env.cluster}-dead.orders", 1)
    env.start_all()
    env.wait_until(lambda: any(entry["partitions"] for entry in said(env).values()), 60, "the first topic is read")
    (name, _), = said(env).items()
    publish(env, first, [(None, json.dumps({"shop": "eu", "number": n}).encode(), [], -1) for n in range(50)])
    env.create_topic(later, 2)
    publish(env, later, [(None, json.dumps({"shop": "us", "number": n}).encode(), [], -1) for n in range(50)])
    publish(env, later, [(None, b"[]", [], 0)])
    wanted = {f"{shop}-{n}" for shop in ("eu", "us") for n in range(50)}
    index = index_of(env, "orders")
    env.wait_until(lambda: said(env)[name]["imported"] == len(wanted) and said(env)[name]["dead_lettered"] == 1, 90,
                   "both are imported")
    assert set(documents_of(folded(env, index))) == wanted
    letters = env.read_topic(f"{env.cluster}-dead.orders")
    assert [message.value() for message in letters] == [b"[]"]

    def parts():
        return {(part["topic"], part["partition"]) for part in said(env)[name]["partitions"]}

    env.wait_until(lambda: parts() == {(topic, partition) for topic in (first, later) for partition in (0, 1)}, 60,
                   "all partitions of both are read, its own letters are no source")


def listed(env):
    return {row["name"]: row for row in env.millrace("source", "ls", "-o", "json")}


def wait_listed(env, name, **wanted):
    """The row of `source ls`, once it says so: the gateway learns of a change, and of a worker, a little later."""
    rows = [None]

    def says():
        rows[0] = listed(env)
        row = rows[0].get(name, {})
        return row if all(row.get(key) == value for key, value in wanted.items()) else None

    try:
        return env.wait_until(says, 60, f"{name} is listed with {wanted}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {rows[0]}") from None


def test_pause_resume_seek(env):
    index = import_shop(env)
    shop = Shop(3)
    letters = publish_shop(env, index, shop, 500)
    env.wait_until(lambda: imported(env, index.source, index.ends), 60, "everything is imported")
    env.millrace("source", "pause", index.source, "--index", "orders", "--wait")
    env.wait_until(lambda: said(env)[index.source]["state"] == "paused", 60, "the source is paused")
    before = said(env)[index.source]["imported"]
    length = log_length(env, index)
    letters.update(publish_shop(env, index, shop, 500))
    wait_listed(env, index.source, state="paused")
    env.millrace("source", "resume", index.source, "--index", "orders", "--wait")
    env.wait_until(lambda: imported(env, index.source, index.ends), 60, "the rest is imported")
    assert said(env)[index.source]["imported"] == shop.relevant > before
    assert log_length(env, index) == length + shop.relevant - before, "it went on where it was"
    check(env, index, shop, letters)
    # A new life imports everything once more; what a record of the old life said is not compared.
    env.millrace("source", "seek", index.source, "--index", "orders", "--to", "earliest", "--wait")
    env.wait_until(lambda: said(env).get(index.source, {}).get("life") == 2 and
                   imported(env, index.source, index.ends), 60, "the second life has imported everything")
    shards = folded(env, index)
    assert documents_of(shards) == shop.documents
    assert sum(shard.count(APPLIED) for shard in shards) == 2 * shop.relevant
    wait_listed(env, index.source, life=2, lag=0, imported=shop.relevant)
    missing = env.millrace("source", "pause", "nothing", "--index", "orders", "--wait", check=False)
    assert missing.returncode == 1 and "source_not_found" in missing.stderr, missing


def test_a_topic_made_anew_stops(env):
    index = import_shop(env)
    shop = Shop(4)
    publish_shop(env, index, shop, 300)
    env.wait_until(lambda: imported(env, index.source, index.ends), 60, "everything is imported")
    assert env.programs["ingest"].terminate() == 0
    env.admin().delete_topics([index.source])[index.source].result()
    env.wait_until(lambda: index.source not in env.admin().list_topics(timeout=60).topics, 60, "the topic is gone")
    env.create_topic(index.source, 3)
    other = Shop(5)
    index.ends.clear()
    publish_shop(env, index, other, 900)
    length = log_length(env, index)
    env.start("ingest")
    env.wait_until(lambda: said(env).get(index.source, {}).get("state") == "stopped" and
                   all(part["state"] == "stopped" for part in said(env)[index.source]["partitions"]), 90,
                   "every partition has stopped")
    assert log_length(env, index) == length, "nothing of the new topic is imported"
    row = wait_listed(env, index.source, state="stopped")
    assert "re-created" in row["note"], row
    assert "source_stopped" in env.programs["ingest"].output()
    env.millrace("source", "seek", index.source, "--index", "orders", "--wait")
    env.wait_until(lambda: said(env).get(index.source, {}).get("life") == 2 and
                   imported(env, index.source, index.ends), 60, "the new life is imported")
    applied = {origin for origin in origins_applied(env, index, folded(env, index)) if b".2/" in origin}
    assert len(applied) == other.relevant


def test_letters_that_nobody_takes(env):
    topic = f"{env.cluster}-shop.orders"
    refusing = f"{env.cluster}-letters"
    index = import_shop(env, dead_letter_topic=refusing)
    publish(env, topic, [("a", b'{"id":"a"}', [], 0), ("b", b"{", [], 0), ("d", b'{"id":"d"}', [], 1)])

    def waiting():
        found = said(env)[topic]
        parts = [part for part in found["partitions"] if part["state"] == "waiting"]
        # Those that just came wait too, without a reason, until it is known where they begin.
        return parts if found["state"] == "waiting" and ["reason" in part for part in parts] == [True] else None

    part, = env.wait_until(waiting, 60, "one partition waits")
    assert part["partition"] == 0 and refusing in part["reason"] and part["committed"] <= 1, part
    publish(env, topic, [("c", b'{"id":"c"}', [], 0), ("e", b'{"id":"e"}', [], 1)])
    env.wait_until(lambda: {"a", "d", "e"} <= set(documents_of(folded(env, index))), 60, "the other partition goes on")
    assert "c" not in documents_of(folded(env, index))
    env.create_topic(refusing, 1)
    env.wait_until(lambda: imported(env, topic, {(topic, 0): 3, (topic, 1): 2}), 60, "the partition goes on")
    assert set(documents_of(folded(env, index))) == {"a", "c", "d", "e"}
    assert [message.value() for message in env.read_topic(refusing)] == [b"{"]


def test_configured_otherwise(env):
    index = import_shop(env)
    configure(env, {"topic": index.source, "index": "orders", "partitions": 4, **RULES, "exclude": ["price"]},
              {"topic": index.source, "index": "again", "primary_key": "id", "id": "id", "partitions": 1})
    assert env.programs["ingest"].terminate() == 0
    env.start("ingest")

    def configured():
        answer = env.http("GET", env.programs["ingest"].admin_url + "/status").json()
        return {entry["index"]: entry for entry in answer["configured"]}

    env.wait_until(lambda: [configured().get(uid, {}).get("state") for uid in ("orders", "again")] == ["differs", "recorded"], 60,
                   "one is said to differ, the other is made")
    assert env.metrics("ingest")[f'millrace_import_differing{{source="{index.source}",index="orders"}}'] == 1
    publish(env, index.source, [("k", b'{"id":"a","price":1}', [], 0)])
    env.wait_until(lambda: documents_of(folded(env, index)), 60, "it is imported")
    assert documents_of(folded(env, index)) == {"a": {"id": "a", "price": 1}}, "the recorded rules count"
    env.wait_until(lambda: documents_of(folded(env, index_of(env, "again"))), 60, "both indexes have it")


def test_map(env):
    topic = f"{env.cluster}-shop.orders"
    env.create_topic(topic, 2)
    configure(env, {"topic": topic, "index": "orders", **RULES})
    publish(env, topic, [("k", b'{"id":"a","n":1}', [], 0), ("k", b'{"id":"a","gone":true}', [], 0),
                         ("k", b'{"id":"a","draft":true}', [], 0), ("k", b"{", [], 0), ("k", b'{"id":"b"}', [], 1)])
    rows = env.millrace("map", "--topic", topic, "--sample", "20", "-o", "json")
    assert [(row["partition"], row["offset"], row.get("op"), row.get("refused"), row.get("ignored")) for row in rows] == [
        (0, 0, "put", None, None), (0, 1, "delete", None, None), (0, 2, None, None, True), (0, 3, None, "not_json", None),
        (1, 0, "put", None, None)]
    assert rows[0]["id"] == "a" and rows[0]["document"] == {"id": "a", "n": 1}
    newest = env.millrace("map", "--topic", topic, "--sample", "2", "--source", topic).stdout
    assert newest.splitlines()[0].startswith("0@3  refused, not_json: ") and newest.splitlines()[1].startswith("1@0  put b")
    oldest = env.millrace("map", "--topic", topic, "--sample", "2", "--from-beginning").stdout
    assert oldest.splitlines()[0].startswith("0@0  put a")
    rules = env.directory / "rules.json"
    rules.write_text('{"id": "key", "primary_key": "key", "include": ["n"]}')
    row = env.millrace("map", "--topic", topic, "--sample", "2", "--from-beginning", "--rules", rules, "-o", "json")[0]
    assert row["id"] == "k" and row["document"] == {"n": 1, "key": "k"}
    rules.write_text('{"ide": "key"}')
    wrong = env.millrace("map", "--topic", topic, "--rules", rules, check=False)
    assert wrong.returncode == 1 and "ide" in wrong.stderr, wrong


def test_the_readmes_commands(env):
    """The three commands as they are written, but for where things are."""
    section = (ROOT / "README.md").read_text().partition("## Your own topic in three commands")[2].partition("\n## ")[0]
    commands = [line.strip() for line in section.splitlines() if line.startswith(("    build/", "    curl"))]
    assert len(commands) == 3, commands
    env.start_all()
    env.create_topic("shop.orders", 2)
    publish(env, "shop.orders", [(None, b'{"id":"a","n":1}', [], -1), (None, b'{"id":"b","n":2}', [], -1)])
    outputs = []
    for command in commands:
        command = command.replace("build/release/bin/millrace", f"{env.bin}/millrace --config {env.config}")
        command = command.replace("http://127.0.0.1:7701", env.programs["query"].admin_url)
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert outputs[0].count("refused, missing_key") == 2, "default rules take the id from the key, and say so"
    assert "taskUid" in outputs[2], outputs[2]
    env.wait_until(lambda: env.http("GET", "/indexes/orders/documents/b").status == 200, 60, "it is imported")
    assert whole(env, "GET", "/indexes/orders/documents/b").json() == {"id": "b", "n": 2}


def test_the_idle_worker_takes_over(env):
    env.plan(ingests=2)
    topic = f"{env.cluster}-single"
    env.create_topic(topic, 1)
    configure(env, {"topic": topic, "index": "orders", "partitions": 1, "primary_key": "id", "id": "id"})
    env.start_all()
    workers = {"ingest", "ingest2"}

    def owner():
        owning = [worker for worker in workers if said(env, worker).get(topic, {}).get("partitions")]
        return owning[0] if len(owning) == 1 else None

    for life in range(2):
        first = env.wait_until(owner, 90, "one of them has the partition")
        publish(env, topic, [(None, b'{"id":"o%d"}' % (life * 10 + n), [], 0) for n in range(10)])
        env.wait_until(lambda: imported(env, topic, {(topic, 0): life * 10 + 10}), 90, "it imports")
        env.programs[first].kill9()
        other, = workers - {first}
        env.wait_until(lambda: said(env, other).get(topic, {}).get("partitions"), 90, "the other one takes over")
        env.start(first)
    assert len(documents_of(folded(env, index_of(env, "orders")))) == 20


test_the_idle_worker_takes_over.timeout_s = 600


def uids(env):
    return sorted(index["uid"] for index in env.http("GET", "/indexes?limit=1000").json()["results"])


def documents_in(env, uid):
    answer = env.http("GET", f"/indexes/{uid}/stats")
    return answer.json()["numberOfDocuments"] if answer.status == 200 else None


def test_an_index_for_each_topic(env):
    env.plan(ingests=2)
    prefix = env.cluster + "-shop"
    first, later, named, dead = (f"{prefix}.{name}" for name in ("first", "later", "named", "dead"))
    expected = {first: f"{prefix}_first", later: f"{prefix}_later", named: "other"}
    for topic in (first, named, dead):
        env.create_topic(topic, 1)
    # The pattern matches the cluster's own topics too, and what the sources write.
    configure(env, {"pattern": f"^{env.cluster}[-.]", "primary_key": "id", "id": "id", "dead_letter_topic": dead},
              {"topic": named, "index": "other", "primary_key": "id", "id": "id"})
    env.start_all()
    counts = Counter()

    def fill(topic):
        publish(env, topic, [(None, b'{"id":"d%d"}' % (counts[topic] + n), [], 0) for n in range(20)] + [(None, b"{", [], 0)])
        counts[topic] += 20

    def all_there():
        return all(documents_in(env, expected[topic]) == count for topic, count in counts.items())

    fill(first)
    fill(named)
    env.wait_until(all_there, 60, "the topics of the start are imported")
    env.create_topic(later, 1)
    fill(later)
    env.wait_until(all_there, 60, "a topic that came later is imported")
    assert uids(env) == sorted(expected.values())
    assert {(row["name"], row["index"], row["from"]) for row in env.millrace("source", "ls", "-o", "json")} == {
        (topic, uid, topic) for topic, uid in expected.items()}
    for name in ("ingest", "ingest2"):
        env.programs[name].kill9()
        env.start(name)
    for topic in expected:
        fill(topic)
    env.wait_until(all_there, 120, "they go on after a restart")
    env.wait_until(lambda: all(entry["state"] in ("recorded", "each topic") for entry in configured_at(env, "ingest")), 60,
                   "nothing is left to ask for")
    assert uids(env) == sorted(expected.values()), "nobody's own topic became an index"
    # A worker that takes over while a request is under way may make it once more, which changes nothing.
    made = Counter(json.loads(message.value())["uid"] for message in env.read_topic(env.cluster + ".tasks"))
    assert set(made) == set(expected.values()) and max(made.values()) <= 2, made

    def letters():
        headers = [dict(message.headers()) for message in env.read_topic(dead)]
        return {(letter["__connect.errors.topic"].decode(), int(letter["__connect.errors.offset"])) for letter in headers}

    env.wait_until(lambda: letters() == {(first, 20), (first, 41), (later, 20), (later, 41)}, 60, "each bad record has its letter")


test_an_index_for_each_topic.timeout_s = 600


def configured_at(env, ingest):
    return env.http("GET", env.programs[ingest].admin_url + "/status").json()["configured"]


def test_a_source_is_removed(env):
    """Its documents stay; one added later under its name imports everything once more, above the lives of the removed one."""
    topic = f"{env.cluster}-shop.orders"
    env.create_topic(topic, 1)
    configure(env, {"topic": topic, "index": "orders", "primary_key": "id", "id": "id"})
    env.start_all()
    wait_for_source(env, "orders", topic)
    publish(env, topic, [(None, b'{"id":"a","n":1}', [], 0)])
    env.wait_until(lambda: documents_in(env, "orders") == 1, 60, "it is imported")
    # what the configuration still has would come back at once: refused, with its place
    env.wait_until(lambda: "1 of 1 sources import" in env.millrace("status").stdout, 60, "the gateway knows the worker")
    refused = env.millrace("source", "rm", topic, "--index", "orders", check=False)
    assert refused.returncode == 1 and "millrace.yaml" in refused.stderr and "take it out" in refused.stderr, refused
    configure(env)
    assert env.programs["ingest"].terminate() == 0
    env.start("ingest")
    env.wait_until(lambda: said(env).get(topic, {}).get("partitions"), 60, "the record is obeyed without the configuration")
    # the rules are the recorded ones: `map` needs the gateway for them
    row, = env.millrace("map", "--topic", topic, "--source", topic, "--index", "orders", "-o", "json")
    assert row["id"] == "a" and row["document"] == {"id": "a", "n": 1}, row
    missing = env.millrace("map", "--topic", topic, "--source", "none", "--index", "orders", check=False)
    assert missing.returncode == 1 and "no source `none`" in missing.stderr, missing
    env.wait_until(lambda: "1 of 1 sources import" in env.millrace("status").stdout, 60, "the gateway knows the new worker")
    env.millrace("source", "seek", topic, "--index", "orders", "--wait")
    env.millrace("source", "rm", topic, "--index", "orders", "--wait")
    env.wait_until(lambda: topic not in said(env), 60, "nobody imports it")
    env.wait_until(lambda: listed(env) == {}, 60, "it is not listed")
    again = env.millrace("source", "rm", topic, "--index", "orders", "--wait", check=False)
    assert again.returncode == 1 and "source_not_found" in again.stderr, again
    publish(env, topic, [(None, b'{"id":"b","n":2}', [], 0)])
    added = env.http("POST", env.programs["query"].admin_url + "/indexes/orders/sources",
                     {"topic": topic, "rules": {"id": "id", "exclude": ["n"]}})
    assert added.status == 202, added
    env.wait_until(lambda: env.http("GET", "/indexes/orders/documents/b").status == 200, 60, "the new one imports")
    env.wait_until(lambda: env.http("GET", "/indexes/orders/documents/a").json() == {"id": "a"}, 60,
                   "what was imported before is imported again by its rules")
    wait_listed(env, topic, life=3)

    def states():
        return [name for name, value in env.metrics("ingest").items() if name.startswith("millrace_import_state") and value == 1]

    env.wait_until(lambda: ['state="importing"' in name for name in states()] == [True], 30, "the metrics say that it is imported")
    assert env.metrics("ingest")["millrace_import_running"] == 1


def test_a_failed_import_begins_again(env):
    """What all sources share is refused: that is said, feeding goes on, and import begins once it may."""
    with env.secure_kafka():
        env.create_topic("shop.orders", 1)
        env.write_config({"sources": [{"topic": "shop.orders", "index": "orders", "primary_key": "id"}]})
        commands = granting_commands(env)
        withheld, = (line for line in commands["ingest"] if f"{env.cluster}.task-states'" in line)
        grant(env, *(line for lines in commands.values() for line in lines if line != withheld))
        env.start_all()

        def worker():
            return env.http("GET", env.programs["ingest"].admin_url + "/status").json()["import"]

        def failed():
            found = worker()
            return found if found["state"] == "failed" else None

        found = env.wait_until(failed, 60, "the import has failed")
        assert "task-states" in found["reason"], found
        env.wait_until(lambda: env.metrics("ingest")["millrace_import_running"] == 0, 30, "the metrics say so")
        env.millrace("index", "create", "orders", "--primary-key", "id", "--wait")
        grant(env, withheld)
        env.wait_until(lambda: worker()["state"] == "running", 90, "the import has begun again")
        producer = env.producer(sasl_username="admin", sasl_password=env.kafka.password_of("admin"))
        producer.produce("shop.orders", key="1", value=b'{"id":1}')
        assert producer.flush(60) == 0
        env.wait_until(lambda: env.http("GET", "/indexes/orders/documents/1").status == 200, 60, "it imports")
        assert env.metrics("ingest")["millrace_import_running"] == 1


test_a_failed_import_begins_again.timeout_s = 600  # a Kafka of its own
