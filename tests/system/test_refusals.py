"""What a node refuses rather than lose its data: another Kafka, an emptied meta topic, another node's directory, a log
that is not the log; and what it does not answer after it stood still."""
import hashlib
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

from children import wait_until
from documents import ROOT, Publisher, made
from kafka_server import KafkaServer
from replica_view import assert_is_fold, create_index, listing, shards_of, start_node, wait_level

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


def assert_refuses(env, words, config=None, settings=None, directory="n1"):
    """The node ends with 78 and one sentence that has these words; its directory is as it was."""
    before = tree(env.directory / directory)
    node = env.start("shard", settings, name="refused", config=config, wait=False)
    code = node.wait(120)
    said = node.output()
    assert code == CONFIGURATION, f"the node ended with {code}: {said}"
    sentence = next((line for line in said.splitlines() if all(word in line for word in words)), None)
    assert sentence, f"no line has {words}: {said}"
    after = tree(env.directory / directory)
    assert after == before, f"changed: {set(after.items()) ^ set(before.items())}"


def assert_back(env, index, documents):
    """With everything as it should be the same data is served again."""
    env.start_all()
    wait_until(lambda: all(row["state"] == "active" for row in shards_of(env, index).values())
               and len(shards_of(env, index)) == index.partitions, 120, "the replicas are level")
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


test_another_kafka.timeout_s = 600


def recreate(env, topic, partitions, **config):
    env.admin().delete_topics([topic])[topic].result()
    wait_until(lambda: topic not in env.admin().list_topics(timeout=60).topics, 60, f"{topic} is gone")

    def created():
        try:
            env.create_topic(topic, partitions, **config)
            return True
        except Exception as error:  # Kafka may still be deleting its files
            assert "EXISTS" in str(error).upper(), error
            return False

    wait_until(created, 60, f"{topic} is created again")


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


def identity(env, directory):
    return json.loads((env.directory / directory / "node.json").read_text())


def poll(env, name):
    """What the node says of itself."""
    answer = env.http("GET", env.programs[name].url + "/shards")
    assert answer.status == 200, answer
    return answer.json()


def test_directory_of_another_node(env):
    """Under another id a directory is refused, also a copy of it; its identity stays what it was drawn to be."""
    index, documents = with_documents(env)
    first = identity(env, "n1")
    assert first["id"] == "n1" and len(first["incarnation"]) == 32, first
    said = poll(env, "shard")
    assert (said["node"], said["incarnation"], said["ready"]) == ("n1", first["incarnation"], True), said
    assert 0 < said["disk_free_bytes"] <= said["disk_bytes"] and said["descriptors_max"] > 0, said
    stop_all(env)
    assert_refuses(env, ["belongs to node n1", "shard.id is n2", "--shard.id n1"], settings={"shard.id": "n2"})
    copied(env, "n1", "copy")
    assert_refuses(env, ["belongs to node n1", "shard.id is n2"], directory="copy",
                   settings={"shard.id": "n2", "shard.data": env.directory / "copy"})
    (env.directory / "copy" / "node.json").write_text('{"v":1,"id":"n1"}')
    assert_refuses(env, ["node.json", "incarnation", "empty directory"], directory="copy",
                   settings={"shard.data": env.directory / "copy"})
    assert_back(env, index, documents)
    said = poll(env, "shard")
    assert identity(env, "n1") == first and said["incarnation"] == first["incarnation"], said


def copied(env, source, target):
    shutil.copytree(env.directory / source, env.directory / target)


