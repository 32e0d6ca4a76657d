"""millrace index restore: an index whose nodes and log have lost their beginning is the whole log's fold again."""
import json
import resource
import shutil
import signal
import subprocess

import confluent_kafka

from children import wait_until
from documents import Publisher
from fleet import OneNode
from fold import Shard, learn, records_of
from replica_view import create_index, documents_of, log_ends, verify
from test_feeding import whole
from test_snapshot import publish, wait_stored

PARTITIONS = 3
DOCUMENTS = 1500
PIECE_BYTES = 64 * 1024  # of a head that is sent


class Memory:
    """All that the log ever held, also what was deleted from it since; less what somebody gave up."""

    def __init__(self, env, index):
        self.env = env
        self.index = index
        self.records = {}

    def look(self):
        for partition, record in records_of(self.env.kafka.bootstrap, self.index.topic)[0]:
            self.records.setdefault((partition, record.offset), record)

    def give_up(self, partition, low, high):
        """[low, high)"""
        for offset in range(low, high):
            self.records.pop((partition, offset), None)

    def fold(self):
        """[Shard], one a partition."""
        self.look()
        skips = learn(self.env.kafka.bootstrap, self.index)
        shards = [Shard(self.index, p, skips=frozenset(skips.get(p, ()))) for p in range(self.index.partitions)]
        for (partition, _), record in sorted(self.records.items(), key=lambda entry: entry[0]):
            shards[partition].apply(record)
        return shards


def command(env, *words):
    return [*map(str, env.command("millrace")), "index", "restore", *map(str, words)]


def refused(env, *words):
    result = env.millrace("index", "restore", *words, check=False)
    assert result.returncode == 1 and result.stdout == "", result
    return result.stderr


def assert_refused_while_served(env, directory):
    """Waits for it: until the gateway has heard of all nodes, the controller refuses in its own words."""
    wait_until(lambda: "every shard of books has a replica in-sync that serves" in refused(env, directory), 60, "it is refused")


def status_of(env, index):
    """[the gateway's row of each shard], by partition"""
    rows = [s for s in env.millrace("status", "-o", "json")["shards"] if s["index"] == f"{index.id:016x}"]
    return sorted(rows, key=lambda row: row["partition"])


def trim(env, index, offsets):
    """The log begins at these offsets from now on."""
    gone = [confluent_kafka.TopicPartition(index.topic, p, offset) for p, offset in offsets.items()]
    for done in env.admin().delete_records(gone).values():
        done.result()


def heard(env):
    """{node: its incarnation} of those that answer the controller; nobody while it is out of office."""
    nodes = env.http("GET", env.programs["rebalance"].url + "/status").json().get("nodes", ())
    return {node["id"]: node["incarnation"] for node in nodes if node["state"] == "answers"}


def lose_nodes(env, *nodes):
    """They come up again with empty disks, and the controller has heard of it: it places no copy on who is silent."""
    before = heard(env)
    for node in nodes:
        env.programs[node].terminate()
        shutil.rmtree(env.directory / node)
    for node in nodes:
        env.start(node)

    def are_heard():
        now = heard(env)
        return all(node in now and now[node] != before.get(node) for node in nodes)

    wait_until(are_heard, 60, f"{nodes} answer the controller, anew")


def taken(env, directory):
    """{partition: what the snapshot says of its replica}"""
    rows = json.loads((directory / "manifest.json").read_text())["shards"]
    return {row["partition"]: row["replica"] for row in rows}


def assert_is_fold(env, index, memory):
    """Every shard's replicas serve, have all of the log, and are its fold."""
    ends = log_ends(env, index)
    found = []

    def level():
        found[:] = shards = status_of(env, index)
        return len(shards) == index.partitions and all(
            s["replicas"] and all(r["in_sync"] and r["serving"] and "copy" not in r and (r["stored"] or 0) >= ends[s["partition"]]
                                  for r in s["replicas"]) for s in shards)

    try:
        wait_until(level, 120, f"every replica has {ends} on disk")
    except AssertionError as error:
        raise AssertionError(f"{error}: {found}") from None
    shards = memory.fold()
    for shard, row in zip(shards, found):
        for replica in row["replicas"]:
            where = f"{index.topic}/{shard.partition} on {replica['node']}"
            assert replica["received"] == ends[shard.partition], f"{where}: {replica}"
            assert replica["digest"] == shard.digest(), f"{where}: {replica}, not {shard.digest()}"
            verify(OneNode(env, replica["node"]), index, shard.partition)
    assert documents_of(env, "books") == sum(len(shard.documents) for shard in shards)
    return shards


def search(env, text):
    answer = whole(env, "POST", "/indexes/books/search", {"q": text, "limit": 1000})
    assert answer.status == 200, answer
    return {hit["id"] for hit in answer.json()["hits"]}


