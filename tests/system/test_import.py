"""Import: other topics' records into an index, each of them once, whatever dies in between."""
import json
import random
from collections import Counter

from fold import APPLIED, DUPLICATE, Index, Shard, records_of
from test_feeding import index_of, publish

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
    env.wait_until(lambda: env.http("GET", f"/indexes/{index.uid}/stats").json()["numberOfDocuments"] ==
                   len(shop.documents), 60, "the index holds them")
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


def test_killed_in_the_middle(env):
    env.plan(ingests=2)
    index = import_shop(env)
    shop = Shop(2)
    letters = {}
    for life in range(6):
        letters.update(publish_shop(env, index, shop, 2500))
        victim = "ingest" if life % 2 == 0 else "ingest2"
        env.programs[victim].kill9()
        env.start(victim)
    env.wait_until(lambda: imported(env, index.source, index.ends), 90, "everything is imported")
    shards = check(env, index, shop, letters)
    print("duplicates dropped by origin:", sum(shard.count(DUPLICATE) for shard in shards))
