"""`millrace doc where`: why a document is, or is not, in its index, against what the test itself has published."""
import json

import confluent_kafka

from fold import partition_of
from replica_view import index_of
from test_feeding import fed_to_the_end, publish

PARTITIONS = 4
FIELDS = sorted("verdict outcome index index_id id topic partitioner partition log records elsewhere dead_letters replicas "
                "replicas_error".split())


def start(env, partitioner="murmur2"):
    """Two nodes, two copies, an index `books`."""
    env.plan(nodes=2, rf=2)
    env.start_all()
    env.millrace("index", "create", "books", "--primary-key", "id", "--partitions", PARTITIONS, "--partitioner",
                 partitioner, "--wait")
    return index_of(env, "books")


def ask(env, id, *words, uid="books"):
    """(exit code, the answer), once no node that runs was late with its part."""
    def told():
        result = env.millrace("doc", "where", uid, id, *words, "-o", "json", check=False)
        assert "anitizer" not in result.stderr and result.stdout, result
        said = json.loads(result.stdout)
        late = any(r["state"] is None or (r["note"] or "").startswith("does not answer: ")
                   for r in said["replicas"] if env.programs[r["node"]].running())
        return None if late else (result, said)

    result, said = env.wait_until(told, 60, "every node that runs has told")
    assert sorted(said) == FIELDS, sorted(said)
    assert (said["index"], said["id"]) == (uid, id)
    assert (result.returncode == 0) == (said["outcome"] == "present"), result
    return result.returncode, said


def refuse(env, *words):
    """What the command says when it answers nothing."""
    result = env.millrace("doc", *words, check=False)
    assert result.returncode == 1 and not result.stdout and "anitizer" not in result.stderr, (words, result)
    return result.stderr.strip()


def send(env, index, messages):
    """[(key, value, partition or -1)]; their places, once every replica has received all of them."""
    places = publish(env, index.topic, [(key, value, [], partition) for key, value, partition in messages])
    ends = {}
    for partition, offset in places:
        ends[partition] = max(ends.get(partition, 0), offset + 1)
    env.wait_until(lambda: received_by_all(env, index, ends), 90, f"every replica has received up to {ends}")
    return places


def received_by_all(env, index, ends):
    rows = [row for row in env.millrace("status", "-o", "json")["shards"] if row["topic"] == index.topic]
    return len(rows) == index.partitions and all(
        len(row["replicas"]) == 2 and all(r["in_sync"] and r["state"] == "active" and
                                          (r["received"] or 0) >= ends.get(row["partition"], 0) for r in row["replicas"])
        for row in rows)


def kinds(records):
    return [(r["partition"], r["offset"], r["operation"], r["code"]) for r in records["last"]]


def documents(said):
    return [(r["node"], r["document"]) for r in sorted(said["replicas"], key=lambda r: r["node"])]


def letter_place(env, place):
    """PARTITION@OFFSET of the dead letter of a record, as an independent client sees it."""
    for message in env.read_topic(f"{env.cluster}.dead-letter"):
        headers = dict(message.headers())
        if (int(headers["__connect.errors.partition"]), int(headers["__connect.errors.offset"])) == place:
            return f"{message.partition()}@{message.offset()}"
    raise AssertionError(f"no dead letter of {place}")


