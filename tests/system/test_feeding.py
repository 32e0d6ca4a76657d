"""Feeding: bad records of every kind, a publisher with another partitioner, and lag as Kafka's own tools see it."""
import os
import re
import subprocess
from pathlib import Path

import xxhash

from fold import Index, fold_topic

DEEP = 128
LARGEST = 4 * 1024 * 1024
GOOD_KEY = "good"


def nested(depth):
    """An object nested that deep; it is the first level itself."""
    return b'{"x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def sized(size):
    return b'{"x":"' + b"x" * (size - 8) + b'"}'


# (key, value, headers, code or None for a record that is applied, stage)
RECORDS = [
    (None, b'{"id":"a"}', [], "missing_key", "KEY_CONVERTER"),
    ("", b'{"id":""}', [], "missing_key", "KEY_CONVERTER"),
    ("a b", b'{"id":"a b"}', [], "invalid_document_id", "KEY_CONVERTER"),
    ("\u00e9", b"{}", [], "invalid_document_id", "KEY_CONVERTER"),
    ("i" * 511, b'{"n":1}', [], None, None),
    ("i" * 512, b'{"n":1}', [], "invalid_document_id", "KEY_CONVERTER"),
    ("op", b'{"n":1}', [("op", b"upsert")], "unknown_operation", "HEADER_CONVERTER"),
    ("filter", b'"n = 1"', [("op", b"delete-by-filter")], "unexpected_key", "KEY_CONVERTER"),
    (None, b'"n = "', [("op", b"delete-by-filter")], "invalid_filter", "VALUE_CONVERTER"),
    ("merge", b'{"n":1}', [("op", b"merge")], None, None),
    ("key", b'{"n":1}', [("idempotency-key", b"k")], None, None),
    ("key", b'{"n":2}', [("idempotency-key", b"k")], "idempotency_key_reused", "TASK_PUT"),
    ("seq", b'{"n":1}', [("seq", b"-1")], "invalid_header", "HEADER_CONVERTER"),
    ("created", b'{"n":1}', [("created", b"yesterday")], "invalid_header", "HEADER_CONVERTER"),
    ("json", b"{", [], "not_json", "VALUE_CONVERTER"),
    ("latin", b'{"x":"\xe9"}', [], "not_json", "VALUE_CONVERTER"),
    ("array", b"[{}]", [], "not_an_object", "VALUE_CONVERTER"),
    ("deep", nested(DEEP), [], None, None),
    ("deeper", nested(DEEP + 1), [], "too_deep", "VALUE_CONVERTER"),
    ("large", sized(LARGEST), [], None, None),
    ("larger", sized(LARGEST + 1), [], "too_large", "VALUE_CONVERTER"),
    ("mine", b'{"id":"yours"}', [], "id_mismatch", "TASK_PUT"),
    ("5", b'{"id":5}', [], None, None),
    ("6", b'{"id":"6"}', [], None, None),
    ("7", b'{"id":7.0}', [], "id_mismatch", "TASK_PUT"),
]


def index_of(env, uid):
    """The index of this name, once the gateway too has read of it: what another program knows, it may learn later."""

    def listed():
        return [entry for entry in env.millrace("index", "ls", "-o", "json")["results"] if entry["uid"] == uid]

    found = env.wait_until(listed, 60, f"{uid} is listed")
    assert len(found) == 1, found
    entry = found[0]
    return Index(int(entry["id"], 16), entry["topic"], entry["partitions"], entry["primaryKey"], entry["partitioner"])


def whole(env, method, path, body=None, headers=None):
    """The gateway's answer, once it lacks nothing: a shard that is late, or recovering after a standstill, is not yet an answer."""

    def answer():
        found = env.http(method, path, body, headers, timeout=60)
        return found if found.status != 503 and found.headers["X-Millrace-Degraded"] is None else None

    return env.wait_until(answer, 60, f"{method} {path} is answered by every shard")


def shards(env):
    return env.http("GET", env.programs["ingest"].admin_url + "/status").json()["shards"]


def fed_to_the_end(env, ends, mark="received"):
    """True once every shard stands at the ends that the test knows: {partition: offset}."""
    here = {shard["partition"]: shard[mark] for shard in shards(env) if shard["state"] == "feeding"}
    return all(here.get(partition) == end for partition, end in ends.items())


