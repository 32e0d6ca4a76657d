"""The controller with a real Kafka: what it records, whom it serves, and that a kill between any two steps is mended."""
import json
import random
import re
import shutil

import confluent_kafka
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import ConfigResource

from children import wait_until
from fleet import rows_of
from fold import fold_topic
from replica_view import create_index, shards_of
from test_feeding import whole

CONFIGURATION = 78
KILLS = 8


def records(env, suffix):
    """{key: value} of a compacted topic of ours, the last of each key."""
    return {message.key().decode(): json.loads(message.value()) for message in env.read_topic(f"{env.cluster}.{suffix}")}


def finals(env):
    """{task: [finals]} in the order of the topic."""
    found = {}
    for message in env.read_topic(f"{env.cluster}.task-states"):
        final = json.loads(message.value())
        found.setdefault(final["task"], []).append(final)
    return found


def topics(env):
    return set(env.admin().list_topics(timeout=60).topics)


def setting(env, topic, name):
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    return env.admin().describe_configs([resource])[resource].result()[name].value


def in_office(env, name="rebalance"):
    program = env.programs[name]
    return program.running() and env.http("GET", program.url + "/office").json()["in_office"]


def start(env):
    env.start("rebalance")
    env.start("query")
    wait_until(lambda: in_office(env), 60, "the controller is in office")


def index_of(env, uid):
    """The id and record of the index that the name leads to; None if it leads nowhere."""
    meta = records(env, "meta")
    id = meta.get("names", {"names": {}})["names"].get(uid)
    return id and (id, meta[f"index/{id}"])


def request(env, method, path, body=None):
    """Asks the gateway's admin port; the task's uid."""
    answer = env.http(method, env.programs["query"].admin_url + path, body)
    assert answer.status == 202, answer
    return answer.json()["taskUid"]


def create(env, uid, **members):
    return request(env, "POST", "/indexes", {"uid": uid, "primaryKey": "id", **members})


def final_of(env, task):
    return wait_until(lambda: finals(env).get(task), 90, f"task {task} has its final")[0]


def test_index_created_deleted_created_again(env):
    start(env)
    env.millrace("index", "create", "books", "--partitions", "3", "--wait")
    id, index = index_of(env, "books")
    topic = f"{env.cluster}.docs.books"
    assert index["state"] == "active" and index["topic"] == topic and index["own_topic"] is True, index
    assert (index["partitions"], index["base"], index["generation"]) == (3, [0, 0, 0], 1), index
    assert topic in topics(env)
    assert setting(env, topic, "cleanup.policy") == "delete" and setting(env, topic, "retention.ms") == "-1"
    assert int(setting(env, topic, "max.message.bytes")) > index["rules"]["document_bytes_max"]
    topology = records(env, "topology")
    for p in range(3):
        replicas = topology[f"shard/{id}/{p}"]["replicas"]
        assert [(r["node"], r["state"], r["in_sync"]) for r in replicas] == [("n1", "active", True)], replicas
    assert topology["cluster"]["nodes"][0]["id"] == "n1" and topology["cluster"]["epoch"] >= 1

    env.millrace("index", "delete", "books", "--wait")
    assert index_of(env, "books") is None
    assert records(env, "meta")[f"index/{id}"]["state"] == "deleted"
    wait_until(lambda: topic not in topics(env), 60, "the topic that Millrace created is gone")

    env.millrace("index", "create", "books", "--partitions", "2", "--wait")
    again, second = index_of(env, "books")
    assert again != id and second["topic"] == f"{topic}.{second['task']}", second
    assert records(env, "meta")[f"index/{id}"]["state"] == "deleted"
    assert second["topic"] in topics(env) and topic not in topics(env)