def test_copied_directory(env):
    """A directory has one process. A copy runs, at its own address, and says whose copy it is: nothing else tells."""
    index, _ = with_documents(env)
    env.programs["shard"].stop()  # it holds its lock, and writes nothing
    assert_refuses(env, ["another node uses this directory"], settings={"shard.listen": "127.0.0.1:0"})
    env.programs["shard"].cont()
    env.programs["shard"].terminate()
    copied(env, "n1", "copy")
    env.start("shard")
    env.start("shard", {"shard.data": env.directory / "copy", "shard.listen": "127.0.0.1:0"}, name="clone")
    wait_until(lambda: len(shards_of(env, index, "clone")) == index.partitions, 60, "the copy has opened its replicas")
    own, clone = poll(env, "shard"), poll(env, "clone")
    assert (clone["node"], clone["incarnation"]) == (own["node"], own["incarnation"]), (own, clone)
    assert clone["session"] != own["session"], "two processes have one session"
    # Nobody feeds the copy, so it never says that it is level, and it answers no search.
    asked = {"shards": [{"index": f"{index.id:016x}", "partitions": [0]}], "q": "", "limit": 1}
    answer = env.http("POST", env.programs["clone"].url + "/search", asked)
    assert answer.status == 410 and answer.json()["shards"][0]["state"] == "recovering", answer


def test_directory_without_identity(env):
    """An older program wrote none: the directory gets one, and keeps its replicas."""
    index, documents = with_documents(env)
    stop_all(env)
    before = identity(env, "n1")
    (env.directory / "n1" / "node.json").unlink()
    assert_back(env, index, documents)
    after = identity(env, "n1")
    assert after["id"] == "n1" and after["incarnation"] != before["incarnation"], (before, after)


def test_older_directory(env):
    """A data directory from a backup: the same incarnation with less, and fed from there again."""
    index, _ = with_documents(env)
    env.programs["shard"].terminate()
    copied(env, "n1", "backup")
    start_node(env)
    publisher = Publisher(env, index.topic)
    for id, body in made(600, seed=3):
        publisher.send(id, body)
    publisher.flush()
    assert_is_fold(env, index)
    earlier = shards_of(env, index)
    env.programs["shard"].terminate()
    shutil.rmtree(env.directory / "n1")
    (env.directory / "backup").rename(env.directory / "n1")
    start_node(env)
    assert_is_fold(env, index)
    for p, row in shards_of(env, index).items():
        assert row["incarnation"] == earlier[p]["incarnation"] and row["session"] != earlier[p]["session"], row


def test_another_node_is_meant(env):
    """A request that names another node is not answered: its answer would be true of somebody else."""
    index, _ = with_documents(env, partitions=1)
    shard = env.programs["shard"].url
    asked = {"shards": [{"index": f"{index.id:016x}", "partitions": [0]}], "q": ""}
    for method, path, body in (("POST", "/search", asked), ("GET", "/shards", None), ("POST", "/batch", b"x")):
        answer = env.http(method, shard + path, body, {"X-Millrace-Node": "n2"})
        assert answer.status == 421 and answer.json()["code"] == "wrong_node", answer
        assert "node n1" in answer.json()["message"] and "node n2" in answer.json()["message"], answer
        assert env.http(method, shard + path, body, {"X-Millrace-Node": "n1"}).status in (200, 400, 410)  # 410: it stood still
    assert env.http("GET", shard + "/health", headers={"X-Millrace-Node": "n2"}).status == 200
    wait_until(lambda: refused(env, "wrong_node") == 3, 30, "three refusals are counted")


def test_standstill(env):
    """A node that stood still has new sessions and answers no search before it is level again."""
    index, documents = with_documents(env)
    node = env.programs["shard"]

    def standstills():
        return len([line for line in node.output().splitlines() if "event=stood_still" in line])

    def renewed():
        return env.metrics("shard")["millrace_node_sessions_renewed_total"]

    stood, renewed_before = standstills(), renewed()  # with the machine, if ever
    before = poll(env, "shard")
    node.stop()
    stopped = time.monotonic()
    wait_until(lambda: time.monotonic() - stopped > 3, 30, "the node has stood still")
    node.cont()
    wait_until(lambda: poll(env, "shard")["session"] != before["session"], 60, "the node has a new session")
    after = poll(env, "shard")
    assert after["incarnation"] == before["incarnation"]
    sessions = {row["partition"]: row["session"] for row in before["shards"]}
    assert all(row["session"] != sessions[row["partition"]] for row in after["shards"]), (before, after)
    assert [row["received"] for row in after["shards"]] == [row["received"] for row in before["shards"]]
    wait_level(env, index, 60)
    # it may have stood still once more, with the machine
    wait_until(lambda: standstills() > stood and renewed() == renewed_before + index.partitions * (standstills() - stood), 30,
               "each standstill renews each session once")
    assert {p: listing(env, index, p) for p in documents} == documents


