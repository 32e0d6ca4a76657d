"""Updates of the same documents at full speed: memory, file, segments and the time of a search level off.

    tests/run system test_steady       MILLRACE_STEADY_S is how long (300 s; with --full an hour)

The log keeps all of it: 52 minutes against a release build (run.py --build) wrote 72 GB.

Sizes stay within bounds that do not depend on the time, memory does not grow from the second third of it to the last, and,
with --full, neither does what updates cost a search.
"""
import contextlib
import math
import os
import statistics
import time

import confluent_kafka

from children import wait_until
from documents import Publisher
from fold import APPLIED, Record, Shard, learn
from replica_view import assert_is_fold, create_index, figures_of, wait_level
from steady_searches import BUSY, RESTING, Searches
from steady_updates import LAG_MIN, Updates
from traffic import Stable

DOCUMENTS = 20000
STARTS_WITHIN = 2 * DOCUMENTS  # offsets of a partition: every document is there by then
READ_RECORDS, READ_SILENCE_S = 10000, 60
PARTITIONS = 2
SECONDS, SECONDS_FULL = 300, 3600
SAMPLE_S = 0.5
SAMPLES_MIN = 20  # in a third
ROUNDS_SHOWN = 9
FILE_OF_LIVE_MAX = 3
# Of the ninth deciles of thirds of the time, the last one and the one before; and room, where little is much of less.
GROWTH_MAX = 1.25
ROOMS = {"RSS": 32, "live": 4, "segments' bytes": 8}  # MiB
# What these never come to.
BOUNDS = {
    "memory of what is not stored": 128 + 16,  # MiB: the share of one index, and a range
    "file beyond thrice live": 16,  # MiB: REWRITE_FREE_BYTES_MIN
    "most segments on disk": 48,  # MANIFEST_CROWDED
}
# A sanitizer keeps what was freed; by default so much that it takes many minutes to fill.
SANITIZER_KEEPS = "quarantine_size_mb=8"
KINDS = ("resting", "busy", "changing")


def resident(program):
    fields = dict(line.split(":", 1) for line in open(f"/proc/{program.pid}/status"))
    return int(fields["VmRSS"].split()[0]) / 1024


@contextlib.contextmanager
def level_soon():
    """Programs started within keep little of what they freed."""
    before = os.environ.get("ASAN_OPTIONS")
    os.environ["ASAN_OPTIONS"] = ":".join(filter(None, (before, SANITIZER_KEEPS)))
    try:
        yield
    finally:
        del os.environ["ASAN_OPTIONS"]
        if before is not None:
            os.environ["ASAN_OPTIONS"] = before


def file_of(env, index, partition):
    return os.stat(env.directory / "n1" / "replicas" / f"{index.id:016x}-1-{partition}" / "data.mdb")


def sample(env, index):
    """{gauge: value}; bytes in MiB."""
    rows = figures_of(env, index)
    stopped = [row["stop_reason"] for row in rows if row["state"] == "stopped"]
    assert not stopped, f"stopped: {stopped}"
    files = [file_of(env, index, row["partition"]) for row in rows]
    live = [row["figures"]["disk"]["live_bytes"] for row in rows]
    found = {f"{name}, RSS": resident(program) for name, program in env.programs.items()}
    found["memory of what is not stored"] = sum(row["memory_bytes"] for row in rows) / 2**20
    found["file, length"] = sum(file.st_size for file in files) / 2**20
    found["file, allocated"] = sum(file.st_blocks * 512 for file in files) / 2**20
    found["segments' bytes"] = sum(row["disk_bytes"] for row in rows) / 2**20
    found["live"] = sum(live) / 2**20
    found["file, free pages"] = sum((row["figures"]["file"] or {"free_bytes": 0})["free_bytes"] for row in rows) / 2**20
    found["most file of live"] = max(file.st_size / max(1, of) for file, of in zip(files, live))
    found["file beyond thrice live"] = max(file.st_size - FILE_OF_LIVE_MAX * of for file, of in zip(files, live)) / 2**20
    found["most segments in memory"] = max(row["segments"] for row in rows)
    found["most segments on disk"] = max(row["disk_segments"] for row in rows)
    found["received"] = sum(row["received"] for row in rows)
    return found