def test_adopted_topic(env):
    start(env)
    env.create_topic(f"{env.cluster}.shop", 2)
    env.create_topic(f"{env.cluster}.squeezed", 1, cleanup_policy="compact")
    producer = env.producer()
    for i in range(10):
        producer.produce(f"{env.cluster}.shop", key=str(i), value="{}", partition=0)
    assert producer.flush(60) == 0
    here = confluent_kafka.TopicPartition(f"{env.cluster}.shop", 0, 4)
    env.admin().delete_records([here])[here].result()

    env.millrace("index", "create", "shop", "--topic", f"{env.cluster}.shop", "--wait")
    _, index = index_of(env, "shop")
    assert (index["partitions"], index["base"]) == (2, [4, 0]), index
    assert index["own_topic"] is False and index["writable"] is False, index

    for topic in (f"{env.cluster}.squeezed", f"{env.cluster}.absent", "no/such name"):
        task = create(env, "refused", topic=topic)
        final = final_of(env, task)
        assert final["status"] == "failed" and topic in final["error"]["message"], final
    assert index_of(env, "refused") is None

    env.millrace("index", "delete", "shop", "--wait")
    final_of(env, create(env, "after"))  # deletions of topics come before the next request
    assert f"{env.cluster}.shop" in topics(env)
    assert records(env, "meta")["names"]["names"].keys() == {"after"}


def test_requests_that_fail_hold_nobody_up(env):
    start(env)
    env.millrace("index", "create", "books", "--wait")
    twice = create(env, "books")
    absent = request(env, "DELETE", "/indexes/nothing")
    producer = env.producer()
    offsets = []
    for value in (b"not JSON", b'{"v":99,"type":"indexCreation"}', b""):
        producer.produce(f"{env.cluster}.tasks", value=value, partition=0,
                         on_delivery=lambda error, message: offsets.append((error, message.offset())))
    assert producer.flush(60) == 0
    last = create(env, "later")
    assert final_of(env, last)["status"] == "succeeded"
    states = finals(env)
    assert states[twice][0]["error"]["code"] == "index_already_exists"
    assert states[absent][0]["error"]["code"] == "index_not_found"
    for error, offset in offsets:
        assert error is None and states[offset][0]["status"] == "failed", states.get(offset)
    assert all(len(found) == 1 for found in states.values()), states


def controllers(env):
    """The names of those in office."""
    return [name for name, (program, _) in env.planned.items() if program == "rebalance" and name in env.programs and in_office(env, name)]


def ready(env):
    """What the controllers say to /ready: {name: (status, text)}."""
    answers = {name: env.http("GET", env.programs[name].url + "/ready") for name in ("rebalance", "rebalance2")}
    return {name: (answer.status, answer.json()["status"]) for name, answer in answers.items()}


def wait_candidates(env, count):
    """Until that many controllers are in the election, and it has ended."""
    group = f"{env.cluster}.controllers"

    def ended():
        try:
            told = env.admin().describe_consumer_groups([group])[group].result()
        except confluent_kafka.KafkaException:  # the group's coordinator is not there yet
            return False
        return told.state == ConsumerGroupState.STABLE and len(told.members) == count

    wait_until(ended, 90, f"{count} controllers are in a stable group")
    wait_until(lambda: sorted(ready(env).values()) == [(200, "ready"), (503, "standing by")], 90, "one is in office, one stands by")


def alone_in_office(env):
    """The name of the controller in office, once there is just one; for a moment both may want it, or neither have it."""
    def alone():
        found = controllers(env)
        return found[0] if len(found) == 1 else None

    return wait_until(alone, 60, "one controller is in office")


def voted_out(env):
    """How often somebody in office, alive and well, had to leave it to another one."""
    logs = "".join((env.directory / f"{name}.log").read_text() for name in ("rebalance", "rebalance2"))
    return logs.count('left_office reason="another process is elected"')


