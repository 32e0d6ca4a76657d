"""millrace index stats: what each replica has in memory and on disk, by level, and that the parts are the whole."""
import json

from replica_view import create_index, shards_of
from test_refusals import record, with_documents

DOCUMENTS = 4000
MEMORY = 256 << 20  # of a node, by default; of that one index alone may hold half
CHANGED = range(0, DOCUMENTS, 10)
SIZES = ("active_bytes", "immutable_bytes", "disk_bytes", "live_bytes", "words_bytes", "postings_bytes", "file_bytes")


def publish(env, index, numbers, text):
    producer = env.producer()
    for number in numbers:
        producer.produce(index.topic, key=f"d{number}", value=json.dumps({"id": f"d{number}", "name": f"{text} {number}"}))
        producer.poll(0)
    assert producer.flush(30) == 0


def stats_of(env):
    return env.millrace("index", "stats", "books", "-o", "json")


def wait_stored(env, records):
    """Until both replicas have all of it on disk and their jobs rest; what they say then."""
    last = {}

    def stored():
        shard = next(s for s in env.millrace("status", "-o", "json")["shards"] if s["uid"] == "books")
        if shard["log_end"] < records or [r["stored"] for r in shard["replicas"]] != [shard["log_end"]] * 2:
            return False
        last["stats"] = stats_of(env)
        return all(r["error"] == "" and r["state"] == "active" and r["in_sync"]
                   and not r["stores_running"] and not r["compactions_running"] for r in last["stats"]["replicas"])

    env.wait_until(stored, 60, f"two replicas have {records} records on disk")
    return last["stats"]


def check_replica(row):
    levels = row["levels"]
    assert row["error"] == "" and row["state"] == "active" and row["in_sync"], row
    assert [one["level"] for one in levels] == sorted({one["level"] for one in levels}), row
    for member, whole in (("segments", "disk_segments"), ("dead", "disk_dead"), ("bytes", "disk_bytes")):
        assert sum(one[member] for one in levels) == row[whole], (whole, row)
    assert sum(one["documents"] - one["dead"] for one in levels) == row["documents"] == DOCUMENTS, row
    assert row["active_segments"] == row["active_bytes"] == row["immutable_bytes"] == row["memory_bytes"] == 0, row
    assert row["busy_ranges"] == 0 and row["share_bytes"] == MEMORY / 2, row
    assert 0 < row["live_bytes"] <= row["disk_bytes"] < row["file_bytes"] <= row["map_bytes"], row
    assert 0 < row["words_bytes"] < row["disk_bytes"] and row["postings_bytes"] < row["disk_bytes"], row
    assert row["stores"] > 0 and row["stores_ms"] >= 0 and row["compactions_ms"] >= 0, row
    assert row["disk_bytes"] <= row["stores_bytes"] + row["merges_bytes"], row
    assert (row["merges_bytes"] > 0) == (row["merges"] > 0) and row["merges"] <= row["compactions"], row
    assert row["merges_running"] == row["merging_segments"] == 0, row


def check_total(stats):
    rows, total = stats["replicas"], stats["total"]
    for name in SIZES + ("documents", "disk_segments", "disk_dead", "stores", "merges"):
        assert total[name] == sum(row[name] for row in rows), (name, stats)
    assert sum(one["segments"] for one in total["levels"]) == total["disk_segments"], stats


def test_index_stats(env):
    env.plan(nodes=2, rf=2)
    env.start_all()
    index = create_index(env, "books", 1)
    publish(env, index, range(DOCUMENTS), "document")
    before = wait_stored(env, DOCUMENTS)
    assert [(r["partition"], r["node"]) for r in sorted(before["replicas"], key=lambda r: r["node"])] == [(0, "n1"), (0, "n2")]
    assert before["uid"] == "books" and before["index"] == f"{index.id:016x}"
    for row in before["replicas"]:
        check_replica(row)
        assert row["disk_dead"] == 0 and row["live_bytes"] == row["disk_bytes"], row
    check_total(before)

    publish(env, index, CHANGED, "changed")
    after = wait_stored(env, DOCUMENTS + len(CHANGED))
    for row in after["replicas"]:
        check_replica(row)
        assert row["disk_dead"] == len(CHANGED) and row["live_bytes"] < row["disk_bytes"] or row["merges"] > 0, row
    assert all(a["stores"] > b["stores"] for a, b in zip(after["replicas"], before["replicas"])), (before, after)
    check_total(after)

    check_table(env)
    check_metrics(env)
    check_memory(env, index)
    check_gone(env)


def check_table(env):
    """The same numbers, for people; a merge may come in between."""
    told = {}

    def at_rest():
        told["stats"] = stats_of(env)
        told["lines"] = env.millrace("index", "stats", "books").stdout.splitlines()
        return [row["levels"] for row in stats_of(env)["replicas"]] == [row["levels"] for row in told["stats"]["replicas"]]

    env.wait_until(at_rest, 30, "no merge while the table is printed")
    lines = told["lines"]
    assert lines[0].split()[:4] == ["SHARD", "NODE", "STATE", "DOCUMENTS"], lines
    assert [line.split()[0] for line in lines[1:]] == ["books/0", "books/0", "total"], lines
    for line, row in zip(lines[1:], told["stats"]["replicas"]):
        assert line.split()[1:4] == [row["node"], "active", str(DOCUMENTS)], lines
        assert " ".join(f"{one['level']}:{one['segments']}" for one in row["levels"]) in line and "KiB" in line, lines
    assert lines[3].split()[3] == str(2 * DOCUMENTS), lines


