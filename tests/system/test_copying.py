"""What a node lets others copy of its replicas: the head, all pages behind it, and how many copies at once."""
import json
import struct

from children import wait_until
from documents import Publisher, made
from fleet import rows_of
from replica_view import create_index, log_ends, shards_of

DOCUMENTS = made(400)
COPIES_MAX = 4
HEAD_BYTES = 20
NODE = "n1"


def stored_index(env):
    """An index of one shard on one node, everything on disk."""
    env.plan(nodes=1, rf=1)
    env.start_all()
    index = create_index(env, "books", 1)
    publisher = Publisher(env, index.topic)
    for id, body in DOCUMENTS:
        publisher.send(id, body)
    publisher.flush()
    end = log_ends(env, index)[0]
    wait_until(lambda: rows_of(env, index, NODE).get(0, {"stored": -1})["stored"] >= end, 60, "all of the log is on disk")
    # what came in two stores is merged a little later
    wait_until(lambda: rows_of(env, index, NODE).get(0, {"disk_segments": 0})["disk_segments"] == 1, 60, "it is one segment")
    return index


def ask(env, index, path, method="GET", **arguments):
    text = "".join(f"&{key}={value}" for key, value in arguments.items())
    return env.http(method, f"{env.programs[NODE].url}{path}?index={index.id:016x}&partition=0{text}")


def told(answer):
    """(head, what the node says of it)"""
    (length,) = struct.unpack_from("<I", answer, len(answer) - 4)
    return answer[:-4 - length], json.loads(answer[-4 - length:-4])


def entries(page):
    """[(key, value)] of a page."""
    found = []
    at = 0
    while at < len(page):
        (length,) = struct.unpack_from("<H", page, at)
        key = page[at + 2:at + 2 + length]
        at += 2 + length
        (length,) = struct.unpack_from("<I", page, at)
        found.append((key, page[at + 4:at + 4 + length]))
        at += 4 + length
    return found


def chunks(env, index, copy):
    found = []
    while True:
        after = found[-1][0].hex() if found else ""
        answer = ask(env, index, "/copy/chunks", copy=copy, after=after)
        assert answer.status == 200, answer
        if not answer.body:
            return found
        found += entries(answer.body)


def test_a_copy_is_handed_out(env):
    index = stored_index(env)
    head = ask(env, index, "/copy")
    assert head.status == 200, head
    copied, says = told(head.body)
    found = chunks(env, index, head.headers["X-Millrace-Copy"])
    keys = [key for key, _ in found]
    assert keys == sorted(set(keys)), "chunks come by rising key"
    row = shards_of(env, index, NODE)[0]
    assert sum(len(value) for _, value in found) == row["disk_bytes"], "the chunks are all that the segments have"
    assert len(copied) > HEAD_BYTES and says["copy"] == head.headers["X-Millrace-Copy"], says
    assert says["chunk_bytes"] == row["disk_bytes"] and says["segments"] == row["disk_segments"], (says, row)
    assert (says["stored"], says["documents"], says["digest"]) == (row["stored"], row["documents"], row["digest"]), (says, row)
    assert chunks(env, index, says["copy"]) == found, "the same pages again"
    assert ask(env, index, "/copy", method="DELETE", copy=says["copy"]).status == 200
    for method, path in (("GET", "/copy/chunks"), ("DELETE", "/copy")):
        gone = ask(env, index, path, method=method, copy=says["copy"])
        assert gone.status == 410 and gone.json()["code"] == "copy_gone", gone


def test_copies_are_few_and_refused(env):
    index = stored_index(env)
    copies = [ask(env, index, "/copy") for _ in range(COPIES_MAX + 1)]
    assert [copy.status for copy in copies] == [200] * COPIES_MAX + [503], copies
    assert copies[-1].json()["code"] == "too_many_copies"
    assert len({told(copy.body)[0] for copy in copies[:COPIES_MAX]}) == 1, "one state, one head"
    gone = ask(env, index, "/copy/chunks", copy="0123456789abcdef")
    assert gone.status == 410 and gone.json()["code"] == "copy_gone", gone
    for arguments in ({}, {"copy": "1"}, {"copy": "0" * 16, "after": "0"}, {"copy": "0" * 16, "after": "xy"}):
        assert ask(env, index, "/copy/chunks", **arguments).status == 400, arguments