def test_the_other_controller_takes_over(env):
    """Two stand for office; the one in office is killed while a request is under way, and the other finishes it, once,

    and keeps the office when the killed one is back.
    """
    env.plan(controllers=2)
    for name in ("rebalance", "rebalance2", "query"):
        env.start(name)
    wait_candidates(env, 2)
    before_kills = voted_out(env)
    env.millrace("index", "create", "books", "--wait")
    dice = random.Random(11)
    for round in range(3):
        before = alone_in_office(env)
        expected = {name: (200, "ready") if name == before else (503, "standing by") for name in ("rebalance", "rebalance2")}
        wait_until(lambda: ready(env) == expected, 60, f"{before} is in office, the other stands by")
        # recorded a moment after the office was taken
        wait_until(lambda: records(env, "topology")["cluster"]["controller"] == env.programs[before].url, 60,
                   f"{before} is recorded as the one in office")
        count = len(finals(env))
        tasks = [create(env, f"papers{round}-{i}", partitions=3) for i in range(3)]
        reached = count + dice.randrange(3)
        wait_until(lambda: len(finals(env)) >= reached, 90, f"{reached} tasks are final")
        env.programs[before].kill9()
        for task in tasks:
            assert final_of(env, task)["status"] == "succeeded"
        assert controllers(env) != [before]
        env.start(before)
        wait_candidates(env, 2)
        assert controllers(env) != [before], f"{before} took the office back"
    assert voted_out(env) == before_kills
    assert all(len(found) == 1 for found in finals(env).values()), finals(env)
    epochs = [json.loads(message.value())["epoch"] for message in env.read_topic(f"{env.cluster}.topology") if message.key() == b"cluster"]
    assert epochs == sorted(epochs), epochs
    oldest = [json.loads(message.value())["oldest_task"] for message in env.read_topic(f"{env.cluster}.topology") if message.key() == b"cluster"]
    assert oldest == sorted(oldest), oldest
    # whoever took over began where the one before had said, not at the beginning
    begun = [int(re.search(r"tasks_from=(\d+)", line).group(1)) for name in ("rebalance", "rebalance2")
             for line in env.programs[name].output().splitlines() if "took_office" in line]
    assert max(begun) > 0, begun


def test_office_is_left_and_taken_in_order(env):
    """Whoever is in office ends cleanly: the other takes over without waiting for a session to expire."""
    env.plan(controllers=2)
    for name in ("rebalance", "rebalance2", "query"):
        env.start(name)
    before = alone_in_office(env)
    assert env.programs[before].terminate(60) == 0
    env.millrace("index", "create", "books", "--wait")
    other = [name for name in ("rebalance", "rebalance2") if name != before]
    wait_until(lambda: controllers(env) == other, 60, f"{other} is in office")
    assert all(len(found) == 1 for found in finals(env).values())


def test_a_controller_that_stood_still(env):
    """Suspended longer than its session, with requests arriving: the other one applies them, and it does nothing afterwards."""
    env.plan(controllers=2)
    for name in ("rebalance", "rebalance2", "query"):
        env.start(name)
    before = alone_in_office(env)
    other, = {"rebalance", "rebalance2"} - {before}
    env.millrace("index", "create", "books", "--wait")
    env.programs[before].stop()
    try:
        tasks = [create(env, f"papers{i}") for i in range(3)]
        assert all(final_of(env, task)["status"] == "succeeded" for task in tasks)
        wait_until(lambda: in_office(env, other), 60, f"{other} is in office")
    finally:
        env.programs[before].cont()
    tasks += [create(env, f"letters{i}") for i in range(3)]
    assert all(final_of(env, task)["status"] == "succeeded" for task in tasks)
    wait_candidates(env, 2)
    assert controllers(env) == [other], f"{before} took the office back"
    assert all(len(found) == 1 for found in finals(env).values()), finals(env)


def replicas(env, uid, node):
    """What is recorded of this node's replicas of the index, by partition."""
    topology = records(env, "topology")
    id, index = index_of(env, uid)
    shards = {p: topology[f"shard/{id}/{p}"]["replicas"] for p in range(index["partitions"])}
    return {p: replica for p, placed in shards.items() for replica in placed if replica["node"] == node}


def produce(env, uid, ids):
    producer = env.producer()
    for i in ids:
        producer.produce(f"{env.cluster}.docs.{uid}", key=str(i), value=json.dumps({"id": str(i), "title": f"title {i}"}))
    assert producer.flush(60) == 0