class Course:
    """Samples and searches over the time, in `parts` of equal length."""

    def __init__(self, seconds):
        self._seconds = seconds
        self.samples = []  # (at, {gauge: value})
        self.searches = []  # (at, kind, seconds)

    def add(self, at, gauges, entries):
        self.samples.append((at, gauges))
        self.searches += [(at, entry["kind"], entry["s"]) for entry in entries]

    def _within(self, rows, part, parts):
        return [row for row in rows if part <= row[0] / self._seconds * parts < part + 1]

    def level(self, gauge, part, parts):
        """The ninth decile: what goes up and down is judged by its tops, but not by a single one."""
        return statistics.quantiles([gauges[gauge] for _, gauges in self._within(self.samples, part, parts)], n=10)[-1]

    def median(self, gauge, part, parts):
        values = [gauges[gauge] for _, gauges in self._within(self.samples, part, parts)]
        return statistics.median(values) if values else math.nan

    def search(self, kind, part, parts, percent=50):
        """Milliseconds."""
        times = [seconds for _, of, seconds in self._within(self.searches, part, parts) if of == kind]
        return statistics.quantiles(times, n=100)[percent - 1] * 1000 if len(times) > 1 else math.nan

    def rate(self, part, parts):
        samples = self._within(self.samples, part, parts)
        if len(samples) < 2:
            return math.nan
        (start, first), (end, last) = samples[0], samples[-1]
        return (last["received"] - first["received"]) / (end - start)

    def show(self, parts=ROUNDS_SHOWN):
        for gauge in self.samples[0][1]:
            row = " ".join(f"{self.median(gauge, part, parts):8.1f}" for part in range(parts))
            print(f"          {gauge:<32} {row}")
        for kind in KINDS:
            for percent in (50, 95, 99):
                row = " ".join(f"{self.search(kind, part, parts, percent):8.1f}" for part in range(parts))
                print(f"          search, {kind + f', p{percent} ms':<24} {row}")
        print(f"          {'received, records/s':<32} " + " ".join(f"{self.rate(part, parts):8.0f}" for part in range(parts)),
              flush=True)

    def _compared(self, full):
        """[(what, before, after, room)]: what may not grow, between thirds of the time."""
        for gauge in self.samples[0][1]:
            room = ROOMS.get(gauge.rsplit(", ", 1)[-1])
            if room is not None:
                yield gauge, self.level(gauge, 1, 3), self.level(gauge, 2, 3), room
        if full:
            for kind in ("busy", "changing"):
                first, last = (self.search(kind, part, 3) / self.search("resting", part, 3) for part in (0, 2))
                yield f"search, {kind} of resting", first, last, 0

    def troubles(self, full):
        """What has not levelled off."""
        found = []
        for part in range(3):
            count = len(self._within(self.samples, part, 3))
            if count < SAMPLES_MIN:
                found.append(f"{count} samples in a third are too few to judge")
            for kind in KINDS:
                if math.isnan(self.search(kind, part, 3)):
                    found.append(f"no searches, {kind}, in a third")
        if found:
            return found
        for what, before, after, room in self._compared(full):
            if not after <= before * GROWTH_MAX + room:
                found.append(f"{what}: {before:.2f} before, {after:.2f} in the last third")
        for gauge, bound in BOUNDS.items():
            most = max(self.level(gauge, part, 3) for part in range(3))
            if most > bound:
                found.append(f"{gauge}: {most:.2f}, at most {bound}")
        behind = statistics.median(gauges["lag"] for _, gauges in self.samples)
        if behind < LAG_MIN:
            found.append(f"the node was {behind} records behind: that is not full speed")
        return found


