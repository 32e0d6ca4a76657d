"""What a node refuses rather than lose its data: another Kafka, an emptied meta topic, a log that is not the log."""
import hashlib

from children import wait_until
from documents import ROOT, Publisher, made
from kafka_server import KafkaServer
from replica_view import assert_is_fold, create_index, listing, shards_of

CONFIGURATION = 78


def tree(directory):
    """{path: checksum} of every file; LMDB's table of readers is no content, whoever opens an environment writes it."""
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(directory.rglob("*")) if path.is_file() and path.name != "lock.mdb"}


def with_documents(env, partitions=2, count=400):
    """An index whose documents are all stored; (Index, what each replica lists)."""
    env.start_all()
    index = create_index(env, "books", partitions)
    publisher = Publisher(env, index.topic)
    for id, body in made(count):
        publisher.send(id, body)
    publisher.flush()
    assert_is_fold(env, index)
    return index, {p: listing(env, index, p) for p in range(partitions)}


def stop_all(env):
    for name in ("query", "ingest", "rebalance", "shard"):
        env.programs[name].terminate()


def assert_refuses(env, words, config=None):
    """The node ends with 78 and one sentence that has these words; its directory is as it was."""
    before = tree(env.directory / "n1")
    node = env.start("shard", config=config, wait=False)
    code = node.wait(60)
    said = node.output()
    assert code == CONFIGURATION, f"the node ended with {code}: {said}"
    sentence = next((line for line in said.splitlines() if all(word in line for word in words)), None)
    assert sentence, f"no line has {words}: {said}"
    after = tree(env.directory / "n1")
    assert after == before, f"changed: {set(after.items()) ^ set(before.items())}"


def assert_back(env, index, documents):
    """With everything as it should be the same data is served again."""
    env.start_all()
    wait_until(lambda: all(row["state"] == "active" for row in shards_of(env, index).values())
               and len(shards_of(env, index)) == index.partitions, 60, "the replicas are level")
    assert {p: listing(env, index, p) for p in documents} == documents


def test_another_kafka(env):
    index, documents = with_documents(env)
    stop_all(env)
    other = KafkaServer(ROOT, env.directory / "kafka", (env.ports.free(), env.ports.free()))
    other.start()
    try:
        config = env.write_config({"kafka": {"bootstrap.servers": other.bootstrap}}, name="other.yaml")
        assert_refuses(env, ["Kafka cluster"], config)
        # The same with a Millrace of this name on the other Kafka: its topics are there, without this node's index.
        env.start("rebalance", config=config)
        wait_until(lambda: env.http("GET", env.programs["rebalance"].url + "/office").json()["in_office"], 60,
                   "a controller is in office at the other Kafka")
        env.programs["rebalance"].terminate()
        assert_refuses(env, ["Kafka cluster"], config)
    finally:
        other.kill9()
    assert_back(env, index, documents)


def recreate(env, topic, partitions, **config):
    env.admin().delete_topics([topic])[topic].result()
    wait_until(lambda: topic not in env.admin().list_topics(timeout=10).topics, 30, f"{topic} is gone")

    def created():
        try:
            env.create_topic(topic, partitions, **config)
            return True
        except Exception as error:  # Kafka may still be deleting its files
            assert "EXISTS" in str(error).upper(), error
            return False

    wait_until(created, 30, f"{topic} is created again")


def test_emptied_meta(env):
    with_documents(env)
    stop_all(env)
    recreate(env, f"{env.cluster}.meta", 1, cleanup_policy="compact")
    assert_refuses(env, ["holds a replica of index", "meta topic"])


def test_emptied_meta_and_topology(env):
    """Also when a controller has begun anew on the emptied topics."""
    with_documents(env)
    stop_all(env)
    for name in ("meta", "topology"):
        recreate(env, f"{env.cluster}.{name}", 1, cleanup_policy="compact")
    assert_refuses(env, ["holds a replica of index", "meta topic"])


def fed(env, index, partition=0):
    """Ingest's view of one shard, or None."""
    rows = env.http("GET", env.programs["ingest"].admin_url + "/shards").json()["shards"]
    return next((row for row in rows if row["index"] == f"{index.id:016x}" and row["partition"] == partition), None)


def assert_stops(env, index, documents):
    """The shard is not fed and says why and what to do; the node still has and serves what it had."""
    wait_until(lambda: (fed(env, index) or {}).get("state") == "stopped", 60, "the shard stops")
    reason = fed(env, index)["stopReason"]
    assert "the topic was re-created or truncated" in reason, reason
    assert "rebuild the index" in reason, f"no remedy in: {reason}"
    log = env.programs["ingest"].output()
    assert index.topic in log and "re-created" in log, f"the log does not say which topic: {log[-2000:]}"
    rows = shards_of(env, index)
    assert rows[0]["received"] == documents["received"], rows
    assert env.http("GET", "/indexes/books/stats").json()["numberOfDocuments"] == len(documents["listing"])
    assert listing(env, index, 0) == documents["listing"]


def test_log_created_again(env):
    """A topic under the same name that is not the log: shorter than the watermark, then longer."""
    index, listed = with_documents(env, partitions=1)
    documents = {"listing": listed[0], "received": shards_of(env, index)[0]["received"]}
    env.programs["ingest"].terminate()
    recreate(env, index.topic, 1)
    publisher = Publisher(env, index.topic)
    for id, body in made(documents["received"] // 2, seed=8):
        publisher.send(id, body)
    publisher.flush()
    env.start("ingest")
    assert_stops(env, index, documents)
    # It grows past the watermark while the shard stands stopped: still another log.
    for id, body in made(documents["received"], seed=9):
        publisher.send(id, body)
    publisher.flush()
    env.programs["ingest"].terminate()
    env.start("ingest")
    assert_stops(env, index, documents)