def test_marks_follow_a_node(env):
    """A node is registered, killed, marked out; comes back, is in-sync again; loses its disk, and joins anew."""
    env.plan(nodes=2, rf=2)
    env.start_all()
    env.millrace("index", "create", "books", "--partitions", "4", "--wait")

    def registered():
        """The nodes as recorded, once they and all their replicas have their incarnations there."""
        found = [replica for node in ("n1", "n2") for replica in replicas(env, "books", node).values()]
        nodes = {node["id"]: node for node in records(env, "topology")["cluster"]["nodes"]}
        return all(replica["in_sync"] and len(replica["incarnation"]) == 32 for replica in found) and \
            all(nodes[id].get("incarnation") for id in ("n1", "n2")) and nodes

    nodes = wait_until(registered, 60, "every incarnation is recorded")
    assert all(len(nodes[id]["incarnation"]) == 32 and nodes[id]["format"] >= 1 for id in ("n1", "n2")), nodes
    before = replicas(env, "books", "n2")
    assert len(before) == 4 and all(replica["in_sync"] for replica in before.values()), before

    env.programs["n2"].kill9()
    wait_until(lambda: not any(replica["in_sync"] for replica in replicas(env, "books", "n2").values()), 60, "n2 is marked out")
    assert all(replica["in_sync"] for replica in replicas(env, "books", "n1").values())
    produce(env, "books", range(200))
    env.start("n2")
    wait_until(lambda: replicas(env, "books", "n2") == before, 120, "n2 is in-sync again, as it was")

    env.programs["n2"].kill9()
    shutil.rmtree(env.directory / "n2")
    env.start("n2")
    again = lambda: replicas(env, "books", "n2")
    wait_until(lambda: all(replica["in_sync"] and replica["incarnation"] != before[p]["incarnation"] for p, replica in again().items()), 120,
               "n2 has new replicas, in-sync")

    def told_well():
        # written once a second
        status = env.http("GET", env.programs["rebalance"].url + "/status").json()
        return status["in_office"] and [node["state"] for node in status["nodes"]] == ["answers", "answers"] and \
            len(status["shards"]) == 4 and not any(shard["divergent"] for shard in status["shards"])

    wait_until(told_well, 60, "the status says that both nodes answer and no shard is divergent")

    env.programs["n1"].kill9()
    wait_until(lambda: not any(replica["in_sync"] for replica in replicas(env, "books", "n1").values()), 60, "n1 is marked out")
    env.programs["n2"].kill9()
    env.start("n1")
    wait_until(lambda: all(replica["in_sync"] for replica in replicas(env, "books", "n1").values()), 120, "n1 is in-sync again")


def placed(env, index):
    """{partition: {node: (state, in-sync)}} as recorded."""
    topology = records(env, "topology")
    return {p: {replica["node"]: (replica["state"], replica["in_sync"]) for replica in topology[f"shard/{index.id:016x}/{p}"]["replicas"]}
            for p in range(index.partitions)}


def configure_node(env, id):
    """One more node in the configuration; who reads it only at its start has to be started again."""
    env.places[id] = env.ports.free()
    env.planned[id] = ("shard", {"shard.id": id, "shard.listen": f"127.0.0.1:{env.places[id]}", "shard.data": env.directory / id})
    env.nodes[id] = env.places[id]
    env.write_config()


def restart_controller(env):
    assert env.programs["rebalance"].terminate(60) == 0
    env.start("rebalance")


def assert_every_replica_is_the_fold(env, index, nodes):
    """As soon as they have all of the log, and nobody holds what is recorded of it no more."""
    shards = fold_topic(env.kafka.bootstrap, index)

    def level():
        held = {p: {} for p in range(index.partitions)}
        for node in nodes:
            for p, row in rows_of(env, index, node).items():
                held[p][node] = row["received"], row["documents"], row["digest"]
        recorded = placed(env, index)
        return all(held[p].keys() == recorded[p].keys() for p in held) and \
            all(row[0] >= shard.end for shard in shards for row in held[shard.partition].values()) and held

    held = wait_until(level, 120, "the recorded replicas, and no others, have all of the log")
    for shard in shards:
        expected = shard.end, len(shard.documents), shard.digest()
        assert set(held[shard.partition].values()) == {expected}, (shard.partition, held[shard.partition], expected)