def ask(env, index, partition, tokens=(), stale=False, deadline_ms=None, name="shard"):
    """A search of one shard, as a gateway asks for it."""
    asked = {"shards": [{"index": f"{index.id:016x}", "partitions": [partition]}], "q": "", "limit": 1,
             "stale": stale, "tokens": [{"p": p, "offset": offset} for p, offset in tokens]}
    headers = {"X-Millrace-Deadline-Ms": str(deadline_ms)} if deadline_ms is not None else {}
    return env.http("POST", env.programs[name].url + "/search", asked, headers, timeout=60)


def state_of(answer):
    """What a refused shard is said to be."""
    assert answer.status == 410, answer
    return answer.json()["shards"][0]["state"]


def refused(env, reason):
    return env.metrics("shard")[f'millrace_node_questions_refused_total{{reason="{reason}"}}']


def record(env, index, partition, **changes):
    """The shard's record again, with changes of n1's entry and a sibling or not; no controller runs."""
    key = f"shard/{index.id:016x}/{partition}".encode()
    records = [message for message in env.read_topic(f"{env.cluster}.topology") if message.key() == key]
    value = json.loads(records[-1].value())
    entry = next(replica for replica in value["replicas"] if replica["node"] == "n1")
    siblings = changes.pop("siblings", [])
    entry.update(changes)
    value["replicas"] = [entry, *siblings]
    producer = env.producer()
    producer.produce(f"{env.cluster}.topology", json.dumps(value).encode(), key)
    assert producer.flush(60) == 0


def test_recorded_out_of_sync(env):
    """The record decides who serves: out of sync, joining, or known as another incarnation is `recovering`."""
    index, _ = with_documents(env)
    env.programs["rebalance"].terminate()
    own = shards_of(env, index)[0]["incarnation"]
    sibling = {"node": "n9", "incarnation": "9" * 32, "state": "active", "in_sync": True}
    known = {"incarnation": own, "state": "active", "in_sync": True}
    rows = [
        ("out of sync", {**known, "in_sync": False, "siblings": [sibling]}, False),
        ("in-sync again", known, True),
        ("in-sync as another incarnation", {**known, "incarnation": "7" * 32}, False),
        ("in-sync, not registered", {**known, "incarnation": ""}, True),
        ("joining", {**known, "state": "joining", "in_sync": False, "siblings": [sibling]}, False),
        ("in-sync at last", known, True),
    ]
    for what, changes, serves in rows:
        record(env, index, 0, **changes)

        def settled():  # it is level all the same, and the other shard has another record
            row, other = shards_of(env, index)[0], shards_of(env, index)[1]
            return row["serving"] == serves and row["state"] == "active" and other["serving"]

        wait_until(settled, 60, f"{what}: serving is {serves}")
        answer, stale = ask(env, index, 0), ask(env, index, 0, stale=True)
        assert (answer.status == 200) == serves, f"{what}: {answer}"
        assert serves or state_of(answer) == "recovering", f"{what}: {answer}"
        assert stale.status == 200, f"{what}: {stale}"
        said = stale.json()["received"][0]["state"]
        assert said == ("active" if serves else "recovering"), f"{what}: {stale}"
        assert ask(env, index, 1).status == 200, what
    wait_until(lambda: refused(env, "recovering") == 3, 30, "three refusals are counted")


def test_leaving(env):
    """The last good copy is kept, whatever the record says; with another in-sync it goes."""
    index, _ = with_documents(env)
    env.programs["rebalance"].terminate()
    directories = sorted((env.directory / "n1" / "replicas").iterdir())
    assert len(directories) == index.partitions, directories
    sibling = {"node": "n9", "incarnation": "9" * 32, "state": "active", "in_sync": False}
    record(env, index, 0, state="leaving", in_sync=False, siblings=[sibling])
    wait_until(lambda: shards_of(env, index)[0]["state"] == "stopped", 60, "the replica is closed")
    assert "no other replica is in-sync" in shards_of(env, index)[0]["stop_reason"], shards_of(env, index)
    assert state_of(ask(env, index, 0)) == "stopped"
    assert sorted((env.directory / "n1" / "replicas").iterdir()) == directories
    record(env, index, 0, state="leaving", in_sync=False, siblings=[{**sibling, "in_sync": True}])
    wait_until(lambda: 0 not in shards_of(env, index), 60, "the replica is dropped")
    assert state_of(ask(env, index, 0)) == "absent"
    left = [path for path in directories if not path.name.endswith("-0")]
    wait_until(lambda: sorted((env.directory / "n1" / "replicas").iterdir()) == left, 30, "its directory is gone, and no other")


