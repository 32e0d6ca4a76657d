"""`millrace dlq replay`: what comes back into the log, once, and what does not, and why."""
import json

from documents import Publisher
from fold import partition_of
from replica_view import assert_dead_letters, assert_is_fold, create_index
from test_dlq import dead_letter_topic, last_headers, refuse
from test_feeding import whole

PARTITIONS = 2
OWN = "__connect.errors."


def wrong(index, id):
    """A partition where the key does not belong."""
    return 1 - partition_of(index, id.encode())


def letters(env, count):
    """{record's key: (place, message)} once there are so many."""
    env.wait_until(lambda: len(env.read_topic(dead_letter_topic(env))) >= count, 90, f"{count} dead letters")
    return {message.key(): (f"{message.partition()}@{message.offset()}", message)
            for message in env.read_topic(dead_letter_topic(env))}


def log_of(env, index):
    return env.read_topic(index.topic)


def replay(env, *words, code=0):
    """(the whole answer, {document id: its result})"""
    result = env.millrace("dlq", "replay", *words, "-o", "json", check=False)
    assert result.returncode == code and "anitizer" not in result.stderr, result
    said = json.loads(result.stdout)
    assert said["letters"] == len(said["results"]) == said["not_replayed"] + said["replayed"] or said["dry_run"], said
    return said, {entry["document_id"]: entry for entry in said["results"]}


def write_letter(env, index, key, value, offset, headers=(), own=()):
    """A letter as ingest writes it, of a record that never was."""
    publisher = Publisher(env, dead_letter_topic(env))
    publisher.send(key, value, [*own, (OWN + "topic", index.topic.encode()), (OWN + "partition", b"0"),
                                (OWN + "offset", str(offset).encode()), ("millrace.error.code", b"made"),
                                ("millrace.index", b"books"), *headers])
    publisher.flush()


def test_replay(env):
    """Letters of a wrong partitioner come back into the right one, once each; what the log has moved beyond stays."""
    env.start_all()
    index = create_index(env, "books", PARTITIONS)
    publisher = Publisher(env, index.topic)
    bodies = {id: b'{"id":"%s","n":1.10, "from":"the letter"}' % id.encode() for id in ("alone", "moved", "again")}
    for id, body in bodies.items():
        publisher.send(id, body, [("trace", b"\x00x"), ("none", None)], partition=wrong(index, id))
    publisher.send("broken", b'{"id":', partition=partition_of(index, b"broken"))
    publisher.flush()
    found = letters(env, 4)
    publisher.send("moved", b'{"id":"moved","from":"the log"}', partition=partition_of(index, b"moved"))
    publisher.flush()
    before = len(log_of(env, index))

    said, results = replay(env, "--index", "books", "--dry-run", code=1)
    assert {id: entry["result"] for id, entry in results.items()} == {
        "alone": "would be replayed", "again": "would be replayed", "moved": "refused", "broken": "refused"}, said
    assert results["broken"]["why"].startswith("it would be refused again: not_json: "), results["broken"]
    assert (said["dry_run"], said["replayed"], said["not_replayed"]) == (True, 0, 2), said
    assert len(log_of(env, index)) == before, "a dry run writes nothing"

    said, results = replay(env, "--reason", "wrong_partition", code=1)
    assert said["replayed"] == 2 and set(results) == set(bodies), said
    assert results["moved"]["why"].startswith(f"the document has a later record, {partition_of(index, b'moved')}@"), said
    log = {f"{m.partition()}@{m.offset()}": m for m in log_of(env, index)}
    assert len(log) == before + 2
    for id in ("alone", "again"):
        message, place = log[results[id]["record"]], found[id.encode()][0]
        assert (message.key(), message.value(), message.partition()) == (id.encode(), bodies[id], partition_of(index, id.encode()))
        assert message.headers() == [("trace", b"\x00x"), ("none", None), (
            "idempotency-key", f"millrace.replay/{dead_letter_topic(env)}/{place}".encode())], message.headers()
        assert (results[id]["letter"], results[id]["code"], results[id]["index"]) == (place, "wrong_partition", "books")
    assert_is_fold(env, index)
    assert whole(env, "GET", "/indexes/books/documents/alone").json()["from"] == "the letter"
    assert whole(env, "GET", "/indexes/books/documents/moved").json()["from"] == "the log"
    table = env.millrace("dlq", "replay", found[b"alone"][0], check=False).stdout.splitlines()
    assert table[0] == "0 of 1 dead letters replayed, 1 not", table
    assert "--raw" in table[-2] and table[-1] == "gives its value, to be mended and published anew.", table
    assert table[1].split() == ["DEAD", "LETTER", "INDEX", "DOCUMENT", "ID", "CODE", "RESULT", "RECORD", "WHY"], table
    check_again(env, index, found, results)