def test_where_documents_are(env):
    """Present, updated, deleted, refused, refused later, never published, in the wrong partition."""
    index = start(env)
    home = partition_of(index, b"lost")
    wrong = (home + 1) % PARTITIONS
    kept, old, new, put, gone, bad, good, late, lost = send(env, index, [
        ("kept", b'{ "n":1.10, "t":"\\u00c9" }', -1), ("updated", b'{"n":1}', -1), ("updated", b'{"n":2}', -1),
        ("deleted", b'{"n":1}', -1), ("deleted", None, -1), ("refused", b"{", -1), ("late", b'{"n":1}', -1),
        ("late", b"[]", -1), ("lost", b'{"n":1}', wrong)])
    everywhere = [("n1", "present"), ("n2", "present")]
    nowhere = [("n1", "absent"), ("n2", "absent")]

    code, said = ask(env, "kept")
    assert (code, said["outcome"]) == (0, "present"), said
    assert said["verdict"] == f"in the index since offset {kept[1]} of partition {kept[0]}, all 2 replicas have it"
    assert (said["topic"], said["partition"], said["partitioner"]) == (index.topic, kept[0], "murmur2")
    assert said["index_id"] == f"{index.id:016x}" and said["elsewhere"] is None and said["replicas_error"] is None
    assert kinds(said["records"]) == [(*kept, "put", None)] and said["records"]["total"] == 1
    assert said["dead_letters"] == {"total": 0, "last": [], "error": None}
    log = said["log"]
    assert (log["read"], log["base"], log["start"], log["error"]) == (True, 0, 0, None) and log["end"] > kept[1]
    assert "delete" in log["cleanup_policy"] or "compact" in log["cleanup_policy"]
    assert documents(said) == everywhere
    for replica in said["replicas"]:
        assert (replica["recorded"], replica["in_sync"], replica["state"]) == ("active", True, "active"), replica
        assert (replica["received"], replica["has_last"], replica["note"]) == (log["end"], True, None), replica
        assert replica["url"] == f"http://127.0.0.1:{env.nodes[replica['node']]}"

    code, said = ask(env, "updated")
    assert (code, said["verdict"]) == (0, f"in the index since offset {new[1]} of partition {new[0]}, all 2 replicas have it")
    assert kinds(said["records"]) == [(*old, "put", None), (*new, "put", None)] and documents(said) == everywhere

    code, said = ask(env, "deleted")
    assert (code, said["outcome"]) == (1, "deleted") and documents(said) == nowhere
    time = said["records"]["last"][-1]["time"]
    assert said["verdict"] == f"deleted by the record at offset {gone[1]} of partition {gone[0]} ({time})"
    assert kinds(said["records"]) == [(*put, "put", None), (*gone, "delete", None)]

    code, said = ask(env, "refused")
    letter = letter_place(env, bad)
    assert (code, said["outcome"]) == (1, "refused") and documents(said) == nowhere
    assert said["verdict"] == (f"refused: not_json, at offset {bad[1]} of partition {bad[0]}, "
                               f"see `millrace dlq show {letter}`")
    assert kinds(said["records"]) == [(*bad, "refused", "not_json")] and said["records"]["last"][0]["reason"]
    found = said["dead_letters"]["last"]
    assert [(l["place"], l["log_partition"], l["log_offset"], l["code"]) for l in found] == [(letter, *bad, "not_json")]
    assert found[0]["reason"] == env.millrace("dlq", "show", letter, "-o", "json")[0]["reason"]

    code, said = ask(env, "late")
    assert (code, said["outcome"]) == (0, "present") and documents(said) == everywhere
    assert said["verdict"] == (f"in the index since offset {good[1]} of partition {good[0]}, all 2 replicas have it; the "
                               f"newest record, at offset {late[1]}, was refused: not_an_object, see "
                               f"`millrace dlq show {letter_place(env, late)}`")

    code, said = ask(env, "never")
    never = partition_of(index, b"never")
    assert (code, said["outcome"], said["records"]) == (1, "absent", {"total": 0, "last": []})
    assert said["verdict"] == (f"no record with this key in partition {never}: published to another topic or partition? "
                               "try --all-partitions")
    assert ask(env, "never", "--all-partitions")[1]["verdict"] == (
        f"no record with this key in partition {never} or any other of {index.topic}: published to another topic?")

    code, said = ask(env, "lost", "--all-partitions")
    assert (code, said["outcome"], said["partition"]) == (1, "elsewhere", home) and documents(said) == nowhere
    assert said["records"]["total"] == 0 and kinds(said["elsewhere"]) == [(*lost, "refused", "wrong_partition")]
    assert said["verdict"] == (f"no record with this key in partition {home}, but in other partitions (1), the last at offset "
                               f"{lost[1]} of partition {wrong}: published with another partitioner than murmur2?")
    code, said = ask(env, "lost")
    assert (code, said["outcome"], said["elsewhere"]) == (1, "elsewhere", None)
    assert said["verdict"] == (f"no record with this key in partition {home}, but one in partition {wrong} was refused: "
                               f"wrong_partition, see `millrace dlq show {letter_place(env, lost)}`")
    check_tables(env, index, kept, bad)


