"""What a node says of its replicas, and whether that is the fold of the log."""
import http.client
import json
import re

import confluent_kafka

from children import wait_until
from fold import Index, fold_topic

BLANK = re.compile(r"[ \t\n\r]*")
SCAN = json.JSONDecoder().raw_decode
LIST_LIMIT = 1000


def blank(text, at):
    return BLANK.match(text, at).end()


def elements(text, at, opening, closing):
    """Walks a JSON array or object from `at`; yields (name or None, start, end) of each value, then (None, None, end)."""
    assert text[at] == opening, text[at:at + 40]
    at = blank(text, at + 1)
    while text[at] != closing:
        name = None
        if opening == "{":
            name, at = SCAN(text, at)
            at = blank(text, at)
            assert text[at] == ":"
            at = blank(text, at + 1)
        _, end = SCAN(text, at)
        yield name, at, end
        at = blank(text, end)
        if text[at] == ",":
            at = blank(text, at + 1)


def raw_members(text, at=0):
    """{name: the value's text, byte for byte}; a name that occurs twice fails."""
    members = {}
    for name, start, end in elements(text, blank(text, at), "{", "}"):
        assert name not in members, f"{name} twice"
        members[name] = text[start:end]
    return members


def raw_items(text):
    return [text[start:end] for _, start, end in elements(text, blank(text, 0), "[", "]")]


class Line:
    """One keep-alive connection."""

    def __init__(self, place, timeout=60):
        self._connection = http.client.HTTPConnection(place, timeout=timeout)

    def ask(self, method, path, body=None):
        """(status, body bytes)"""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def close(self):
        self._connection.close()


def index_of(env, uid):
    """The Index of an active uid, from the command line, once the gateway has read of it."""
    def listed():
        answer = env.millrace("index", "ls", "-o", "json", check=False)
        if answer.returncode != 0:  # the gateway has only started
            return None
        return next((row for row in json.loads(answer.stdout)["results"] if row["uid"] == uid), None)

    row = wait_until(listed, 60, f"{uid} is listed")
    return Index(int(row["id"], 16), row["topic"], row["partitions"], row["primaryKey"], row["partitioner"])


def create_index(env, uid, partitions):
    env.millrace("index", "create", uid, "--primary-key", "id", "--partitions", partitions, "--wait")
    return index_of(env, uid)


def shards_of(env, index, name="shard"):
    """{partition: state of its replica}"""
    answer = env.http("GET", f"{env.programs[name].url}/shards?index={index.id:016x}")
    assert answer.status == 200, answer
    return {row["partition"]: row for row in answer.json()["shards"]}


def figures_of(env, index, name="shard"):
    """[state of its replica with the figures], by partition."""
    answer = env.http("GET", f"{env.programs[name].url}/shards?index={index.id:016x}&figures=true")
    assert answer.status == 200, answer
    return sorted(answer.json()["shards"], key=lambda row: row["partition"])


def documents_of(env, uid):
    """How many documents an index has, as the gateway says once it reaches every shard."""
    def whole():
        answer = env.http("GET", f"/indexes/{uid}/stats")
        return answer if answer.status == 200 and "X-Millrace-Degraded" not in answer.headers else None

    return wait_until(whole, 60, f"the gateway has the counts of all shards of {uid}").json()["numberOfDocuments"]


def start_node(env):
    """The node again, its replicas opened."""
    env.start("shard")
    wait_until(lambda: is_ready(env), 90, "the node has read meta and topology")


def is_ready(env):
    return env.http("GET", env.programs["shard"].url + "/ready").status == 200


def log_ends(env, index):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": env.kafka.bootstrap, "group.id": "ends", "log_level": 0})
    try:
        return {p: consumer.get_watermark_offsets(confluent_kafka.TopicPartition(index.topic, p), timeout=30)[1]
                for p in range(index.partitions)}
    finally:
        consumer.close()


def wait_level(env, index, deadline_s, watermark="received"):
    """Until every replica is active and has received (or stored) all that the log holds now."""
    ends = log_ends(env, index)

    def level():
        if not is_ready(env):
            return False
        rows = shards_of(env, index)
        stopped = [row["stop_reason"] for row in rows.values() if row["state"] == "stopped"]
        assert not stopped, f"stopped: {stopped}"
        return all(p in rows and rows[p]["state"] == "active" and rows[p][watermark] >= end for p, end in ends.items())

    try:
        wait_until(level, deadline_s, f"{index.topic} is {watermark} up to {ends}")
    except AssertionError as error:
        raise AssertionError(f"{error}; the node says {shards_of(env, index)}") from None
    return ends


