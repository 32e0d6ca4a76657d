"""The fold of a log, computed apart from the product's code.

From the contract of a record (fold_record.py) and an independent Kafka client:
what a replica must hold after the records of its partition up to an offset,
and what became of each of them. Nothing here asks a Millrace program.
"""
import json
from dataclasses import dataclass, field

import confluent_kafka

import fold_filter
from children import wait_until
from document_digest import document_digest
from fold_json import merged, parse
from fold_record import (BARRIERS, DELETE, DELETE_ALL, MERGE, MERGE_IF_EXISTS, PUT_IF_EXISTS, Index, Record, Refused, decode,
                         partition_of)

__all__ = ["Index", "Record", "Shard", "Verdict", "fold_topic", "partition_of", "records_of"]

APPLIED, DUPLICATE, DEAD, SKIPPED = "applied", "duplicate", "dead", "skipped"
SOURCES_MAX = 4096  # source partitions of one shard


@dataclass(frozen=True)
class Verdict:
    """What became of one record: exactly one of these for every offset that holds one."""

    outcome: str
    code: str | None = None  # of a dead letter, skipped ones too
    earlier: int | None = None  # the offset whose identity decided; of a duplicate by origin None


@dataclass
class Shard:
    """The fold of one partition."""

    index: Index
    partition: int
    end: int = 0  # what `received` is after it
    skips: frozenset = frozenset()  # offsets that a record in `meta` tells to skip
    documents: dict = field(default_factory=dict)  # id → (body, (timestamp, seq)), bytes and numbers
    verdicts: dict = field(default_factory=dict)  # offset → Verdict
    affected: dict = field(default_factory=dict)  # offset of a barrier → ids that it deleted
    identities: dict = field(default_factory=dict)  # identity → (offset, operation) of its last occurrence
    origins: dict = field(default_factory=dict)  # (source, partition) → highest (life, offset, n)
    merges_too_large: int = 0

    @property
    def records(self):
        return len(self.verdicts)

    @property
    def dead_letters(self):
        """offset → code"""
        return {offset: verdict.code for offset, verdict in self.verdicts.items() if verdict.code}

    def count(self, outcome):
        return sum(verdict.outcome == outcome for verdict in self.verdicts.values())

    def apply(self, record):
        """The record's operation, whether it was applied or not; None where it has none."""
        assert record.offset >= self.end, "offsets rise"
        self.end = record.offset + 1
        if record.offset in self.skips:
            self.verdicts[record.offset] = Verdict(SKIPPED, "skipped")
            return None
        try:
            operation = decode(self.index, self.partition, record)
        except Refused as refused:
            self.verdicts[record.offset] = Verdict(DEAD, refused.args[0])
            return None
        self.verdicts[record.offset] = verdict = self._judge(record.offset, operation)
        if verdict.outcome == APPLIED:
            self._do(record.offset, operation)
        return operation

    # -- what the log held before -------------------------------------------

    def _judge(self, offset, operation):
        by_origin = self._judge_origin(operation.origin)
        by_identity = self._judge_identity(offset, operation)
        return by_origin or by_identity or Verdict(APPLIED)

    def _judge_origin(self, origin):
        """Not higher than the highest of its source partition: imported before."""
        if origin is None:
            return None
        source, life, partition, *place = origin
        highest = self.origins.get((source, partition))
        if highest is None and len(self.origins) >= SOURCES_MAX:
            return Verdict(DEAD, "too_many_sources")
        if highest is not None and (life, *place) <= highest:
            return Verdict(DUPLICATE)
        self.origins[source, partition] = (life, *place)
        return None

    def _judge_identity(self, offset, operation):
        """The last occurrence within the window decides, whatever became of it."""
        window = self.index.dedup_window if self.index.contract > 1 else 0
        if operation.identity is None or window == 0:
            return None
        earlier, before = self.identities.get(operation.identity, (None, None))
        self.identities[operation.identity] = (offset, operation.same())
        if earlier is None or earlier < offset - window:
            return None
        if before == operation.same():
            return Verdict(DUPLICATE, earlier=earlier)
        return Verdict(DEAD, "idempotency_key_reused", earlier)

    # -- what it does to documents ------------------------------------------

    def _do(self, offset, operation):
        if operation.kind in BARRIERS:
            gone = [id for id, (body, _) in self.documents.items() if self._is_meant(operation, body)]
            for id in gone:
                del self.documents[id]
            self.affected[offset] = gone
            return
        earlier = self.documents.get(operation.id)
        if operation.kind == DELETE:
            self.documents.pop(operation.id, None)
        elif earlier or operation.kind not in (PUT_IF_EXISTS, MERGE_IF_EXISTS):
            body = operation.body
            if earlier and operation.kind in (MERGE, MERGE_IF_EXISTS):
                body = merged(earlier[0], operation.body)
                if len(body) > self.index.document_bytes_max:
                    self.merges_too_large += 1
                    return
            self.documents[operation.id] = (body, earlier[1] if earlier else operation.created)

    @staticmethod
    def _is_meant(operation, body):
        return operation.kind == DELETE_ALL or fold_filter.matches(operation.filter, parse(body))

    # -- what a replica tells -----------------------------------------------

    def in_order(self):
        """[(id, body, (timestamp, seq))] by insertion key."""
        return sorted(((id, *rest) for id, rest in self.documents.items()), key=lambda entry: (*entry[2], entry[0]))

    def digest(self):
        total = sum(document_digest(self.index.id, id, body, key) for id, (body, key) in self.documents.items())
        return f"{total % 2**128:032x}"


