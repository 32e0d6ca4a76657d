"""What a log made of each document, and in what way a replica is wrong about it.

Follows a fold (fold_topic's `watch`) and keeps every state that a document went through, and the states that it would
have had if a record had been applied that was not. So a difference has a name: lost, double, stale, resurrected, or
misplaced (the right body, but created at another place of the order).
"""
from collections import Counter
from dataclasses import dataclass

from fold import APPLIED, DEAD, DUPLICATE, SKIPPED
from fold_json import merged, raw_members
from fold_record import BARRIERS, DELETE, MERGE, MERGE_IF_EXISTS

LOST, DOUBLE, STALE, RESURRECTED, MISPLACED = WRONGS = "lost", "double", "stale", "resurrected", "misplaced"
BLANKS = b" \t\n\r"


@dataclass
class Finding:
    wrong: str
    where: str
    id: bytes
    text: str

    def __str__(self):
        return f"{self.wrong}: {self.id.decode()} on {self.where}: {self.text}"


class History:
    def __init__(self):
        self._states = {}  # (partition, id) → [(offset, was it applied, body or None)]
        self._keys = {}  # (partition, offset) → key of the record there

    def watch(self, shard, record, operation):
        """After each record of the fold."""
        self._keys[shard.partition, record.offset] = record.key
        if operation is None:
            return
        applied = shard.verdicts[record.offset].outcome == APPLIED
        if operation.kind in BARRIERS:
            for id in shard.affected.get(record.offset, ()):
                self._add(shard, id, record.offset, True, None)
        elif applied:
            self._add(shard, operation.id, record.offset, True, shard.documents.get(operation.id, (None,))[0])
        else:
            self._add(shard, operation.id, record.offset, False, self._would_be(shard, operation))

    @staticmethod
    def _would_be(shard, operation):
        body = shard.documents.get(operation.id, (None,))[0]
        if operation.kind == DELETE:
            return None
        if body is not None and operation.kind in (MERGE, MERGE_IF_EXISTS):
            return merged(body, operation.body)
        return operation.body

    def _add(self, shard, id, offset, applied, body):
        body = None if body is None else body.strip(BLANKS)
        self._states.setdefault((shard.partition, id), []).append((offset, applied, body))

    def states(self, partition, id):
        return self._states.get((partition, id), [])

    def __contains__(self, place):
        """Whether the log has a record at (partition, offset)."""
        return place in self._keys

    def key_at(self, partition, offset):
        return self._keys.get((partition, offset))

    # -- what is wrong with a replica ---------------------------------------

    def findings(self, shard, listed, where):
        """[Finding] of what a replica lists ([(id, body, (timestamp, seq))]) against the fold of its partition."""
        there = {id: (body, key) for id, body, key in listed}
        found = [Finding(DOUBLE, where, id, f"listed {count} times")
                 for id, count in Counter(id for id, _, _ in listed).items() if count > 1]
        for id, (body, key) in shard.documents.items():
            if id not in there:
                found.append(Finding(LOST, where, id, self._last(shard, id)))
            elif there[id][0] != body.strip(BLANKS):
                found.append(Finding(*self._differing(shard, id, there[id][0], body.strip(BLANKS), where)))
            elif there[id][1] != key:
                found.append(Finding(MISPLACED, where, id, f"created at {there[id][1]}, the log says {key}"))
        found += [Finding(RESURRECTED, where, id, self._last(shard, id)) for id in there if id not in shard.documents]
        return found

    def _differing(self, shard, id, body, expected, where):
        """(wrong, where, id, text) of a body that is not the fold's."""
        for offset, applied, state in reversed(self.states(shard.partition, id)):
            if state == body:
                return (STALE if applied else DOUBLE), where, id, f"as of the record at {offset}; {self._last(shard, id)}"
        has, should = ({name: value for name, _, value in raw_members(text.decode())} for text in (body, expected))
        missing, more = should.keys() - has.keys(), has.keys() - should.keys()
        wrong = LOST if missing else DOUBLE if more else STALE
        return wrong, where, id, f"lacks {sorted(missing)}, has beside {sorted(more)}: {body[:300]}; {self._last(shard, id)}"

    def _last(self, shard, id):
        states = self.states(shard.partition, id)
        if not states:
            return "the log has no record of it"
        return "its last records: " + ", ".join(
            f"{shard.partition}@{offset} {'deletes' if body is None else 'writes'}{'' if applied else ', not applied'}"
            for offset, applied, body in states[-4:])


def accounts(shard, base=0):
    """{outcome: offsets}: every offset of the partition is exactly one of these."""
    counts = {outcome: shard.count(outcome) for outcome in (APPLIED, DUPLICATE, DEAD, SKIPPED)}
    counts["control"] = shard.end - base - shard.records
    assert sum(counts.values()) == shard.end - base and min(counts.values()) >= 0, counts
    return counts