def publish(env, topic, messages, **settings):
    """Sends [(key, value, headers, partition or -1)] with an outside client; {(partition, offset)} in order."""
    producer = env.producer(message_max_bytes=8_000_000, **settings)
    places = [None] * len(messages)

    def delivered(number):
        def note(error, message):
            assert error is None, str(error)
            places[number] = (message.partition(), message.offset())
        return note

    for number, (key, value, headers, partition) in enumerate(messages):
        place = {} if partition < 0 else {"partition": partition}
        producer.produce(topic, key=key, value=value, headers=headers, on_delivery=delivered(number), **place)
        producer.poll(0)
    assert producer.flush(60) == 0
    return places


def dead_letters(env):
    """{(partition, offset): (message, headers)}; no record has two, unless it was read again after a standstill."""
    found = {}
    for message in env.read_topic(f"{env.cluster}.dead-letter"):
        headers = {name: (value or b"").decode() for name, value in message.headers()}
        place = (int(headers["__connect.errors.partition"]), int(headers["__connect.errors.offset"]))
        assert place not in found or env.stood_still("ingest", "shard"), f"two dead letters of {place}"
        found[place] = (message, headers)
    return found


def check_letter(env, letter, record, place, topic):
    message, headers = letter
    key, value, sent, code, stage = record
    assert message.key() == (None if key is None else key.encode())
    assert headers["__connect.errors.topic"] == topic
    assert headers["__connect.errors.stage"] == stage
    assert headers["__connect.errors.connector.name"] == "millrace-ingest"
    assert headers["__connect.errors.exception.class.name"] == headers["millrace.error.code"] == code
    assert headers["__connect.errors.exception.message"], place
    assert headers["millrace.index"] == "books"
    assert headers["millrace.attempts"] == "1"
    assert headers["millrace.document_id"].encode() == (key or "").encode()[:511]
    for name, text in sent:
        assert headers[name] == text.decode()
    if "millrace.truncated" in headers:
        assert value.startswith(message.value()) and int(headers["millrace.truncated"]) == len(value)
        assert headers["millrace.checksum"] == xxhash.xxh3_64_hexdigest(value)
    else:
        assert message.value() == value, f"{code}: the value is another one"


def test_bad_records(env):
    env.start_all()
    env.millrace("index", "create", "books", "--primary-key", "id", "--partitions", "1", "--wait")
    topic = index_of(env, "books").topic
    messages = []
    for number, (key, value, headers, _, _) in enumerate(RECORDS):
        messages.append((key, value, headers, 0))
        messages.append((f"{GOOD_KEY}-{number}", b'{"n":%d}' % number, [], 0))
    places = publish(env, topic, messages)
    end = places[-1][1] + 1
    env.wait_until(lambda: fed_to_the_end(env, {0: end}), 60, "every record is fed or refused")
    letters = dead_letters(env)
    expected = {place for place, record in zip(places[::2], RECORDS) if record[3]}
    assert set(letters) == expected, f"dead letters of {sorted(letters)}, expected of {sorted(expected)}"
    for place, record in zip(places[::2], RECORDS):
        if record[3]:
            check_letter(env, letters[place], record, place, topic)
    # Each next record went on, and the limits themselves are no violation.
    for number in range(len(RECORDS)):
        answer = whole(env, "GET", f"/indexes/books/documents/{GOOD_KEY}-{number}")
        assert answer.status == 200 and answer.json()["n"] == number, answer
    for key, _, _, code, _ in RECORDS:
        if key and re.fullmatch("[A-Za-z0-9_-]+", key) and len(key) < 512:
            status = whole(env, "GET", f"/indexes/books/documents/{key}").status
            assert status == (404 if code and code != "idempotency_key_reused" else 200), f"{key[:20]}: {status}"

    def counted():
        return sum(value for name, value in env.metrics("ingest").items() if "dead_letters_total" in name)

    env.wait_until(lambda: counted() == len(expected) or (counted() > len(expected) and env.stood_still("ingest", "shard")), 30,
                   f"{len(expected)} dead letters are counted")
    # A dead letter below the committed offset is not repeated when feeding starts anew.
    env.wait_until(lambda: fed_to_the_end(env, {0: end}, "committed"), 60, "everything is stored and committed")
    assert env.programs["ingest"].terminate() == 0
    env.start("ingest")
    env.wait_until(lambda: fed_to_the_end(env, {0: end}), 60, "the shard is fed again")
    assert set(dead_letters(env)) == expected