def check_metrics(env):
    """The same numbers, as Prometheus gets them."""
    def told():
        stats = stats_of(env)
        return all(tells(env.metrics(row["node"]), row, f'{{index="{stats["index"]}",partition="0"}}') for row in stats["replicas"])

    def tells(metrics, row, labels):
        return (metrics[f"millrace_replica_disk_bytes{labels}"] == row["disk_bytes"]
                and metrics[f"millrace_replica_disk_live_bytes{labels}"] == row["live_bytes"]
                and metrics[f"millrace_replica_oldest_reader_seconds{labels}"] >= 0
                and metrics["millrace_node_store_bytes_total"] == row["stores_bytes"]
                and metrics["millrace_node_merge_bytes_total"] == row["merges_bytes"]
                and all(metrics[f'millrace_node_disk_segments{{level="{one["level"]}"}}'] == one["segments"] for one in row["levels"]))

    env.wait_until(told, 30, "the nodes' metrics say what index stats says")


def check_memory(env, index):
    """What is not stored yet shows as active or immutable."""
    number = iter(range(10**6))

    def shows():
        publish(env, index, [f"new{next(number)}"], "later")
        rows = stats_of(env)["replicas"]
        return any(row["active_bytes"] > 0 and row["active_segments"] > 0 for row in rows)

    env.wait_until(shows, 30, "something stands in memory")
    assert "figures" not in shards_of(env, index, "n1")[0], "only who asks for figures gets them"
    assert env.http("GET", env.programs["n1"].url + "/shards?figures=no").status == 400


def check_gone(env):
    env.programs["n2"].kill9()
    stats = stats_of(env)
    rows = {row["node"]: row for row in stats["replicas"]}
    assert "does not answer" in rows["n2"]["error"] and rows["n2"]["disk_bytes"] is None and rows["n2"]["levels"] is None, rows
    assert rows["n1"]["error"] == "" and stats["total"]["disk_bytes"] == rows["n1"]["disk_bytes"], stats
    assert "is millrace-shard running there?" in env.millrace("index", "stats", "books").stdout


test_index_stats.timeout_s = 180


def test_closed(env):
    """Of a replica that is kept closed nothing is told but why, and of one on an unknown node nothing at all."""
    index, listed = with_documents(env)
    env.programs["rebalance"].terminate()
    sibling = {"node": "n9", "incarnation": "9" * 32, "state": "active", "in_sync": False}
    record(env, index, 0, state="leaving", in_sync=False, siblings=[sibling])

    def rows_of(stats):
        return {(row["partition"], row["node"]): row for row in stats["replicas"]}

    def closed():
        rows = rows_of(stats_of(env))
        return (0, "n9") in rows and rows[0, "n1"]["state"] == "stopped"

    env.wait_until(closed, 60, "the replica is closed, and the gateway knows its sibling")
    stats = stats_of(env)
    rows = rows_of(stats)
    assert set(rows) == {(0, "n1"), (0, "n9"), (1, "n1")}, rows
    assert "no other replica is in-sync" in rows[0, "n1"]["error"], rows
    assert rows[0, "n9"]["error"] == "the gateway does not know its address: see millrace status", rows
    assert rows[0, "n9"]["state"] is None, rows
    for name in (*SIZES, "documents", "disk_dead", "memory_bytes", "stores", "merges", "levels"):
        assert rows[0, "n1"][name] is None and rows[0, "n9"][name] is None, (name, rows)
        assert stats["total"][name] == rows[1, "n1"][name], (name, stats)
    assert rows[1, "n1"]["error"] == "" and rows[1, "n1"]["documents"] == len(listed[1]), rows

    def counted():
        metrics = env.metrics("shard")
        documents, disk_bytes = ([metrics[f'millrace_replica_{what}{{index="{index.id:016x}",partition="{p}"}}'] for p in (0, 1)]
                                 for what in ("documents", "disk_bytes"))
        return documents == [0, len(listed[1])] and disk_bytes[0] == 0 < disk_bytes[1]

    env.wait_until(counted, 30, "what is closed holds nothing")


test_closed.timeout_s = 180


def test_words(env):
    env.start_all()
    for words, expected in [
        (["stats"], "`stats` takes the uid of one index (see --help)"),
        (["stats", "books", "films"], "`stats` takes the uid of one index (see --help)"),
        (["stats", "books", "-o", "xml"], "-o is `xml`, expected table or json"),
        (["stats", "books", "--wait"], "`stats` does not take this option (see --help)"),
        (["stats", "books"], "the gateway knows no replica of `books`: `millrace index ls` lists the indexes"),
    ]:
        result = env.millrace("index", *words, check=False)
        assert result.returncode == 1 and result.stderr.startswith(f"millrace index: {expected}"), (words, result)
        assert result.stdout == "", (words, result)
    env.programs["query"].kill9()
    result = env.millrace("index", "stats", "books", check=False)
    assert result.returncode == 1 and result.stdout == "", result
    assert "no answer from the gateway" in result.stderr and "is millrace-query running there?" in result.stderr, result