def change(env, index):
    """Updates, deletes and new documents behind a snapshot."""
    publish(env, index, range(0, DOCUMENTS, 7), "changed", 300)
    publisher = Publisher(env, index.topic)
    for number in range(0, DOCUMENTS, 11):
        publisher.send(f"d{number}", None)
    publisher.flush()
    publish(env, index, range(DOCUMENTS, DOCUMENTS + 60), "later", 300)


def prepare(env, directory, rf=1, partitions=PARTITIONS, documents=DOCUMENTS, size=200, keyed=0):
    """An index with a snapshot, and what followed it."""
    env.plan(nodes=2, rf=rf)
    env.start_all()
    index = create_index(env, "books", partitions)
    memory = Memory(env, index)
    publish(env, index, range(documents), "document", size)
    publish_keyed(env, index, range(keyed))
    wait_stored(env, index)
    env.millrace("index", "snapshot", "books", directory)
    change(env, index)
    wait_stored(env, index)
    memory.look()
    return index, memory


def test_disks_and_beginning_of_the_log_are_lost(env):
    directory = env.directory / "taken"
    index, memory = prepare(env, directory)
    stored = {p: told["stored"] for p, told in taken(env, directory).items()}
    trim(env, index, {p: offset - 5 for p, offset in stored.items()})
    assert_refused_while_served(env, directory)
    lose_nodes(env, "n1", "n2")
    wait_until(lambda: not any(r["serving"] for s in status_of(env, index) for r in s["replicas"]), 60, "no shard serves")

    told = env.millrace("index", "restore", directory).stdout
    assert told == f"index books: restored from {directory}, {PARTITIONS} shards\n", told
    shards = assert_is_fold(env, index, memory)
    later = {id.decode() for shard in shards for id in shard.documents if json.loads(shard.documents[id][0])["text"] == "later"}
    assert len(later) == 60 and search(env, "later") == later

    publish(env, index, range(DOCUMENTS + 60, DOCUMENTS + 70), "afterwards", 300)
    assert_is_fold(env, index, memory)
    assert len(search(env, "afterwards")) == 10
    for node in ("n1", "n2"):  # what came by a copy is on disk like anything else
        env.programs[node].kill9()
        env.start(node)
    assert_is_fold(env, index, memory)
    assert_refused_while_served(env, directory)


def gaps_of(env, index, directory, lost):
    """Trims the log `lost` offsets above each watermark of the snapshot; {partition: (low, high)} of what nobody has."""
    gaps = {p: (told["stored"], told["stored"] + lost) for p, told in taken(env, directory).items()}
    trim(env, index, {p: high for p, (_, high) in gaps.items()})
    return gaps


def test_log_does_not_reach_back(env):
    directory = env.directory / "taken"
    index, memory = prepare(env, directory)
    gaps = gaps_of(env, index, directory, 9)
    lose_nodes(env, "n1", "n2")
    names = [f"offsets {low}..{high - 1} of shard {p} are no longer in the log" for p, (low, high) in gaps.items()]
    told = refused(env, directory)
    assert told.splitlines()[:PARTITIONS] == names and "of 3 shards: nothing was begun" in told, told
    assert f"`millrace index restore {directory} --accept-gap` gives those offsets up" in told, told
    assert not any("copy" in r for s in status_of(env, index) for r in s["replicas"]), "nothing was begun"

    told = env.millrace("index", "restore", directory, "--accept-gap").stdout.splitlines()
    assert told == [f"offsets {low}..{high - 1} of shard {p} are given up" for p, (low, high) in gaps.items()] + [
        f"index books: restored from {directory}, {PARTITIONS} shards"], told
    for partition, (low, high) in gaps.items():
        memory.give_up(partition, low, high)
    assert_is_fold(env, index, memory)
    publish(env, index, range(20), "afterwards", 300)
    assert_is_fold(env, index, memory)
    for node in ("n1", "n2"):
        env.programs[node].kill9()
        env.start(node)
    assert_is_fold(env, index, memory)


def count_lines(env, event):
    """In what all nodes wrote, also before they were killed."""
    return sum((env.directory / f"{node}.log").read_text(errors="replace").count(f"event={event} ") for node in env.nodes)