def test_another_partitioner(env):
    env.start_all()
    env.millrace("index", "create", "books", "--primary-key", "id", "--partitions", "4", "--wait")
    index = index_of(env, "books")
    publish(env, index.topic, [(f"book-{n}", b'{"n":%d}' % n, [], -1) for n in range(400)],
            partitioner="consistent_random")
    folded = fold_topic(env.kafka.bootstrap, index)
    env.wait_until(lambda: fed_to_the_end(env, {s.partition: s.end for s in folded}), 60, "every record is judged")
    expected = {(shard.partition, offset) for shard in folded for offset in shard.dead_letters}
    documents = sum(len(shard.documents) for shard in folded)
    assert len(expected) > 200 and documents > 20 and len(expected) + documents == 400, "the test is a test"
    letters = dead_letters(env)
    assert set(letters) == expected
    for _, headers in letters.values():
        assert headers["millrace.error.code"] == "wrong_partition"
        assert "partitioner=murmur2_random" in headers["__connect.errors.exception.message"]
    env.wait_until(lambda: env.http("GET", "/indexes/books/stats").json()["numberOfDocuments"] == documents, 60,
                   f"{documents} documents")


def described(env):
    """{partition: (committed, end, lag)} as kafka-consumer-groups --describe prints it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "millrace"
    libs = Path(os.environ.get("MILLRACE_DEPS_CACHE", cache)) / "kafka-4.1.0"
    output = subprocess.run(
        ["java", "-cp", f"{libs}/*", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
         "--bootstrap-server", env.kafka.bootstrap, "--describe", "--group", f"{env.cluster}.ingest"],
        capture_output=True, text=True, timeout=120).stdout
    rows = [line.split() for line in output.splitlines() if line.startswith(f"{env.cluster}.ingest ")]
    return {int(row[2]): (int(row[3]), int(row[4]), int(row[5])) for row in rows if row[3] != "-"}


def test_lag(env):
    env.start_all()
    env.millrace("index", "create", "books", "--primary-key", "id", "--partitions", "2", "--wait")
    topic = index_of(env, "books").topic
    publish(env, topic, [(f"book-{n}", b'{"n":%d}' % n, [], -1) for n in range(500)])

    def level(records):
        rows = described(env)
        return len(rows) == 2 and all(lag == 0 for _, _, lag in rows.values()) and \
            sum(end for _, end, _ in rows.values()) == records

    env.wait_until(lambda: level(500), 150, "the lag goes to 0")
    said = env.programs["ingest"].output().count("node_unreachable")
    env.programs["shard"].stop()
    rows = env.wait_until(lambda: described(env), 150, "the group is described")
    before = {partition: committed for partition, (committed, _, _) in rows.items()}
    publish(env, topic, [(f"more-{n}", b'{"n":%d}' % n, [], -1) for n in range(500)])
    # Ingest has read and sent them; the node that stands still has stored nothing of it.
    # An ingest that stood still with the machine does not know the node any more, and cannot ask it.
    env.wait_until(lambda: sum(shard["position"] for shard in shards(env)) == 1000 or env.stood_still("ingest"), 60,
                   "the records are read")
    env.wait_until(lambda: env.programs["ingest"].output().count("node_unreachable") > said, 60, "ingest says so")
    rows = env.wait_until(lambda: described(env), 150, "the group is described")
    assert {partition: committed for partition, (committed, _, _) in rows.items()} == before, rows
    assert sum(lag for _, _, lag in rows.values()) == 500, rows
    assert env.programs["ingest"].output().count("node_unreachable") == said + 1, "it says so once"
    env.programs["shard"].cont()
    env.wait_until(lambda: level(1000), 150, "the lag goes to 0 again")
    assert "node_reachable" in env.programs["ingest"].output()


test_lag.timeout_s = 600  # Kafka's own tool is a JVM's start each time