test_where_documents_are.timeout_s = 400


def check_tables(env, index, kept, bad):
    """What people get: the verdict, then everything else."""
    lines = env.millrace("doc", "where", "books", "kept").stdout.splitlines()
    assert lines[0] == f"in the index since offset {kept[1]} of partition {kept[0]}, all 2 replicas have it" and lines[1] == ""
    assert lines[2].startswith(f"log {index.topic}, partition {kept[0]} by murmur2, offsets 0 to ")
    at = lines.index("records with this key: 1")
    assert lines[at + 1].split() == ["PARTITION", "OFFSET", "TIME", "OPERATION", "DUPLICATE", "CODE", "REASON"]
    assert lines[at + 2].split()[:2] == [str(kept[0]), str(kept[1])] and "dead letters: 0" in lines
    assert [line.split()[0] for line in lines[-3:]] == ["NODE", *sorted(["n1", "n2"])] or \
        [line.split()[0] for line in lines[-3:]] == ["NODE", "n2", "n1"], lines
    refused = env.millrace("doc", "where", "books", "refused", "--all-partitions", check=False)
    assert refused.returncode == 1 and f"dlq show {letter_place(env, bad)}" in refused.stdout.splitlines()[0]
    assert "dead letters: 1" in refused.stdout and "records with this key in other partitions: 0" in refused.stdout


def test_where_it_is_on_its_way(env):
    """Nobody feeds: how far each replica is behind. A node stopped: what the other says. Many records: the last 20."""
    index = start(env)
    first = send(env, index, [("one", b'{"n":0}', -1)])[0]
    env.programs["ingest"].terminate()
    places = publish(env, index.topic, [("one", b'{"n":1}', [], -1)])
    code, said = ask(env, "one")
    assert code == 1 and "; not received yet by n1: 1 record behind; " in said["verdict"], said["verdict"]
    assert [r["has_last"] for r in said["replicas"]] == [False, False]
    places += publish(env, index.topic, [("one", b'{"n":%d}' % n, [], -1) for n in range(2, 31)])
    code, said = ask(env, "one")
    assert (code, said["outcome"], said["records"]["total"]) == (1, "incomplete", 31)
    assert kinds(said["records"]) == [(*place, "put", None) for place in places[-20:]]
    assert said["verdict"].startswith(f"put by the record at offset {places[-1][1]} of partition {first[0]}, but on no replica; ")
    for node in ("n1", "n2"):
        assert f"; not received yet by {node}: 30 records behind" in said["verdict"], said["verdict"]
    assert documents(said) == [("n1", "differs"), ("n2", "differs")]
    assert all(r["received"] == first[1] + 1 and r["has_last"] is False for r in said["replicas"])
    assert "records with this key: 31, the last 20" in env.millrace("doc", "where", "books", "one", check=False).stdout
    publish(env, index.topic, [("one", None, [], -1)])
    code, said = ask(env, "one")
    assert (code, said["outcome"]) == (1, "deleted") and "; not received yet by n2: 31 records behind" in said["verdict"]

    env.start("ingest")
    last = send(env, index, [("one", b'{"n":99}', -1)])[0]
    assert ask(env, "one")[0] == 0
    env.programs["n2"].kill9()
    code, said = ask(env, "one")
    assert (code, said["outcome"]) == (1, "incomplete")
    assert said["verdict"].startswith(f"in the index since offset {last[1]} of partition {last[0]}, 1 of 2 replicas has it; "
                                      "n2 does not answer: "), said["verdict"]
    assert documents(said) == [("n1", "present"), ("n2", None)]
    assert [r["note"].startswith("does not answer: ") for r in said["replicas"] if r["node"] == "n2"] == [True]