def begin(env, directory):
    return subprocess.Popen(command(env, directory), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def reach(env, running, event, count):
    wait_until(lambda: count_lines(env, event) >= count or running.poll() is not None, 60, f"{count} {event}", pause_max=0.005)


def publish_keyed(env, index, numbers):
    """With idempotency keys, so that the head of a copy is sent in several pieces, and the same again is a duplicate."""
    publisher = Publisher(env, index.topic)
    for number in numbers:
        publisher.send(f"k{number}", b'{"text":"keyed"}', headers=[("idempotency-key", f"key-{number}".encode())])
    publisher.flush()


def test_killed(env):
    directory = env.directory / "taken"
    index, memory = prepare(env, directory, documents=8000, size=3000, keyed=9000)
    trim(env, index, {p: told["stored"] - 5 for p, told in taken(env, directory).items()})
    lose_nodes(env, "n1", "n2")
    # in the first shard's pages, once it is there, and in the next one's
    for event, count in (("copy_goes_on", 1), ("copy_received", 1), ("copy_goes_on", 4)):
        running = begin(env, directory)
        reach(env, running, event, count)
        running.kill()
        assert running.wait() == -signal.SIGKILL, f"the restore was at its end before it was killed: {running.communicate()}"
    assert count_lines(env, "copy_received") < PARTITIONS, "it was killed in the middle"
    assert (directory / "0.head").stat().st_size > PIECE_BYTES, "it is sent in pieces"

    running = begin(env, directory)
    reach(env, running, "copy_goes_on", 5)
    for node in ("n1", "n2"):
        env.programs[node].kill9()
    assert running.poll() is None, running.communicate()
    for node in ("n1", "n2"):
        env.start(node)
    told, trouble = running.communicate(timeout=120)
    assert running.returncode == 0 and told.startswith(f"index books: restored from {directory}"), (told, trouble)
    publish_keyed(env, index, range(0, 9000, 2))
    shards = assert_is_fold(env, index, memory)
    duplicates = [shard.count("duplicate") for shard in shards]
    assert sum(duplicates) == 4500, f"what a copy knows of identities counts: {duplicates}"
    assert count_lines(env, "copy_received") == PARTITIONS


def largest_file(env):
    return max((path.stat().st_blocks * 512 for path in env.directory.glob("n?/replicas/*/data.mdb")), default=0)


def test_another_snapshot(env):
    """What came of one copy is let go of for another one."""
    first, second = env.directory / "first", env.directory / "second"
    index, memory = prepare(env, first, partitions=1, documents=6000, size=3000)
    env.millrace("index", "snapshot", "books", second)
    trim(env, index, {0: taken(env, second)[0]["stored"]})
    lose_nodes(env, "n1", "n2")
    running = subprocess.Popen(command(env, first, "--accept-gap"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: largest_file(env) > 4_000_000 or running.poll() is not None, 60, "a page is on disk")
    running.kill()
    running.wait()
    assert count_lines(env, "copy_received") == 0, "it was killed in the middle"
    told = env.millrace("index", "restore", second).stdout
    assert told == f"index books: restored from {second}, 1 shards\n", told
    assert_is_fold(env, index, memory)
    assert count_lines(env, "copy_refused") >= 1, "chunks of the first one were there"


def test_silent_node_keeps_what_it_has(env):
    """Until its copy comes: it may be all that there is."""
    directory = env.directory / "taken"
    index, memory = prepare(env, directory, rf=2, partitions=1, documents=6000, size=3000)
    trim(env, index, {0: taken(env, directory)[0]["stored"] - 5})
    env.programs["n2"].kill9()
    lose_nodes(env, "n1")
    running = begin(env, directory)
    reach(env, running, "copy_goes_on", 1)
    running.kill()
    running.wait()
    env.start("n2")
    log = env.directory / "n2.log"
    wait_until(lambda: "waits for its copy" in log.read_text(), 60, "n2 has read that its replica comes by a copy")
    assert "event=replica_dropped" not in log.read_text()
    env.millrace("index", "restore", directory)
    assert_is_fold(env, index, memory)
    assert log.read_text().count("event=replica_dropped") == 1


def lose_nodes_without_room(env, *nodes, room):
    """As lose_nodes; no file of theirs gets longer than that."""
    plain = env.command
    env.command = lambda *words, **named: ["sh", "-c", 'trap "" XFSZ; exec "$@"', "sh", *plain(*words, **named)]
    lose_nodes(env, *nodes)
    env.command = plain
    for node in nodes:
        resource.prlimit(env.programs[node].pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))


def test_full_disk(env):
    """The command says so at once, and goes on when there is room."""
    directory = env.directory / "taken"
    index, memory = prepare(env, directory, partitions=1, documents=6000, size=3000)
    trim(env, index, {0: taken(env, directory)[0]["stored"] - 5})
    lose_nodes_without_room(env, "n1", "n2", room=4_000_000)
    told = subprocess.run(command(env, directory), capture_output=True, text=True, timeout=50)
    assert told.returncode == 1 and told.stdout == "" and "status 507" in told.stderr and "make room there" in told.stderr, told
    assert count_lines(env, "copy_received") == 0
    for node in ("n1", "n2"):
        resource.prlimit(env.programs[node].pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    told = env.millrace("index", "restore", directory).stdout
    assert told == f"index books: restored from {directory}, 1 shards\n", told
    assert_is_fold(env, index, memory)


def test_refused(env):
    directory = env.directory / "taken"
    index, memory = prepare(env, directory, partitions=16)  # so that both nodes have some
    assert "`restore` takes a directory (see --help)" in refused(env)
    assert "holds no snapshot: there is no manifest.json" in refused(env, env.directory)
    other = env.write_config({"cluster": "another"}, name="another.yaml")
    result = subprocess.run([*map(str, env.command("millrace", config=other)), "index", "restore", str(directory)],
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 1 and f"of cluster {env.cluster}, this is cluster another" in result.stderr, result

    pages = directory / "1.pages"
    right = pages.read_bytes()
    pages.write_bytes(right[:1000] + bytes([right[1000] ^ 1]) + right[1001:])
    told = refused(env, directory)
    assert "1.pages: page 1 does not match its hash; nothing was begun" in told, told
    pages.write_bytes(right)
    manifest = directory / "manifest.json"
    right = manifest.read_text()
    wrong = json.loads(right)
    wrong["shards"][5]["replica"]["format"] -= 1
    manifest.write_text(json.dumps(wrong))
    told = refused(env, directory)
    assert f"replicas of format {wrong['shards'][5]['replica']['format']}," in told and "nothing was begun" in told, told
    manifest.write_text(right)

    # one node is lost: the shards of the other one stay as they are
    trim(env, index, {p: told["stored"] - 5 for p, told in taken(env, directory).items()})
    held = {s["partition"]: s["replicas"][0]["node"] for s in status_of(env, index)}
    lost = [p for p, node in held.items() if node == held[0]]
    assert 0 < len(lost) < index.partitions, held
    before = {s["partition"]: s["replicas"][0]["incarnation"] for s in status_of(env, index)}
    lose_nodes(env, held[0])
    told = env.millrace("index", "restore", directory).stdout
    assert told == (f"index books: restored from {directory}, {len(lost)} shards; "
                    f"{index.partitions - len(lost)} that served are as they were\n"), told
    assert_is_fold(env, index, memory)
    after = {s["partition"]: s["replicas"][0]["incarnation"] for s in status_of(env, index)}
    assert {p for p in before if before[p] != after[p]} == set(lost), (before, after)

    env.millrace("index", "delete", "books", "--wait")
    told = refused(env, directory)
    assert f"index {index.id:016x} (books) was deleted" in told and "nothing was begun" in told, told


def test_two_replicas(env):
    directory = env.directory / "taken"
    index, memory = prepare(env, directory, rf=2)
    gaps_of(env, index, directory, -5)
    lose_nodes(env, "n1", "n2")
    told = env.millrace("index", "restore", directory).stdout
    assert told == f"index books: restored from {directory}, {PARTITIONS} shards\n", told
    assert_is_fold(env, index, memory)
    wait_until(lambda: all(len(s["replicas"]) == 2 and s["digests"] == "equal" for s in status_of(env, index)), 60,
               "two equal replicas of each shard")


def test_one_of_two_nodes_stays_away(env):
    """It holds up neither the other one nor, once it is back, what its shards still lack."""
    directory = env.directory / "taken"
    index, memory = prepare(env, directory, rf=2, documents=8000, size=3000)
    gaps_of(env, index, directory, -5)
    lose_nodes(env, "n1", "n2")
    running = begin(env, directory)
    reach(env, running, "copy_goes_on", 1)
    running.kill()
    assert running.wait() == -signal.SIGKILL, f"the restore was at its end before it was killed: {running.communicate()}"
    first = status_of(env, index)[-1]["replicas"][0]["node"]  # whose copies would come first
    env.programs[first].kill9()
    wait_until(lambda: not next(n["answers"] for n in env.millrace("status", "-o", "json")["nodes"] if n["id"] == first), 60,
               f"{first} does not answer")
    told = env.millrace("index", "restore", directory).stdout.splitlines()
    assert told[0] == f"index books: restored from {directory}, {PARTITIONS} shards" and told[1].endswith(
        "the same command goes on with them"), told
    wait_until(lambda: all(any(r["in_sync"] and r["serving"] for r in s["replicas"]) for s in status_of(env, index)), 60,
               "every shard is served")

    env.start(first)
    told = env.millrace("index", "restore", directory).stdout.splitlines()
    assert told == [f"index books: restored from {directory}, 0 shards; {PARTITIONS} that served are as they were"], told
    assert_is_fold(env, index, memory)
    assert all(len(s["replicas"]) == 2 for s in status_of(env, index))
    assert_refused_while_served(env, directory)
