"""millrace status and node ls: what is recorded, what programs tell, and what does not answer."""
import json

from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

DOCUMENTS = 300
PARTITIONS = 4


def publish(env, topic, numbers):
    producer = env.producer()
    for number in numbers:
        producer.produce(topic, key=f"d{number}", value=json.dumps({"id": f"d{number}", "name": f"document {number}"}))
    assert producer.flush(30) == 0


def start_cluster(env):
    """Three nodes, two copies, two of each other program, an index with documents; its topic."""
    env.plan(nodes=3, rf=2, ingests=2, controllers=2)
    env.start_all()
    env.millrace("index", "create", "books", "--primary-key", "id", "--partitions", str(PARTITIONS), "--wait")
    topic = env.millrace("index", "ls", "-o", "json")["results"][0]["topic"]
    publish(env, topic, range(DOCUMENTS))
    return topic


def set_topic(env, topic, name, value):
    """As an operator would with kafka-configs."""
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    env.admin().incremental_alter_configs([resource])[resource].result()


def status_of(env):
    return env.millrace("status", "-o", "json")


def replicas_of(status):
    return [(shard, replica) for shard in status["shards"] for replica in shard["replicas"]]


def all_level(status):
    """Every replica serves, in sync and without lag; all is stored and committed."""
    found = replicas_of(status)
    return (len(found) == PARTITIONS * 2 and all(shard["lag"] == 0 for shard in status["shards"])
            and all(r["in_sync"] and r["serving"] and r["lag"] == 0 and r["stored"] == shard["log_end"] for shard, r in found)
            and all(shard["digests"] == "equal" for shard in status["shards"]))


def all_told(status):
    """Besides, every program is heard of: a status does not wait for one that is late, nor for one that still joins."""
    return (all_level(status) and all(told["answers"] for kind in ("controllers", "ingest", "nodes") for told in status[kind])
            and sorted(c["in_office"] for c in status["controllers"]) == [False, True]
            and len(status["ingest"]) == 2 and sum(i["slots"] for i in status["ingest"]) == 64
            and sum(i["shards"] for i in status["ingest"]) == PARTITIONS)


def wait_for_text(env, words, *parts):
    """What the command line prints, once all of these are in it."""
    last = {}

    def holds():
        last["text"] = env.millrace(*words).stdout
        return all(part in last["text"] for part in parts)

    try:
        env.wait_until(holds, 90, f"millrace {' '.join(words)} says {parts}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {last['text']}") from None
    return last["text"]


def wait_for_status(env, condition, what, deadline_s=120):
    last = {}

    def holds():
        last["status"] = status_of(env)
        return condition(last["status"])

    try:
        env.wait_until(holds, deadline_s, what)
    except AssertionError as error:
        raise AssertionError(f"{error}: {json.dumps(last['status'])[:4000]}") from None
    return last["status"]


def test_status_of_a_whole_cluster(env):
    topic = start_cluster(env)
    status = wait_for_status(env, all_told, "every program is heard of, every replica is level and committed")
    assert status["cluster"] == env.cluster and status["rf"] == 2
    assert status["kafka"]["answers"] and status["kafka"]["cluster_id"]
    assert sorted(c["in_office"] for c in status["controllers"]) == [False, True], status["controllers"]
    assert {c["url"] for c in status["controllers"]} == {env.programs[n].url for n in ("rebalance", "rebalance2")}
    assert {i["url"] for i in status["ingest"]} == {env.programs[n].url for n in ("ingest", "ingest2")}
    assert sum(i["slots"] for i in status["ingest"]) == 64
    assert sum(i["shards"] for i in status["ingest"]) == PARTITIONS
    assert [(n["id"], n["group"], n["answers"], n["ready"], n["error"]) for n in status["nodes"]] == [
        (id, "g0", True, True, "") for id in ("n1", "n2", "n3")]
    assert sum(n["replicas"] for n in status["nodes"]) == 2 * PARTITIONS
    assert sum(n["documents"] for n in status["nodes"]) == 2 * DOCUMENTS
    assert sum(n["unrecorded"] for n in status["nodes"]) == 0
    assert [(s["uid"], s["partition"], s["topic"]) for s in status["shards"]] == [
        ("books", p, topic) for p in range(PARTITIONS)]
    assert sum(s["log_end"] - s["log_start"] for s in status["shards"]) == DOCUMENTS
    for shard, replica in replicas_of(status):
        assert replica["recorded"] == "active" and replica["state"] == "active", replica
        assert replica["received"] == replica["stored"] == shard["committed"] == shard["log_end"], (shard, replica)
    text = wait_for_text(env, ["status"], "in office", "stands by",
                         f"{PARTITIONS} shards, {2 * PARTITIONS} of {2 * PARTITIONS} replicas in sync, 0 records not committed")
    assert "no controller is in office" not in text
    listed = env.millrace("node", "ls", "-o", "json")
    assert [node["id"] for node in listed] == ["n1", "n2", "n3"]
    env.wait_until(lambda: all(line.split()[3] == "ready" for line in env.millrace("node", "ls").stdout.splitlines()[1:]), 60,
                   "every node is told as ready")