def check_again(env, index, found, first):
    """The same letters a second time, and by force."""
    before = len(log_of(env, index))
    said, results = replay(env, "--reason", "wrong_partition", code=1)
    assert said["replayed"] == 0 and len(log_of(env, index)) == before, said
    for id in ("alone", "again"):
        assert (results[id]["result"], results[id]["record"]) == ("replayed before", first[id]["record"]), results[id]

    place = found[b"moved"][0]
    partition, offset = place.split("@")
    said, results = replay(env, "--partition", partition, "--offset", offset, "--force")
    assert said["replayed"] == 1 and results["moved"]["result"] == "replayed", said
    publisher = Publisher(env, index.topic)
    publisher.send("again", b'{"id":"again","from":"the log"}', partition=partition_of(index, b"again"))
    publisher.flush()
    said, results = replay(env, found[b"again"][0], "--force")
    assert said["replayed"] == 1 and len(log_of(env, index)) == before + 3, said
    shards = assert_is_fold(env, index)
    assert_dead_letters(env, shards)
    assert whole(env, "GET", "/indexes/books/documents/moved").json()["from"] == "the letter", "--force puts it back"
    if index.contract > 1:
        _, offset = (int(part) for part in results["again"]["record"].split("@"))
        verdict = shards[partition_of(index, b"again")].verdicts[offset]
        assert verdict.outcome == "duplicate", f"a second replay of one letter is a duplicate, not {verdict}"
        assert whole(env, "GET", "/indexes/books/documents/again").json()["from"] == "the log"


def test_replay_refuses(env):
    """Letters that were cut, of no index, of nobody, that say nothing; barriers; and words that do not fit together."""
    env.start_all()
    index = create_index(env, "books", PARTITIONS)
    other = type(index)(0, "shop.orders", 1)
    id = next(f"id-{number}" for number in range(100) if partition_of(index, b"id-%d" % number) == 0)
    write_letter(env, index, id, b'{"n":1', 3, [("millrace.truncated", b"9000"), ("millrace.checksum", b"0" * 16)])
    write_letter(env, other, "theirs", b"{}", 4)
    publisher = Publisher(env, dead_letter_topic(env))
    publisher.send("nobody's", b"{}", [("millrace.index", b"books")])
    publisher.flush()
    write_letter(env, index, id, b'{"n":5}', 5, own=[("origin", b"shop.1/0/7.0"), ("seq", b"4")])
    said, _ = replay(env, "--partition", "0", code=1)
    assert [(entry["result"], (entry["why"] or "")[:len(why)]) for entry, why in zip(said["results"], (
        f"it was cut, so its bytes are not all here; the whole record is or was {index.topic} 0@3",
        "shop.orders is not the log of an index", "it does not say which record it was", ""))] == [
        ("refused", f"it was cut, so its bytes are not all here; the whole record is or was {index.topic} 0@3"),
        ("refused", "shop.orders is not the log of an index"), ("refused", "it does not say which record it was"),
        ("replayed", "")], said
    message, = log_of(env, index)
    assert message.value() == b'{"n":5}' and "origin" not in last_headers(message), "an origin would make it a duplicate"
    assert last_headers(message)["seq"] == b"4"
    assert_is_fold(env, index)
    for words, why in (
            ((), "expected PARTITION@OFFSET"), (("--offset", "1"), "--offset is one of a --partition"),
            (("0@1", "--force", "--index", "books"), "PARTITION@OFFSET stands alone"), (("0@x",), "is no PARTITION@OFFSET"),
            (("--partition", "-1"), "--partition is `-1`"), (("0@99",), "there is no 0@99 yet"),
            (("--partition", "7"), "none with number 7"), (("--reason", "nothing"), "has no such dead letter")):
        assert why in refuse(env, "replay", *words), (words, why)
    assert "`ls` takes" in refuse(env, "ls", "--force") and "`show` takes" in refuse(env, "show", "0@1", "--dry-run")
