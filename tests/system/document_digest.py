"""What one document adds to its shard's digest."""
import xxhash


def document_digest(index_id, id, body, key):
    """Of an id, a body and an insertion key (timestamp, seq); digests are summed mod 2^128."""
    timestamp, seq = key
    text = b"".join((len(id).to_bytes(4, "little"), id, len(body).to_bytes(4, "little"), body,
                     timestamp.to_bytes(8, "little", signed=True), seq.to_bytes(4, "little")))
    return xxhash.xxh3_128_intdigest(text, index_id)