def test_status_of_what_is_gone(env):
    topic = start_cluster(env)
    wait_for_status(env, all_level, "every replica is level and committed")
    for name in ("n2", "rebalance", "rebalance2", "ingest", "ingest2"):
        env.programs[name].kill9()
    publish(env, topic, range(DOCUMENTS, 2 * DOCUMENTS))

    def told(status):
        """All of what is to be known: of the controllers that they are gone, of the nodes and the log what there is."""
        return (status["controllers"] and not any(c["answers"] for c in status["controllers"])
                and all(n["answers"] == (n["id"] != "n2") for n in status["nodes"])
                and all(shard["lag"] is not None for shard in status["shards"]))

    status = wait_for_status(env, told, "the controllers are told as gone")
    assert not any(i["answers"] for i in status["ingest"])
    gone = next(n for n in status["nodes"] if n["id"] == "n2")
    assert not gone["answers"] and gone["error"] and gone["replicas"] is None
    assert sum(shard["lag"] for shard in status["shards"]) == DOCUMENTS, "nobody commits, and it shows"
    for shard, replica in replicas_of(status):
        if replica["node"] == "n2":
            assert replica["state"] is None and replica["received"] is None and replica["error"] == gone["error"]
        else:
            assert replica["lag"] == shard["log_end"] - replica["received"]
    wait_for_text(env, ["status"], "no controller is in office", "does not answer", f"{DOCUMENTS} records not committed")


def test_status_without_kafka(env):
    with env.own_kafka():
        start_cluster(env)
        wait_for_status(env, all_level, "every replica is level and committed")
        env.kafka.pause()
        status = wait_for_status(env, lambda s: not s["kafka"]["answers"] and all(n["answers"] for n in s["nodes"]),
                                 "Kafka is told as gone, and what the nodes say")
        assert not status["kafka"]["answers"] and status["kafka"]["error"]
        assert len(replicas_of(status)) == 2 * PARTITIONS
        still = [id for id in ("n1", "n2", "n3") if "event=stood_still " in env.programs[id].output()]  # level again only with Kafka
        assert all(r["serving"] or r["node"] in still for _, r in replicas_of(status)), "the nodes are asked without Kafka"
        # whom Kafka would name is not known; the one in office is recorded, and leaves it if Kafka stays away
        told, = status["controllers"]
        assert told["url"] in {env.programs[name].url for name in ("rebalance", "rebalance2")}, told
        env.kafka.resume()
        wait_for_status(env, all_level, "Kafka answers again")


def test_words(env):
    env.start_all()
    for words, expected in [
        (["status", "now"], "millrace status: expected nothing more, or -o table|json"),
        (["status", "-o", "xml"], "millrace status: expected nothing more, or -o table|json"),
        (["node"], "millrace node: expected ls (see --help)"),
        (["node", "add"], "millrace node: expected ls (see --help)"),
    ]:
        result = env.millrace(*words, check=False)
        assert (result.returncode, result.stderr.strip()) == (1, expected), (words, result)
    env.programs["query"].terminate()
    away = env.millrace("status", check=False)
    assert away.returncode == 1 and "is millrace-query running there?" in away.stderr, away


def findings(env, code, expected):
    """{(check, verdict): [found]} of millrace doctor, once it ends with this code and these are among them.

    It does not wait for a program that is late with its answer, which is a finding too.
    """
    last = {}

    def told():
        last["result"] = result = env.millrace("doctor", "-o", "json", check=False)
        found = {}
        for row in json.loads(result.stdout):
            assert row["verdict"] == "ok" or row["remedy"], row
            found.setdefault((row["check"], row["verdict"]), []).append(row["found"])
        return result.returncode == code and all(found.get(key) == rows for key, rows in expected.items()) and found

    try:
        return env.wait_until(told, 90, f"millrace doctor ends with {code} and finds {expected}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {last['result'].stdout}{last['result'].stderr}") from None


def test_doctor(env):
    topic = start_cluster(env)
    wait_for_status(env, all_told, "every program is heard of, every replica is level and committed")
    well = findings(env, 0, {
        # one broker is what the tests have, and the doctor says what that means
        ("brokers", "warning"): ["with 1 broker the loss of one can lose acknowledged records"],
        ("topology", "ok"): ["group g0: 2 copies on 3 nodes"],
        ("controller", "ok"): ["one in office, 1 standing by"],
        ("ingest", "ok"): ["2 feed"],
        ("clocks", "ok"): ["3 nodes are within 2000 ms of the gateway; a broker tells its clock to none but writers"],
        ("shards", "ok"): [f"{PARTITIONS} shards, every copy in sync"],
        (topic, "ok"): [f"{PARTITIONS} partitions, 1 copy each, cleanup.policy=delete"]})
    assert not [key for key in well if key[1] == "error"], well
    assert {key for key in well if key[1] == "warning"} == {("brokers", "warning")}, well
    own = {f"{env.cluster}.{name}" for name in ("meta", "topology", "tasks", "task-states", "dead-letter", "slots")}
    assert {check for check, verdict in well if verdict == "ok"} > own

    set_topic(env, topic, "cleanup.policy", "compact")
    set_topic(env, f"{env.cluster}.tasks", "retention.ms", "86400000")
    for name in ("n3", "ingest2", "rebalance", "rebalance2"):
        env.programs[name].kill9()
    ill = findings(env, 1, {
        (topic, "error"): ["cleanup.policy is compact"],
        (f"{env.cluster}.tasks", "warning"): ["retention.ms is 86400000: records leave the log"],
        ("controller", "error"): ["nobody is in office: tasks, marks and metadata wait"]})
    assert ("node n3", "error") in ill, ill
    env.wait_until(lambda: ("node n1", "ok") in findings(env, 1, {}), 60, "a node that answers is told as well")
    assert env.millrace("doctor", check=False).stdout.splitlines()[0].split() == ["CHECK", "FOUND", "REMEDY"]


def test_doctor_without_anything(env):
    """Kafka without Millrace's topics, no gateway: every finding has its remedy."""
    found = findings(env, 1, {(f"{env.cluster}.meta", "error"): ["there is no such topic"]})
    assert found["gateway", "error"], found
    env.write_config({"kafka": {"bootstrap.servers": f"127.0.0.1:{env.ports.free()}"}})
    found = findings(env, 1, {})
    assert ("kafka", "error") in found, found
