"""millrace index snapshot: what it takes is the log's fold up to each shard's watermark, however often it is killed."""
import base64
import json
import random
import resource
import shutil
import signal
import subprocess
import threading

from children import wait_until
from documents import Publisher
from fold import Shard, learn, records_of
from replica_view import create_index, log_ends

PARTITIONS = 2
DOCUMENTS = 4000
BODY_BYTES = 3000
FULL_BYTES = 200_000  # of a file, where the disk ends


def body(number, text, size=BODY_BYTES):
    """Hardly to be compressed, so that a shard has several pages."""
    noise = base64.b64encode(random.Random(f"{text}{number}").randbytes(size)).decode()
    return json.dumps({"id": f"d{number}", "text": text, "noise": noise}).encode()


def publish(env, index, numbers, text, size=BODY_BYTES):
    publisher = Publisher(env, index.topic)
    for number in numbers:
        publisher.send(f"d{number}", body(number, text, size))
    publisher.flush()


def wait_stored(env, index):
    """Until every replica has on disk what the log holds now."""
    ends = log_ends(env, index)

    def stored():
        shards = [s for s in env.millrace("status", "-o", "json")["shards"] if s["index"] == f"{index.id:016x}"]
        return len(shards) == index.partitions and all(
            r["serving"] and (r["stored"] or 0) >= ends[s["partition"]] for s in shards for r in s["replicas"])

    env.wait_until(stored, 120, f"all of {ends} is on disk")


class Writer(threading.Thread):
    """Changes documents and adds some until it is told to stop."""

    def __init__(self, env, index):
        super().__init__()
        self.publisher = Publisher(env, index.topic)
        self.enough = threading.Event()

    def run(self):
        dice = random.Random(5)
        count = 0
        while not self.enough.wait(0.002):
            self.publisher.send(f"d{dice.randrange(DOCUMENTS + 500)}", body(count, "changed", 300))
            count += 1

    def stop(self):
        self.enough.set()
        self.join()
        self.publisher.flush()


def command(env, *words):
    return [*map(str, env.command("millrace")), "index", "snapshot", *map(str, words)]


def killed_when(env, directory, reached):
    """Whether a run could be killed once `reached` says so, and before its end; it is looked at as often as can be."""
    running = subprocess.Popen(command(env, "books", directory), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: reached() or running.poll() is not None, 60, "the snapshot has come so far", pause_max=0.001)
    finally:
        running.kill()
    return running.wait() == -signal.SIGKILL and not (directory / "manifest.json").exists()


def kill_when(env, directory, reached):
    """A run that is killed once `reached` says so; one that was quicker than the kill is made again from where it began.

    Returns how many were quicker.
    """
    before = env.directory / "before"
    for quicker in range(20):
        if directory.exists():
            shutil.copytree(directory, before)
        if killed_when(env, directory, reached):
            shutil.rmtree(before, ignore_errors=True)
            return quicker
        shutil.rmtree(directory)
        if before.exists():
            before.rename(directory)
    raise AssertionError("each of twenty snapshots was at its end before it was killed")


def has_pages(directory, partition):
    path = directory / f"{partition}.pages"
    return path.exists() and path.stat().st_size > 0


def row_of(directory, partition):
    path = directory / f"{partition}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def fold_up_to(env, index, stored):
    """[Shard], one a partition, folded up to stored[partition]."""
    skips = learn(env.kafka.bootstrap, index)
    records, _ = records_of(env.kafka.bootstrap, index.topic)
    shards = [Shard(index, p, skips=frozenset(skips.get(p, ()))) for p in range(index.partitions)]
    for partition, record in records:
        if record.offset < stored[partition]:
            shards[partition].apply(record)
    return shards


