"""One record of a log and the operation it decodes to, apart from the product's code.

Written from the contract in shared/record/record.h. Identities are what the contract hashes, as tuples, so that no
hash decides anything here.
"""
import json
import re
import zlib
from dataclasses import dataclass, field

import fold_filter
from fold_json import Members, Number, depth, parse

ID = re.compile(rb"[A-Za-z0-9_-]+")
SOURCE = re.compile(rb"[A-Za-z0-9._-]{1,249}")
DIGITS = re.compile(rb"[0-9]{1,19}")
I32_MAX = 2**31 - 1
U32_MAX = 2**32 - 1
I64_MAX = 2**63 - 1
IDENTIFYING_BYTES_MAX = 1024
FILTER_BYTES_MAX = 1024 * 1024

PUT, DELETE, MERGE, PUT_IF_EXISTS, MERGE_IF_EXISTS, DELETE_BY_FILTER, DELETE_ALL = OPERATIONS = (
    "put", "delete", "merge", "put-if-exists", "merge-if-exists", "delete-by-filter", "delete-all")
OPERATIONS_OF = {1: (PUT, DELETE), 2: OPERATIONS}  # by contract
BARRIERS = (DELETE_BY_FILTER, DELETE_ALL)
WITHOUT_BODY = (DELETE, DELETE_ALL)


class Refused(Exception):
    """A record that becomes a dead letter; its argument is the code."""


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
    contract: int = field(default=1, compare=False)  # these two are learnt from `meta`
    dedup_window: int = field(default=0, compare=False)

    def obey(self, rules):
        """Takes over the rules of an index's record in `meta`."""
        for name in ("id_bytes_max", "document_bytes_max", "depth_max", "contract", "dedup_window"):
            setattr(self, name, rules[name])
        return self


@dataclass
class Record:
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list = field(default_factory=list)  # (name, bytes or None), in order


@dataclass
class Operation:
    kind: str
    id: bytes  # b"" for a barrier
    body: bytes  # of a put or merge with its primary key; a filter; else b""
    created: tuple  # (timestamp, seq) if it creates
    identity: tuple | None = None
    origin: tuple | None = None  # (source, life, partition, offset, n)
    filter: object = None

    def same(self):
        """What two operations have in common if one repeats the other."""
        return self.kind, self.id, self.body


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


# ---- decoding -------------------------------------------------------------


def check_key(index, partition, record):
    if not record.key:
        raise Refused("missing_key")
    if len(record.key) > index.id_bytes_max or not ID.fullmatch(record.key):
        raise Refused("invalid_document_id")
    if partition_of(index, record.key) not in (None, partition):
        raise Refused("wrong_partition")


def number_of(index, text, maximum):
    if text is None or not DIGITS.fullmatch(text) or int(text) > maximum:
        raise Refused("invalid_header")
    if index.contract > 1 and text != b"0" and text.startswith(b"0"):
        raise Refused("invalid_header")
    return int(text)


def created_of(index, record, headers):
    """The insertion key if the record creates."""
    seq = number_of(index, headers["seq"], U32_MAX) if "seq" in headers else 0
    if "created" not in headers:
        return record.timestamp_ms, seq
    timestamp, separator, seq = (headers["created"] or b"").rpartition(b"/" if index.contract == 1 else b".")
    if not separator:
        raise Refused("invalid_header")
    return number_of(index, timestamp, I64_MAX), number_of(index, seq, U32_MAX)


def origin_of(index, headers):
    if "origin" not in headers:
        return None
    rest, dot, n = (headers["origin"] or b"").rpartition(b".")
    pieces = rest.rsplit(b"/", 2)
    if not dot or len(pieces) != 3:
        raise Refused("invalid_header")
    source, dot, life = pieces[0].rpartition(b".")
    if not dot or not SOURCE.fullmatch(source):
        raise Refused("invalid_header")
    bounds = ((life, U32_MAX), (pieces[1], I32_MAX), (pieces[2], I64_MAX), (n, U32_MAX))
    return source, *(number_of(index, text, maximum) for text, maximum in bounds)


def identity_of(id, headers):
    names = ("idempotency-key",) if "idempotency-key" in headers else ("ce_source", "ce_id")
    if any(name not in headers for name in names):
        return None
    values = tuple(headers[name] or b"" for name in names)
    if not all(1 <= len(value) <= IDENTIFYING_BYTES_MAX for value in values):
        raise Refused("invalid_header")
    return id, *values


def parse_value(index, record):
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
    return parsed


def body_of(index, record):
    """The body of a put or merge."""
    parsed = parse_value(index, record)
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


def filter_of(index, record):
    if not record.value:
        raise Refused("invalid_filter")
    expression = parse_value(index, record)
    if len(record.value) > FILTER_BYTES_MAX:
        raise Refused("invalid_filter")
    is_text = isinstance(expression, str) and not isinstance(expression, Number)
    if not expression or isinstance(expression, Members) or not (is_text or isinstance(expression, list)):
        raise Refused("invalid_filter")
    try:
        tree = fold_filter.read(expression)
    except fold_filter.Malformed:
        tree = None
    if tree is None:  # without a condition it would mean everything
        raise Refused("invalid_filter")
    return tree


def decode(index, partition, record):
    """The Operation of a record; raises Refused."""
    headers = dict(record.headers)  # the last of a name counts
    name = headers.get("op", b"put")
    kind = next((known for known in OPERATIONS_OF[index.contract] if name == known.encode()), None)
    if kind in BARRIERS:
        if record.key:
            raise Refused("unexpected_key")
        id = b""
    else:
        check_key(index, partition, record)
        id = record.key
        if kind is None:
            raise Refused("unknown_operation")
        if not record.value:
            kind = DELETE
    found = Operation(kind, id, b"", created_of(index, record, headers))
    if index.contract > 1:
        if "if-offset" in headers:
            raise Refused("invalid_header")
        found.origin = origin_of(index, headers)
        found.identity = identity_of(id, headers)
    if kind == DELETE_BY_FILTER:
        found.filter = filter_of(index, record)
        found.body = record.value
    elif kind not in WITHOUT_BODY:
        found.body = body_of(index, record)
    return found
