"""Makes a stopped node's replica believe in another document than the log has, as if it had always been so.

    build/venv-lmdb/bin/python tests/system/falsify.py ENVIRONMENT ID WORD OTHER

In the body of the document ID, WORD becomes OTHER: in DOCUMENTS, IDS, POSTINGS
and STATE of the replica's LMDB environment, with every checksum and the digest
as shard/core/stored.h has them. Nothing is damaged, so nothing the node could
check by itself says that anything is wrong. WORD is to be a word of this
document alone, OTHER a word of none. Prints the watermark of what is stored.
"""
import struct
import sys

import lmdb
import xxhash

from document_digest import document_digest

SUM = struct.Struct("<Q")
PLACE = struct.Struct("<qIH")  # timestamp, seq, length of the id
ENTRY = struct.Struct("<QqIQQI")  # number, timestamp, seq, digest, length of the body
MARK = struct.Struct("<qqqQQQQQQ")  # received, anchor, digest, documents, body bytes, next number
FORM_LIST = 1
BLOCK_NUMBERS = 65536
MASK = 2**64 - 1


def sealed(key, rest):
    return SUM.pack(xxhash.xxh3_64_intdigest(rest, xxhash.xxh3_64_intdigest(key))) + rest


def unsealed(key, value):
    assert value is not None and sealed(key, value[SUM.size:]) == value, f"not the stored format: {key} → {value}"
    return value[SUM.size:]


def falsify_document(txn, tables, id, word, other):
    """(number, insertion key, earlier body, new body)"""
    number, timestamp, seq, *_ = ENTRY.unpack(unsealed(id, txn.get(id, db=tables["ids"])))
    key = number.to_bytes(8, "big")
    rest = unsealed(key, txn.get(key, db=tables["documents"]))
    assert PLACE.unpack_from(rest) == (timestamp, seq, len(id)), rest
    head, body = rest[:PLACE.size + len(id)], rest[PLACE.size + len(id):]
    assert body.count(word) == 1, body
    changed = body.replace(word, other)
    txn.put(key, sealed(key, head + changed), db=tables["documents"])
    return number, (timestamp, seq), body, changed


def falsify_postings(txn, table, number, word, other):
    block = b"\0" + (number // BLOCK_NUMBERS).to_bytes(6, "big")
    only = bytes([FORM_LIST]) + (number % BLOCK_NUMBERS).to_bytes(2, "little")
    assert unsealed(word + block, txn.get(word + block, db=table)) == only, f"{word} is in other documents too"
    assert txn.get(other + block, db=table) is None, f"{other} is in other documents"
    txn.delete(word + block, db=table)
    txn.put(other + block, sealed(other + block, only), db=table)


def falsify_state(txn, table, digest_added, bytes_added):
    """The watermark."""
    value = txn.get(b"state", db=table)
    rest = value[:-SUM.size]
    assert value[-SUM.size:] == SUM.pack(xxhash.xxh3_64_intdigest(rest)), "not the stored format: state"
    mark = list(MARK.unpack(rest[-MARK.size:]))
    digest = (mark[4] + (mark[5] << 64) + digest_added) % 2**128
    mark[4], mark[5] = digest & MASK, digest >> 64
    mark[7] += bytes_added
    rest = rest[:-MARK.size] + MARK.pack(*mark)
    txn.put(b"state", rest + SUM.pack(xxhash.xxh3_64_intdigest(rest)), db=table)
    return mark[0]


def index_id_of(state):
    cluster_bytes = int.from_bytes(state[8:12], "little")
    return SUM.unpack_from(state, 12 + cluster_bytes)[0]


def falsify(environment, id, word, other):
    names = ("state", "ids", "documents", "postings")
    tables = {name: environment.open_db(name.encode(), create=False) for name in names}
    with environment.begin(write=True) as txn:
        index_id = index_id_of(txn.get(b"state", db=tables["state"]))
        number, key, body, changed = falsify_document(txn, tables, id, word, other)
        believed = document_digest(index_id, id, changed, key)
        entry = ENTRY.pack(number, *key, believed & MASK, believed >> 64, len(changed))
        txn.put(id, sealed(id, entry), db=tables["ids"])
        falsify_postings(txn, tables["postings"], number, word, other)
        return falsify_state(txn, tables["state"], believed - document_digest(index_id, id, body, key),
                             len(changed) - len(body))


def main():
    directory, *words = sys.argv[1:]
    with lmdb.open(directory, max_dbs=5, map_size=2**30, lock=False) as environment:
        print(falsify(environment, *(word.encode() for word in words)))


if __name__ == "__main__":
    main()