def row_at_end(env, index, shard):
    """What the node says of a replica that has all of its partition; one that stood still opens it anew."""
    def at_end():
        row = shards_of(env, index).get(shard.partition)
        return row if row and row["state"] == "active" and row["received"] >= shard.end else None

    return wait_until(at_end, 60, f"{index.topic}/{shard.partition} is active and at {shard.end}")


def ask_replica(env, index, partition, path, body):
    """(status, body); again while a node that stood still opens the replica anew."""
    def answered():
        line = Line(env.programs["shard"].listen, timeout=180)
        status, answer = line.ask("POST", path, {"index": f"{index.id:016x}", **body})
        line.close()
        if status in (410, 503) and shards_of(env, index).get(partition, {}).get("state") != "stopped":
            return None
        return status, answer

    return wait_until(answered, 60, f"{path} of partition {partition} is answered")


def listing(env, index, partition, stale=False):
    """[(id, body, (timestamp, seq))] of one replica, as bytes, in its own order; `stale`: also of one that recovers."""
    found, total = [], None
    while total is None or len(found) < total:
        status, body = ask_replica(env, index, partition, "/list", {"partitions": [partition], "offset": len(found),
                                                                    "limit": LIST_LIMIT, "stale": stale})
        assert status == 200, f"/list of partition {partition}: {status} {body[:300]}"
        answer = raw_members(body.decode())
        total = int(answer["total"])
        hits = [raw_members(hit) for hit in raw_items(answer["hits"])]
        assert hits or len(found) == total, f"/list gave {len(found)} of {total} documents of partition {partition}"
        for hit in hits:
            found.append((json.loads(hit["id"]).encode(), hit["doc"].encode(), (int(hit["ts"]), int(hit["seq"]))))
    return found


def verify(env, index, partition):
    """(status, body) of the node's own check of what it has stored."""
    return ask_replica(env, index, partition, "/verify", {"partition": partition})


def assert_is_fold(env, index, stored=True, fold=fold_topic):
    """Every replica of the index is the fold of its partition: documents, order, digest. Returns the fold."""
    wait_level(env, index, 240, "stored" if stored else "received")
    shards = fold(env.kafka.bootstrap, index)
    for shard in shards:
        row, where = row_at_end(env, index, shard), f"{index.topic}/{shard.partition}"
        assert row["received"] == shard.end, f"{where}: received {row['received']}, the log ends at {shard.end}"
        assert row["documents"] == len(shard.documents), f"{where}: {row['documents']} documents, not {len(shard.documents)}"
        expected = shard.in_order()
        found = listing(env, index, shard.partition)
        for place, (is_there, should_be) in enumerate(zip(found, expected)):
            # A body may end or begin with blanks, which belong to no JSON value.
            should_be = (should_be[0], should_be[1].strip(b" \t\n\r"), should_be[2])
            assert is_there == should_be, f"{where}, place {place}: the node has {is_there}, the log says {should_be}"
        assert len(found) == len(expected), f"{where}: lists {len(found)} documents, not {len(expected)}"
        assert row["digest"] == shard.digest(), f"{where}: digest {row['digest']}, not {shard.digest()}"
        status, body = verify(env, index, shard.partition)
        assert status == 200, f"{where}: /verify answers {status} {body[:300]}"
    return shards


def dead_letters(env, topic):
    """{(partition, offset): code} of the letters about records of a topic."""
    found = {}
    for message in env.read_topic(f"{env.cluster}.dead-letter"):
        headers = {name: (value or b"").decode(errors="replace") for name, value in message.headers()}
        if headers["__connect.errors.topic"] == topic:
            place = int(headers["__connect.errors.partition"]), int(headers["__connect.errors.offset"])
            found[place] = headers["millrace.error.code"]
    return found


def assert_dead_letters(env, shards):
    """The dead-letter topic names exactly the fold's dead letters of these shards; a repetition is no second one."""
    expected = {(shard.partition, offset): code for shard in shards for offset, code in shard.dead_letters.items()}
    found, missing = {}, {}

    def all_there():
        # A replica may have a record before the letter of the one ahead of it is written.
        found.update(dead_letters(env, shards[0].index.topic))
        missing.clear()
        missing.update((place, code) for place, code in expected.items() if place not in found)
        return not missing

    try:
        wait_until(all_there, 60, "every dead letter is written")
    except AssertionError as error:
        raise AssertionError(f"{error}; {len(missing)} are missing, e.g. {dict(list(missing.items())[:5])}") from None
    assert found == expected, f"not dead letters, or with another code: {dict(found.items() - expected.items())}"