def test_tokens_and_deadlines(env):
    """A question waits for what a shard must have received, and not past its deadline."""
    index, _ = with_documents(env, partitions=1)
    received = shards_of(env, index)[0]["received"]
    answer = ask(env, index, 0, [(0, received)], deadline_ms=25000)
    assert answer.status == 200 and answer.json()["received"][0]["received"] == received, answer
    assert answer.json()["received"][0]["total"] == answer.json()["total"] > 0, answer

    def behind():  # a node that is scheduled after the deadline says so instead
        answer = ask(env, index, 0, [(0, received + 1)], deadline_ms=2000)
        return answer.json()["code"] != "deadline" and state_of(answer) == "behind"

    wait_until(behind, 60, "a question that waited is refused")
    wait_until(lambda: refused(env, "behind") == 1, 30, "a refusal is counted")
    late = refused(env, "deadline")
    assert ask(env, index, 0, deadline_ms=0).json()["code"] == "deadline"
    wait_until(lambda: refused(env, "deadline") == late + 1, 30, "a refusal is counted")
    for tokens, deadline in (([(1, 5)], None), ([(0, -1)], None), ((), "1e3"), ((), "1234567890")):
        assert ask(env, index, 0, tokens, deadline_ms=deadline).status == 400, (tokens, deadline)

    def answered():  # a node waits 10 s at most
        answer = ask(env, index, 0, [(0, received + 1)], deadline_ms=25000)
        return answer if answer.status != 410 else None

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(wait_until, answered, 60, "the record is received") for _ in range(8)]
        wait_until(lambda: env.metrics("shard")["millrace_node_questions_waiting"] == 8, 20, "they wait")
        publisher = Publisher(env, index.topic)
        publisher.send(b"one-more", b'{"id":"one-more"}')
        publisher.flush()
        for future in asked:
            answer = future.result()
            assert answer.status == 200, answer
            assert answer.json()["received"][0]["received"] > received, answer
    # What waits when the node ends is refused, and the node ends at once.
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, env, index, 0, [(0, received + 1000)], deadline_ms=25000)
        wait_until(lambda: env.metrics("shard")["millrace_node_questions_waiting"] == 1, 20, "it waits")
        assert env.programs["shard"].terminate() == 0
        assert asked.result().status in (410, 503), asked.result()


def fed(env, index, partition=0):
    """Ingest's view of one shard, or None."""
    rows = env.http("GET", env.programs["ingest"].admin_url + "/status").json()["shards"]
    return next((row for row in rows if row["index"] == f"{index.id:016x}" and row["partition"] == partition), None)


def assert_stops(env, index, documents):
    """The shard is not fed and says why and what to do; the node still has and serves what it had."""
    wait_until(lambda: (fed(env, index) or {}).get("state") == "stopped", 60, "the shard stops")
    reason = fed(env, index)["stop_reason"]
    assert "the topic was re-created or truncated" in reason, reason
    assert "rebuild the index" in reason, f"no remedy in: {reason}"
    log = env.programs["ingest"].output()
    assert index.topic in log and "re-created" in log, f"the log does not say which topic: {log[-2000:]}"
    rows = shards_of(env, index)
    assert rows[0]["received"] == documents["received"], rows
    wait_until(lambda: env.http("GET", "/indexes/books/stats").json()["numberOfDocuments"] == len(documents["listing"]), 30,
               "the gateway counts what it had")
    assert listing(env, index, 0, stale=True) == documents["listing"]  # nobody feeds it: after a standstill it stays recovering


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