test_where_it_is_on_its_way.timeout_s = 400


def test_where_operations(env):
    """Merges, duplicates, keys used again, operations without effect, and barriers: each is named, and the state is right."""
    index = start(env)
    home = partition_of(index, b"doc")
    key = ("idempotency-key", b"k")
    first, merged, again, reused, none = publish(env, index.topic, [
        ("doc", b'{"n":1, "w":"Stra\xc3\x9fe"}', [key], -1), ("doc", b'{"n":2,"m":3}', [("op", b"merge")], -1),
        ("doc", b'{"n":1, "w":"Stra\xc3\x9fe"}', [key], -1), ("doc", b'{"n":9}', [key], -1),
        ("absent", b'{"n":1}', [("op", b"put-if-exists")], -1)])

    def settled(id, outcome):
        return env.wait_until(lambda: (lambda said: said if said[1]["outcome"] == outcome else None)(ask(env, id)), 60,
                              f"{id} is {outcome}")

    _, said = settled("doc", "present")
    assert [(r["offset"], r["operation"], r["duplicate"], r["code"]) for r in said["records"]["last"]] == [
        (first[1], "put", False, None), (merged[1], "merge", False, None), (again[1], "put", True, None),
        (reused[1], "put", False, "idempotency_key_reused")], said
    reasons = [r["reason"] for r in said["records"]["last"]]
    assert reasons[2] == f"repeats the record at offset {first[1]}", reasons
    assert reasons[3] == f"the record at offset {again[1]} has the same key for another operation", reasons
    assert said["verdict"].startswith(f"in the index since offset {merged[1]} of partition {home}, all 2 replicas have it; the "
                                      f"newest record, at offset {reused[1]}, was refused: idempotency_key_reused"), said
    _, said = settled("absent", "absent")
    assert said["verdict"] == (f"never put; its last record, a put-if-exists at offset {none[1]} of partition {none[0]}: no "
                               "effect: there was no document"), said

    barrier = [("op", b"delete-by-filter")]
    kept, = publish(env, index.topic, [(None, b'"n = 1 OR m > 3"', barrier, home)])
    publish(env, index.topic, [("doc", b'{"k":1}', [("op", b"merge-if-exists")], -1)])
    assert settled("doc", "present")[1]["records"]["total"] == 5, "a filter that means others is no record of it"
    gone, = publish(env, index.topic, [(None, b'["k = 1", "w EXISTS"]', barrier, home)])
    _, said = settled("doc", "deleted")
    assert said["verdict"].startswith(f"deleted by the delete-by-filter at offset {gone[1]} of partition {home}"), said
    env.wait_until(lambda: documents(ask(env, "doc")[1]) == [("n1", "absent"), ("n2", "absent")], 60, "every replica deletes it")
    publish(env, index.topic, [("doc", '{"w":"É"}'.encode(), [], -1)])
    settled("doc", "present")
    unsure, = publish(env, index.topic, [(None, '"w = \'é\'"'.encode(), barrier, home)])
    env.wait_until(lambda: documents(ask(env, "doc")[1]) == [("n1", "absent"), ("n2", "absent")], 60, "folded beyond ASCII")
    said = ask(env, "doc")[1]
    assert f"; whether the delete-by-filter at offset {unsure[1]} meant it is not known here" in said["verdict"], said


test_where_operations.timeout_s = 600