def assert_is_fold(env, index, directory):
    manifest = json.loads((directory / "manifest.json").read_text())
    assert (manifest["index"], manifest["uid"], manifest["cluster"]) == (f"{index.id:016x}", "books", env.cluster), manifest
    assert manifest["record"]["topic"] == index.topic and manifest["record"]["partitions"] == index.partitions, manifest
    rows = [row["replica"] for row in manifest["shards"]]
    assert len(rows) == index.partitions, manifest
    for shard, row in zip(fold_up_to(env, index, [row["stored"] for row in rows]), rows):
        made = subprocess.run([env.bin / "uncopy", directory, str(shard.partition), env.directory / f"uncopied-{directory.name}-{shard.partition}"],
                              capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        expected = f"{row['stored']} {len(shard.documents)} {shard.digest()}"
        assert made.stdout.strip() == expected == f"{row['stored']} {row['documents']} {row['digest']}", (made.stdout, expected, row)
    return manifest


def test_killed_under_writes(env):
    env.plan(nodes=2, rf=2)
    env.start_all()
    index = create_index(env, "books", PARTITIONS)
    publish(env, index, range(DOCUMENTS), "document")
    wait_stored(env, index)
    directory = env.directory / "taken"
    writer = Writer(env, index)
    writer.start()
    try:
        kill_when(env, directory, lambda: has_pages(directory, 0))
        begun = row_of(directory, 0)
        quicker = kill_when(env, directory, lambda: "pages" in row_of(directory, 0))
        whole = row_of(directory, 0)
        kill_when(env, directory, lambda: has_pages(directory, 1))
        unfinished = env.millrace("index", "snapshot", "--verify", directory, check=False)
        assert unfinished.returncode == 1 and "is not whole: `millrace index snapshot books " in unfinished.stderr, unfinished
        told = env.millrace("index", "snapshot", "books", directory).stdout
    finally:
        writer.stop()
    assert told.startswith(f"snapshot of books in {directory}: {PARTITIONS} shards, "), told
    manifest = assert_is_fold(env, index, directory)
    assert manifest["shards"][0] == whole, "a shard that was whole stays"
    # a node lets go of a copy whose snapshot came to its end
    assert quicker or whole["replica"] == begun["replica"], "a shard that was under way was gone on with"
    assert any(shard["pages"]["pages"] > 1 for shard in manifest["shards"]), manifest
    assert sorted(path.name for path in directory.iterdir()) == sorted(
        ["manifest.json", *(f"{p}.{what}" for p in range(PARTITIONS) for what in ("head", "pages"))])
    assert env.millrace("index", "snapshot", "--verify", directory).stdout.endswith("every file is as it was written\n")
    assert max(row["replica"]["stored"] for row in manifest["shards"]) <= max(log_ends(env, index).values())


def change_byte(path):
    bytes_now = bytearray(path.read_bytes())
    bytes_now[len(bytes_now) // 2] ^= 1
    path.write_bytes(bytes_now)


def test_changed_between(env):
    """What an earlier run wrote, and what the disk has changed since, is copied anew."""
    env.plan(nodes=1, rf=1)
    env.start_all()
    index = create_index(env, "books", PARTITIONS)
    publish(env, index, range(DOCUMENTS), "document")
    wait_stored(env, index)
    for name, reached in (("pages", lambda: "pages" in row_of(directory, 0)), ("head", lambda: has_pages(directory, 0))):
        directory = env.directory / name
        kill_when(env, directory, reached)
        change_byte(directory / f"0.{name}")
        told = env.millrace("index", "snapshot", "books", directory)
        assert f"shard 0 is copied anew: {directory}/0.{name}" in told.stderr, told
        assert_is_fold(env, index, directory)
        env.millrace("index", "snapshot", "--verify", directory)


def limit_file():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))


def refused(env, *words):
    result = env.millrace("index", "snapshot", *words, check=False)
    assert result.returncode == 1 and result.stdout == "", result
    return result.stderr


def test_refused(env):
    env.plan(nodes=1, rf=1)
    env.start_all()
    index = create_index(env, "books", 1)
    create_index(env, "films", 1)
    publish(env, index, range(300), "document")
    wait_stored(env, index)
    directory = env.directory / "taken"
    assert "`snapshot` takes the uid of one index and a directory (see --help)" in refused(env, "books")
    assert "`snapshot --verify` takes a directory (see --help)" in refused(env, "--verify")
    assert "there is no index songs; `millrace index ls` names" in refused(env, "songs", directory)
    assert not directory.exists()
    assert "is not empty and holds no snapshot" in refused(env, "books", env.directory)
    assert "holds no snapshot: there is no manifest.json" in refused(env, "--verify", env.directory)

    full = subprocess.run(command(env, "books", directory), capture_output=True, text=True, preexec_fn=limit_file)
    assert full.returncode == 1 and "shard 0: " in full.stderr and "0.pages: cannot write it: File too large" in full.stderr, full
    assert f"holds a snapshot of index {index.id:016x} (books)" in refused(env, "films", directory)
    env.millrace("index", "snapshot", "books", directory)
    assert_is_fold(env, index, directory)
    assert "holds a whole snapshot" in refused(env, "books", directory)

    pages = directory / "0.pages"
    right = pages.read_bytes()
    pages.write_bytes(right[:1000] + bytes([right[1000] ^ 1]) + right[1001:])
    assert "0.pages: page 1 does not match its hash" in refused(env, "--verify", directory)
    pages.write_bytes(right)
    env.millrace("index", "snapshot", "--verify", directory)

    for number in range(6):  # more than a node keeps copies at once: each is let go of
        env.millrace("index", "snapshot", "books", env.directory / f"again{number}")
    env.programs["n1"].kill9()
    env.millrace("index", "snapshot", "--verify", directory)
    gone = env.directory / "gone"
    assert "no replica of shard 0 serves: see millrace status" in refused(env, "books", gone)