def test_a_node_is_added_and_taken_away(env):
    """A fourth node gets shards of a running index, by replay, while documents arrive; then another one is drained."""
    serving = ("active", True)
    env.plan(nodes=3, rf=2)
    env.start_all({"query.timeout_ms": 20000})
    index = create_index(env, "books", 24)  # of which the fourth node gets none once in 16 million times
    produce(env, "books", range(1000))
    before = placed(env, index)

    configure_node(env, "n4")
    env.start("n4")
    restart_controller(env)
    produce(env, "books", range(1000, 1500))
    wait_until(lambda: any("n4" in replicas for replicas in placed(env, index).values()), 120, "n4 joins")
    wait_until(lambda: all(len(replicas) == 2 and set(replicas.values()) == {serving} for replicas in placed(env, index).values()), 240,
               "every shard has two replicas again")
    after = placed(env, index)
    assert all(set(after[p]) - set(before[p]) <= {"n4"} for p in after), (before, after)
    assert all(after[p].keys() == before[p].keys() for p in after if "n4" not in after[p]), (before, after)
    assert_every_replica_is_the_fold(env, index, ("n1", "n2", "n3", "n4"))

    del env.nodes["n2"]
    env.write_config()
    restart_controller(env)
    produce(env, "books", range(1500, 2000))
    wait_until(lambda: all(len(replicas) == 2 and set(replicas.values()) == {serving} and "n2" not in replicas
                           for replicas in placed(env, index).values()), 240, "nothing is on n2 any more")
    wait_until(lambda: "n2" not in {node["id"] for node in records(env, "topology")["cluster"]["nodes"]}, 60, "n2 is no longer recorded")
    wait_until(lambda: shards_of(env, index, "n2") == {}, 60, "n2 has dropped what it held")
    assert_every_replica_is_the_fold(env, index, ("n1", "n3", "n4"))
    assert whole(env, "GET", "/indexes/books/documents?limit=1").json()["total"] == 2000


test_a_node_is_added_and_taken_away.timeout_s = 900


def test_kills_between_any_steps(env):
    """Creations and deletions run on while the controller is killed; every request is applied once, in order."""
    start(env)
    dice = random.Random(7)
    expected = {}
    for round in range(KILLS):
        for i in range(3):
            uid = f"index{dice.randrange(4)}"
            if uid in expected:
                request(env, "DELETE", f"/indexes/{uid}")
                del expected[uid]
            else:
                expected[uid] = create(env, uid, partitions=3)
        done = len(finals(env)) + dice.randrange(3)
        wait_until(lambda: len(finals(env)) >= done, 90, f"{done} tasks are final")
        env.programs["rebalance"].kill9()
        env.start("rebalance")
    tasks = {message.offset() for message in env.read_topic(f"{env.cluster}.tasks")}
    wait_until(lambda: finals(env).keys() == tasks, 120, "every request has its final")
    for task, found in finals(env).items():
        assert [final["status"] for final in found] == ["succeeded"], (task, found)
    meta = records(env, "meta")
    names = meta["names"]["names"]
    assert names.keys() == expected.keys(), (names, expected)
    for uid, task in expected.items():
        index = meta[f"index/{names[uid]}"]
        assert (index["task"], index["state"], index["base"]) == (task, "active", [0, 0, 0]), index
    indexes = [value for key, value in meta.items() if key.startswith("index/")]
    assert len({index["topic"] for index in indexes}) == len(indexes), "a topic was used twice"
    alive = {index["topic"] for index in indexes if index["state"] == "active"}
    wait_until(lambda: {topic for topic in topics(env) if topic.startswith(f"{env.cluster}.docs.")} == alive, 60,
               f"only the topics of living indexes are there: {alive}")


def test_another_kafka_is_refused(env):
    start(env)
    env.millrace("index", "create", "books", "--wait")
    env.programs["query"].terminate()
    env.programs["rebalance"].terminate()
    cluster = records(env, "topology")["cluster"]
    before = records(env, "meta")
    producer = env.producer()
    producer.produce(f"{env.cluster}.topology", key="cluster", value=json.dumps({**cluster, "kafka": "elsewhere"}), partition=0)
    assert producer.flush(60) == 0
    refused = env.start("rebalance", wait=False)
    assert refused.wait(60) == CONFIGURATION
    assert "elsewhere" in refused.output(), refused.output()
    assert records(env, "meta") == before


def test_waits_for_kafka_and_ends_on_sigterm(env):
    config = env.write_config({"kafka": {"bootstrap.servers": f"127.0.0.1:{env.ports.free()}"}}, "alone.yaml")
    env.start("rebalance", config=config)
    program = env.programs["rebalance"]
    wait_until(lambda: "level=warn" in program.output(), 60, "it says that Kafka does not answer")
    assert not in_office(env)
    assert env.http("GET", program.url + "/ready").status == 503
    assert program.terminate(60) == 0