def test_where_the_log_forgot(env):
    """Retention took the records: the replicas keep the document, and what is gone is said."""
    index = start(env)
    place = send(env, index, [("old", b'{"n":1}', -1)])[0]
    gone = confluent_kafka.TopicPartition(index.topic, place[0], place[1] + 1)
    env.admin().delete_records([gone])[gone].result()
    code, said = ask(env, "old")
    assert (code, said["outcome"], said["records"]["total"]) == (0, "present", 0), said
    assert said["verdict"] == (f"in the index on 2 of 2 replicas, but partition {place[0]}, which begins at offset "
                               f"{place[1] + 1} now, has no record of it")
    assert (said["log"]["base"], said["log"]["start"]) == (0, place[1] + 1)
    assert f"what was below offset {place[1] + 1} has left the log" in env.millrace("doc", "where", "books", "old").stdout
    other = next(id for id in (f"x{n}" for n in range(100)) if partition_of(index, id.encode()) == place[0])
    assert ask(env, other)[1]["verdict"].endswith(f"; the log begins at offset {place[1] + 1} now, older records are gone")


def test_where_without_partitioner(env):
    """Any partition may hold it: all are looked through, the newest record counts."""
    index = start(env, "none")
    env.wait_until(lambda: fed_to_the_end(env, {p: 0 for p in range(PARTITIONS)}), 90, "every partition is fed")
    place = send(env, index, [("free", b'{"n":1}', 3)])[0]
    code, said = ask(env, "free")
    assert (code, said["partition"], kinds(said["records"])) == (0, 3, [(*place, "put", None)])
    code, said = ask(env, "never")
    assert (code, said["outcome"], said["partition"], said["replicas"]) == (1, "absent", None, [])
    assert said["verdict"] == f"no record with this key in any partition of {index.topic}: published to another topic?"
    assert said["replicas_error"].startswith("the index has no partitioner")


def test_where_something_is_away(env):
    """Kafka or the gateway away: the other still says what it knows. No such index, and words that do not fit."""
    with env.own_kafka():
        index = start(env)
        place = send(env, index, [("here", b'{"n":1}', -1)])[0]
        assert refuse(env, "where", "boks", "here") == (
            "millrace doc: there is no index boks; `millrace index ls` names those there are")
        for words, expected in [
            ([], "expected where (see --help)"),
            (["find", "books", "here"], "expected where (see --help)"),
            (["where", "books"], "`where` takes the uid of an index and the id of a document (see --help)"),
            (["where", "books", "a", "b"], "`where` takes the uid of an index and the id of a document (see --help)"),
            (["where", "books", ""], "neither the uid nor the id may be empty"),
            (["where", "books", "here", "-o", "xml"], "-o is `xml`, expected table or json"),
        ]:
            assert refuse(env, *words) == f"millrace doc: {expected}", words
        assert "doc where UID ID" in env.millrace("--help").stdout

        env.programs["query"].terminate()
        result = env.millrace("doc", "where", "books", "here", check=False)
        assert "is millrace-query running there?" in result.stderr, result
        code, said = ask(env, "here")
        assert (code, said["outcome"], said["replicas"]) == (1, "unknown", [])
        assert said["verdict"] == (f"put by the record at offset {place[1]} of partition {place[0]}; which replicas have it "
                                   "is not known: the gateway gave no answer")
        assert kinds(said["records"]) == [(*place, "put", None)]
        assert refuse(env, "where", "boks", "here").endswith("millrace doc: the topic meta has no active index boks")

        env.start("query")
        env.kafka.pause()
        code, said = ask(env, "here")
        assert (code, said["outcome"], said["partition"]) == (1, "unknown", place[0]) and not said["log"]["read"]
        assert said["log"]["error"] and said["dead_letters"]["error"] and documents(said) == [("n1", "present"), ("n2", "present")]
        assert said["verdict"].endswith("; 2 of 2 replicas have a document with this id, 0 did not say"), said["verdict"]
        text = env.millrace("doc", "where", "books", "here", check=False).stdout
        assert "dead letters could not be read: " in text and "n2" in text
        env.kafka.resume()
        env.wait_until(lambda: ask(env, "here")[0] == 0, 90, "Kafka answers again, and so does the command")


test_where_something_is_away.timeout_s = 600  # a Kafka of its own, and commands that wait for one