def records_of(bootstrap, topic, deadline_s=60):
    """(partition, Record or None, position): every record up to the ends of now, then each partition's position."""
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": bootstrap, "group.id": f"fold.{topic}", "log_level": 0, "enable.auto.commit": False,
        "isolation.level": "read_committed", "check.crcs": True, "auto.offset.reset": "error"})
    places = []
    for partition in consumer.list_topics(topic, timeout=30).topics[topic].partitions:
        low, high = consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, partition), timeout=30)
        places.append((partition, low, high))
    consumer.assign([confluent_kafka.TopicPartition(topic, p, low) for p, low, high in places if low < high])
    ends = {p: high for p, low, high in places if low < high}
    found = []

    def at_the_ends():
        for message in consumer.consume(10000, 0.2):
            assert not message.error(), str(message.error())
            kind, timestamp = message.timestamp()
            found.append((message.partition(), Record(
                message.offset(), timestamp if kind != confluent_kafka.TIMESTAMP_NOT_AVAILABLE else -1, message.key(),
                message.value(), message.headers() or [])))
        here = consumer.position([confluent_kafka.TopicPartition(topic, p) for p in ends])
        return all(place.offset >= ends[place.partition] for place in here)

    try:
        if ends:
            wait_until(at_the_ends, deadline_s, f"{topic} is read to {ends}")
    finally:
        consumer.close()
    return found, {p: (low, high) for p, low, high in places}


def learn(bootstrap, index):
    """Takes over what `meta` records of an index whose log Millrace made: its rules. Returns {partition: skipped offsets}."""
    cluster, separator, _ = index.topic.partition(".docs.")
    skips = {}
    if not separator:
        return skips
    records, _ = records_of(bootstrap, f"{cluster}.meta")
    for _, record in records:
        key = (record.key or b"").decode()
        if record.value and key == f"index/{index.id:016x}":
            index.obey(json.loads(record.value)["rules"])
        elif record.value and key.startswith(f"skip/{index.id:016x}/"):
            skips[int(key.rsplit("/", 1)[1])] = json.loads(record.value)["offsets"]
    return skips


def fold_topic(bootstrap, index, watch=None):
    """[Shard], one a partition, folded up to the ends that the topic has now.

    `watch(shard, record, operation)` is called after each record.
    """
    skips = learn(bootstrap, index)
    records, places = records_of(bootstrap, index.topic)
    assert len(places) == index.partitions, f"{index.topic} has {len(places)} partitions, not {index.partitions}"
    shards = [Shard(index, p, end=places[p][0], skips=frozenset(skips.get(p, ()))) for p in range(index.partitions)]
    for partition, record in records:
        operation = shards[partition].apply(record)
        if watch:
            watch(shards[partition], record, operation)
    for shard in shards:
        shard.end = places[shard.partition][1]  # also behind markers, which are no records
    return shards
