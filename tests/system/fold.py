"""The fold of a log, computed apart from the product's code.

From the contract of a record (shared/record/record.h) and an independent
Kafka client: what a replica must hold after the records of its partition up to
an offset. Nothing here asks a Millrace program.
"""
import json
import re
import zlib
from dataclasses import dataclass, field

import confluent_kafka

from children import wait_until
from document_digest import document_digest

ID = re.compile(rb"[A-Za-z0-9_-]+")
DIGITS = re.compile(rb"[0-9]{1,19}")
I64_MAX = 2**63 - 1
U32_MAX = 2**32 - 1


class Refused(Exception):
    """A record that becomes a dead letter; its argument is the code."""


class Number(str):
    """A number as it was written: reading it as a float would lose what the text said."""


@dataclass
class Index:
    """What decides the meaning of a record; the limits are those of a new generation."""

    id: int
    topic: str
    partitions: int
    primary_key: str = "id"
    partitioner: str = "murmur2"
    id_bytes_max: int = 511
    document_bytes_max: int = 4 * 1024 * 1024
    depth_max: int = 128


@dataclass
class Record:
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list = field(default_factory=list)  # (name, bytes or None), in order


def murmur2(key):
    """As Kafka's Java clients: seed 0x9747b28c, 32 bits."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(key)
    whole = len(key) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at:at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if whole < len(key):
        h = (h ^ int.from_bytes(key[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def partition_of(index, key):
    """The only partition that may hold the key; None where any may."""
    if index.partitioner == "none":
        return None
    if index.partitioner == "murmur2":
        return (murmur2(key) & 0x7FFFFFFF) % index.partitions
    return zlib.crc32(key) % index.partitions


def parse(value):
    """Strict JSON; objects become lists of (name, value), numbers stay text. Raises ValueError."""

    def constant(name):
        raise ValueError(name)

    parsed = json.loads(value.decode("utf-8"), object_pairs_hook=Members, parse_int=Number, parse_float=Number,
                        parse_constant=constant)
    return parsed


class Members(list):
    """An object's members in order, repeated names too."""


def depth(value):
    """Nesting of arrays and objects; a surrogate without its twin is no text. Raises ValueError."""
    deepest, open_values = 0, [(value, 1)]
    while open_values:
        value, level = open_values.pop()
        if isinstance(value, str):
            value.encode("utf-8")
        elif isinstance(value, Members):
            deepest = max(deepest, level)
            for name, member in value:
                name.encode("utf-8")
                open_values.append((member, level + 1))
        elif isinstance(value, list):
            deepest = max(deepest, level)
            open_values += [(item, level + 1) for item in value]
    return deepest


def check_key(index, partition, record):
    if not record.key:
        raise Refused("missing_key")
    if len(record.key) > index.id_bytes_max or not ID.fullmatch(record.key):
        raise Refused("invalid_document_id")
    if partition_of(index, record.key) not in (None, partition):
        raise Refused("wrong_partition")


def number_of(text, maximum):
    if text is None or not DIGITS.fullmatch(text) or int(text) > maximum:
        raise Refused("invalid_header")
    return int(text)


def check_headers(record):
    """(is it a put, insertion key if it creates). The last header of a name counts."""
    headers = dict(record.headers)
    operation = headers.get("op", b"put")
    if operation not in (b"put", b"delete"):
        raise Refused("unknown_operation")
    seq = number_of(headers["seq"], U32_MAX) if "seq" in headers else 0
    key = (record.timestamp_ms, seq)
    if "created" in headers:
        timestamp, slash, seq = (headers["created"] or b"").partition(b"/")
        if not slash:
            raise Refused("invalid_header")
        key = (number_of(timestamp, I64_MAX), number_of(seq, U32_MAX))
    return operation == b"put" and bool(record.value), key


def check_body(index, record):
    """The body that is stored."""
    if len(record.value) > index.document_bytes_max:
        raise Refused("too_large")
    try:
        parsed = parse(record.value)
        nesting = depth(parsed)
    except RecursionError:
        raise Refused("too_deep") from None
    except ValueError:
        raise Refused("not_json") from None
    if nesting > index.depth_max:
        raise Refused("too_deep")
    if not isinstance(parsed, Members):
        raise Refused("not_an_object")
    ids = [value for name, value in parsed if name == index.primary_key]
    if any(not isinstance(value, str) or value.encode() != record.key for value in ids):
        raise Refused("id_mismatch")
    if ids:
        return record.value
    rest = record.value[record.value.index(b"{") + 1:]
    added = json.dumps({index.primary_key: record.key.decode()}, ensure_ascii=False, separators=(",", ":"))
    return added[:-1].encode() + (b"," if parsed else b"") + rest


@dataclass
class Shard:
    """The fold of one partition."""

    index: Index
    partition: int
    end: int = 0  # what `received` is after it
    records: int = 0
    documents: dict = field(default_factory=dict)  # id → (body, (timestamp, seq)), bytes and numbers
    dead_letters: dict = field(default_factory=dict)  # offset → code

    def apply(self, record):
        assert record.offset >= self.end, "offsets rise"
        self.end = record.offset + 1
        self.records += 1
        try:
            check_key(self.index, self.partition, record)
            put, key = check_headers(record)
            body = check_body(self.index, record) if put else None
        except Refused as refused:
            self.dead_letters[record.offset] = refused.args[0]
            return
        if body is None:
            self.documents.pop(record.key, None)
        else:
            earlier = self.documents.get(record.key)
            self.documents[record.key] = (body, earlier[1] if earlier else key)

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
    for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
        low, high = consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, partition), timeout=10)
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


def fold_topic(bootstrap, index):
    """[Shard], one a partition, folded up to the ends that the topic has now."""
    records, places = records_of(bootstrap, index.topic)
    assert len(places) == index.partitions, f"{index.topic} has {len(places)} partitions, not {index.partitions}"
    shards = [Shard(index, p, end=places[p][0]) for p in range(index.partitions)]
    for partition, record in records:
        shards[partition].apply(record)
    for shard in shards:
        shard.end = places[shard.partition][1]  # also behind markers, which are no records
    return shards
