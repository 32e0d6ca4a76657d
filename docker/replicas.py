#!/usr/bin/env python3
"""Waits until every shard has its replicas in sync, and shows how far that is.

    docker/replicas.py --admin URL --rf N NODE_URL…

--admin is the gateway's admin address, which knows the indexes; each node says
which replicas it holds and which of them are active: level with the log since
they started, and not recorded as out of sync. Ends with 1 and the replicas
that are missing when none was added for a minute.
"""
import argparse
import json
import sys
import time
import urllib.request

from progress import Progress

ASK_S = 0.1
STALL_S = 60
SHOWN_MAX = 5


def ask(url):
    """The parsed answer, or None."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return None


def survey(arguments):
    """({(uid, partition): replicas wanted}, {(uid, partition): {node: state}})."""
    wanted = {}
    for index in (ask(f"{arguments.admin}/indexes?limit=1000") or {}).get("results", []):
        for partition in range(index["partitions"]):
            wanted[index["uid"], partition] = arguments.rf
    states = {shard: {} for shard in wanted}
    for url in arguments.nodes:
        answer = ask(f"{url}/shards") or {"node": url, "shards": []}
        for shard in answer["shards"]:
            states.setdefault((shard["uid"], shard["partition"]), {})[answer["node"]] = shard["state"]
    return wanted, states


def active(wanted, states):
    return sum(min(number, list(states[shard].values()).count("active")) for shard, number in wanted.items())


def missing(wanted, states):
    """A sentence about each of the first shards that lack a replica."""
    lines = []
    for (uid, partition), number in sorted(wanted.items()):
        held = states[uid, partition]
        if list(held.values()).count("active") < number:
            lines.append(f"{uid}/{partition}: " + (", ".join(f"{n} {s}" for n, s in sorted(held.items())) or "no replica"))
    return lines[:SHOWN_MAX] + ([f"and {len(lines) - SHOWN_MAX} more"] if len(lines) > SHOWN_MAX else [])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--admin", required=True)
    parser.add_argument("--rf", type=int, required=True)
    parser.add_argument("nodes", nargs="+")
    arguments = parser.parse_args()
    progress, reached, moved = None, 0, time.monotonic()
    while True:
        wanted, states = survey(arguments)
        total, now = sum(wanted.values()), active(wanted, states)
        if progress is None and wanted:
            progress = Progress()
        if progress:
            done = now == total
            progress.show(now, total, f"{now} of {total} replicas in sync", last=done)
            if done:
                return
        if now != reached:
            reached, moved = now, time.monotonic()
        if time.monotonic() - moved > STALL_S:
            sys.exit("\n".join([f"{now} of {total} replicas are in sync and none was added for {STALL_S} s",
                                *missing(wanted, states)]))
        time.sleep(ASK_S)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
