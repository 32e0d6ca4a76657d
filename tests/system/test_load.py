"""60,000 documents of an outside producer: all are found, and every byte of the node is the fold of the log."""
import json
import os
import random
import shutil
from concurrent.futures import ThreadPoolExecutor

from children import wait_until
from documents import Publisher, documents, made, made_body
from replica_view import (Line, assert_dead_letters, assert_is_fold, create_index, documents_of, index_of, listing, log_ends,
                          shards_of, start_node, verify, wait_level)

DOCUMENTS = 60000
READERS = 4
PATIENCE = {"query.timeout_ms": 20000}  # the machine may stand still; what counts is the answer


def load(env, index, count):
    """Puts, then updates, deletes in both forms, re-creations and bad records over them; all from one seed."""
    dice = random.Random(20)
    publisher = Publisher(env, index.topic)
    ids = []
    for id, body in documents(count):
        ids.append(id.decode())
        publisher.send(id, body)
    publisher.flush()
    for id in dice.sample(ids, count // 20):
        publisher.send(id, made_body(dice, id))
    deleted = dice.sample(ids, count // 30)
    for number, id in enumerate(deleted):
        publisher.send(id, made_body(dice, id) if number % 2 else None, [("op", b"delete")] if number % 2 else None)
    for number, id in enumerate(deleted[: count // 90]):
        headers = [("created", b"1600000000000.%d" % number)] if number % 3 == 0 else [("seq", b"%d" % number)]
        publisher.send(id, made_body(dice, id), headers)
    for number in range(count // 1000):
        publisher.send(f"bad-{number}", b"not JSON")
        publisher.send(f"bad-{number}", b'{"id":"another"}')
        publisher.send(f"blank-{number}", b' {"n": 1.50} ')
    publisher.flush()


def get(line, id):
    """(status, body) of a document; asked again while its only replica does not answer, as after a standstill."""
    def answered():
        status, body = line.ask("GET", f"/indexes/packages/documents/{id.decode()}")
        return (status, body) if status != 503 else None

    return wait_until(answered, 60, f"document {id.decode()} is answered")


def assert_found_by_id(env, index, shards):
    """GET of every document, and of every one that was deleted, through the gateway."""
    expected = {id: body for shard in shards for id, (body, _) in shard.documents.items()}

    def read(ids):
        line = Line(env.programs["query"].listen)
        for id in ids:
            status, body = get(line, id)
            assert status == 200, f"document {id.decode()}: {status} {body[:300]}"
            assert json.loads(body) == json.loads(expected[id]), f"document {id.decode()}: {body[:300]}"
        line.close()

    ids = sorted(expected)
    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(read, [ids[start::READERS] for start in range(READERS)]))
    line = Line(env.programs["query"].listen)
    for id in (b"bad-0", b"never-published"):
        status, body = get(line, id)
        assert (status, json.loads(body)["code"]) == (404, "document_not_found"), f"{id}: {status} {body}"
    line.close()
    found = documents_of(env, "packages")
    assert found == len(expected), f"{found}, not {len(expected)}"


def stop_all(env):
    for name in ("query", "ingest", "rebalance", "shard"):
        code = env.programs[name].terminate()
        assert code == 0, f"{name} ended with {code} on SIGTERM"


def flip_byte(path, text):
    """Inverts one bit inside every copy of `text` in the file: the live page and those that were superseded."""
    content = bytearray(path.read_bytes())
    count, at = 0, content.find(text)
    while at >= 0:
        content[at + len(text) // 2] ^= 1
        count, at = count + 1, content.find(text, at + 1)
    assert count > 0, f"{path} does not contain {text}"
    path.write_bytes(content)


def test_sixty_thousand_documents(env):
    env.start_all(PATIENCE)
    index = create_index(env, "packages", 12)
    load(env, index, DOCUMENTS)
    wait_level(env, index, 600)
    shards = assert_is_fold(env, index)
    assert sum(len(shard.documents) for shard in shards) > DOCUMENTS * 0.95
    assert sum(len(shard.dead_letters) for shard in shards) == DOCUMENTS // 1000 * 2
    assert_dead_letters(env, shards)
    assert_found_by_id(env, index, shards)
    before = shards_of(env, index)
    stop_all(env)
    env.start_all(PATIENCE)
    wait_level(env, index, 240)
    after = shards_of(env, index)
    assert index_of(env, "packages") == index
    for partition, row in before.items():
        for name in ("incarnation", "received", "stored", "documents", "digest"):
            assert after[partition][name] == row[name], f"partition {partition}: {name} was {row[name]}, is {after[partition]}"
    found, stored = documents_of(env, "packages"), sum(row["documents"] for row in before.values())
    assert found == stored, f"{found}, not {stored}"


test_sixty_thousand_documents.timeout_s = 1800


def test_flipped_byte(env):
    """A stored byte that changed is noticed, and what it belongs to is never served."""
    env.start_all()
    index = create_index(env, "packages", 2)
    publisher = Publisher(env, index.topic)
    for id, body in made(500):
        publisher.send(id, body)
    marker = "Unmistakable Text That No Posting Holds In These Letters"
    # bodies are compressed on disk, ids are not
    publisher.send("flipped-in-one-byte", json.dumps({"id": "flipped-in-one-byte", "text": marker}).encode())
    publisher.flush()
    shards = assert_is_fold(env, index)
    home = next(shard.partition for shard in shards if b"flipped-in-one-byte" in shard.documents)
    assert env.programs["shard"].terminate() == 0
    holding = f"{index.id:016x}-1-{home}"
    flip_byte(env.directory / "n1" / "replicas" / holding / "data.mdb", b"flipped-in-one-byte")
    start_node(env)
    wait_until(lambda: all(row["state"] != "recovering" for row in shards_of(env, index).values()), 90,
               "the replicas are level or stopped")
    answer = env.http("GET", "/indexes/packages/documents/flipped-in-one-byte")
    assert answer.status >= 500, f"a damaged document was answered: {answer}"
    assert b"Unmistakable" not in answer.body, answer
    status, body = verify(env, index, home)
    assert status >= 400, f"/verify of a damaged replica: {status} {body}"
    wait_until(lambda: shards_of(env, index)[home]["state"] == "stopped", 30, "the damaged replica has stopped")
    assert shards_of(env, index)[home]["stop_reason"]
    other = 1 - home
    assert verify(env, index, other)[0] == 200
    assert len(listing(env, index, other)) == len(shards[other].documents)
    answer = env.http("POST", "/indexes/packages/search", {"q": "unmistakable"})
    assert answer.status == 503 or f"shards=packages/{home}" in answer.headers.get("X-Millrace-Degraded", ""), \
        f"an answer without shard {home} does not say so: {answer.status} {dict(answer.headers)}"
    assert b"Unmistakable" not in answer.body, answer


def test_verify_finds_a_flipped_byte(env):
    """/verify notices on its own, before anybody asks for the document."""
    env.start_all()
    index = create_index(env, "books", 1)
    publisher = Publisher(env, index.topic)
    for id, body in made(100):
        publisher.send(id, body)
    publisher.flush()
    assert_is_fold(env, index)
    assert env.programs["shard"].terminate() == 0
    flip_byte(env.directory / "n1" / "replicas" / f"{index.id:016x}-1-0" / "data.mdb", b"made-50")
    start_node(env)
    wait_until(lambda: shards_of(env, index)[0]["state"] != "recovering", 90, "the replica is level or stopped")
    status, answer = verify(env, index, 0)
    assert status >= 400, f"/verify of a damaged replica: {status} {answer}"
    wait_until(lambda: shards_of(env, index)[0]["state"] == "stopped", 30, "the damaged replica has stopped")


def test_former_life(env):
    """An index that was deleted and created again has another id, another topic and none of the former documents."""
    env.start_all(PATIENCE)
    former = create_index(env, "books", 3)
    publisher = Publisher(env, former.topic)
    for id, body in made(300):
        publisher.send(id, body)
    publisher.flush()
    assert_is_fold(env, former)
    env.millrace("index", "delete", "books", "--wait")
    assert env.http("GET", "/indexes/books/documents/made-7").status == 404
    index = create_index(env, "books", 2)
    assert index.id != former.id and index.topic != former.topic, f"{former} → {index}"
    wait_until(lambda: former.topic not in env.admin().list_topics(timeout=30).topics, 120,
               f"the former topic {former.topic} is deleted")
    wait_until(lambda: not shards_of(env, former), 120, "the node has dropped the former replicas")
    replicas = env.directory / "n1" / "replicas"
    wait_until(lambda: not any(f"{former.id:016x}" in name for name in os.listdir(replicas)), 60,
               "the node keeps no file of the former replicas")
    wait_level(env, index, 240)
    assert documents_of(env, "books") == 0
    publisher = Publisher(env, index.topic)
    for id, body in made(10, seed=2):
        publisher.send(id, body)
    publisher.flush()
    shards = assert_is_fold(env, index)
    assert sum(len(shard.documents) for shard in shards) == 10
    assert documents_of(env, "books") == 10
    assert env.http("GET", "/indexes/books/documents/made-7").status == 200
    assert env.http("GET", "/indexes/books/documents/made-77").status == 404


def test_lost_disk(env):
    """A node that lost its disk starts a new incarnation, and the log makes it whole."""
    env.start_all()
    index = create_index(env, "books", 2)
    publisher = Publisher(env, index.topic)
    for id, body in made(2000):
        publisher.send(id, body)
    publisher.flush()
    before = shards_of(env, index) if assert_is_fold(env, index) else None
    env.programs["shard"].kill9()
    shutil.rmtree(env.directory / "n1")
    start_node(env)
    ends = log_ends(env, index)
    wait_until(lambda: len(shards_of(env, index)) == len(ends), 120, "the replicas are there again")
    assert_is_fold(env, index)
    for partition, row in shards_of(env, index).items():
        assert row["incarnation"] != before[partition]["incarnation"], "an empty store is another incarnation"
        assert row["digest"] == before[partition]["digest"]