class Ends:
    """The first and the last record of each document of a log of puts, without what is between them: all come at its
    beginning, and those of Updates again and again."""

    def __init__(self, bootstrap, index):
        self._consumer = confluent_kafka.Consumer({
            "bootstrap.servers": bootstrap, "group.id": f"fold.{index.topic}", "log_level": 0, "enable.auto.commit": False,
            "check.crcs": True, "auto.offset.reset": "error"})
        self._topic = index.topic
        self.ends = {p: self._consumer.get_watermark_offsets(confluent_kafka.TopicPartition(index.topic, p), timeout=10)[1]
                     for p in range(index.partitions)}
        self.first = {p: {} for p in self.ends}
        self.last = {p: {} for p in self.ends}

    def _records(self, partition, start, end):
        """Those of [start, end), in blocks."""
        place = confluent_kafka.TopicPartition(self._topic, partition, start)
        self._consumer.assign([place])
        at, silent = start, time.monotonic()
        while at < end:
            messages = self._consumer.consume(READ_RECORDS, 0.2)
            assert messages or time.monotonic() - silent < READ_SILENCE_S, f"{self._topic}/{partition} ends at {at}, not {end}"
            if not messages:
                continue
            silent = time.monotonic()
            for message in messages:
                assert not message.error(), str(message.error())
            at = messages[-1].offset() + 1
            yield [Record(m.offset(), m.timestamp()[1], m.key(), m.value(), m.headers() or []) for m in messages if m.offset() < end]

    def read(self):
        """Forwards through the beginning, then backwards until all that are updated have come again."""
        for partition, end in self.ends.items():
            for block in self._records(partition, 0, min(end, STARTS_WITHIN)):
                for record in block:
                    self.first[partition].setdefault(record.key, record)
            self.last[partition].update(self.first[partition])
            self._read_back(partition, end)
        self._consumer.close()

    def _read_back(self, partition, end):
        missing, window = {f"d{number}".encode() for number in range(DOCUMENTS)} & set(self.first[partition]), READ_RECORDS
        while missing and end > 0:
            start, found = max(0, end - window), {}
            for block in self._records(partition, start, end):
                found.update((record.key, record) for record in block)
            self.last[partition].update((key, found[key]) for key in missing & set(found))
            missing -= set(found)
            end, window = start, window * 2


def fold_of_puts(bootstrap, index):
    """[Shard] as fold_topic makes them, of a log of puts whose documents all come at its beginning: of each only the first
    record and the last count, and the millions between them are not read."""
    skips = learn(bootstrap, index)
    assert not any(skips.values()), skips
    ends = Ends(bootstrap, index)
    ends.read()
    shards = [Shard(index, partition) for partition in ends.ends]
    for shard in shards:
        first, last = ends.first[shard.partition], ends.last[shard.partition]
        for _, record in sorted({r.offset: r for r in [*first.values(), *last.values()]}.items()):
            shard.apply(record)
        shard.end = ends.ends[shard.partition]
        assert shard.count(APPLIED) == shard.records, list(shard.dead_letters.items())[:3]
    return shards


def run(env, index, stable, seconds):
    updates = Updates(env, index, DOCUMENTS)
    searches = Searches(env, stable)
    course, start = Course(seconds), time.monotonic()
    while (at := time.monotonic() - start) < seconds:
        course.add(at, {**sample(env, index), "lag": updates.lag()}, searches.take())
        wait_until(lambda: time.monotonic() - start >= at + SAMPLE_S, 60, "the next sample is due")
    updates.finish()
    searches.finish()
    return course


def assert_files_small(env, index):
    """When everything is stored and merged."""
    def sizes():
        rows = figures_of(env, index)
        return [(file_of(env, index, row["partition"]).st_size, row["figures"]["disk"]["live_bytes"]) for row in rows]

    wait_until(lambda: all(file <= FILE_OF_LIVE_MAX * live for file, live in sizes()), 60,
               f"no file is larger than {FILE_OF_LIVE_MAX} times what is live of it: {sizes()}")


def test_updates_without_end(env):
    seconds = int(os.environ.get("MILLRACE_STEADY_S") or (SECONDS_FULL if env.full else SECONDS))
    with level_soon():
        env.start_all({"query.timeout_ms": "15000"})  # the machine may be busy
    stable = Stable()
    for uid in (RESTING, BUSY):
        index = create_index(env, uid, PARTITIONS)
        publisher = Publisher(env, index.topic)
        stable.publish(publisher)
        publisher.flush()
        wait_level(env, index, 60)
    course = run(env, index, stable, seconds)
    course.show()
    shards = assert_is_fold(env, index, fold=fold_of_puts)
    assert_files_small(env, index)
    assert sum(len(shard.documents) for shard in shards) == DOCUMENTS + len(stable.documents)
    troubles = course.troubles(env.full)
    assert not troubles, "; ".join(troubles)


test_updates_without_end.timeout_s = 5400
