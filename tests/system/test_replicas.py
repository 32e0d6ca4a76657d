"""Two copies of each shard on three nodes: both are the fold of the log, and one of them alone is enough."""
from children import wait_until
from documents import Publisher, made
from fleet import rows_of
from fold import fold_topic
from replica_view import create_index, log_ends
from test_feeding import whole

PARTITIONS = 4
DOCUMENTS = made(4000)


def rows_by_partition(env, index):
    """{partition: {node: row}} of the nodes that run."""
    rows = {partition: {} for partition in range(index.partitions)}
    for node in env.nodes:
        if env.programs[node].running():
            for partition, row in rows_of(env, index, node).items():
                rows[partition][node] = row
    return rows


def wait_level(env, index, copies, watermark, deadline_s=120):
    """Until each shard has `copies` replicas, all of them active, that have received (or stored) all that the log holds now.

    Those of nodes that do not run are not counted.
    """
    ends = log_ends(env, index)

    def level():
        return all(len(nodes) >= copies and all(row["state"] == "active" and row[watermark] >= ends[partition]
                                                for row in nodes.values())
                   for partition, nodes in rows_by_partition(env, index).items())

    try:
        wait_until(level, deadline_s, f"{copies} replicas have {watermark} up to {ends}")
    except AssertionError as error:
        raise AssertionError(f"{error}; the nodes say {rows_by_partition(env, index)}") from None


def assert_equal_folds(env, index, copies):
    """Every replica has the fold's number of documents and digest."""
    shards = fold_topic(env.kafka.bootstrap, index)
    rows = rows_by_partition(env, index)
    for shard in shards:
        nodes = rows[shard.partition]
        assert len(nodes) == copies, f"partition {shard.partition} is on {sorted(nodes)}, not on {copies} nodes"
        for node, row in nodes.items():
            found = row["received"], row["documents"], row["digest"]
            assert found == (shard.end, len(shard.documents), shard.digest()), f"{node}/{shard.partition}: {found}"


def committed(env, index):
    return {shard["partition"]: shard["committed"] for name in ("ingest", "ingest2") if env.programs[name].running()
            for shard in env.http("GET", env.programs[name].admin_url + "/status").json().get("shards", ())
            if shard["uid"] == "books"}


def publish(env, index, documents):
    publisher = Publisher(env, index.topic)
    for id, body in documents:
        publisher.send(id, body)
    publisher.flush()


def test_two_copies(env):
    env.plan(nodes=3, rf=2, ingests=2)
    env.start_all({"query.timeout_ms": 20000})
    index = create_index(env, "books", PARTITIONS)
    publish(env, index, DOCUMENTS[:2000])
    wait_level(env, index, 2, "stored")
    assert_equal_folds(env, index, 2)
    wait_until(lambda: committed(env, index) == log_ends(env, index), 60, "everything stored is committed")

    # One node dies: its siblings go on, and what it missed comes from the log.
    env.programs["n2"].kill9()
    publish(env, index, DOCUMENTS[2000:3000])
    wait_level(env, index, 1, "received")
    assert whole(env, "GET", "/indexes/books/documents?limit=1").json()["total"] == 3000
    env.start("n2")
    publish(env, index, DOCUMENTS[3000:])
    wait_level(env, index, 2, "stored")
    assert_equal_folds(env, index, 2)
    wait_until(lambda: committed(env, index) == log_ends(env, index), 60, "everything stored is committed")


test_two_copies.timeout_s = 600
