#!/usr/bin/env python3
"""Waits until every shard has its replicas in sync and serving, and shows how far that is.

    docker/replicas.py --admin URL --rf N

--admin is the gateway's admin address; its GET /status knows what is recorded
and asks the nodes. Ends with 1 and what is missing when no replica was added
for two minutes.
"""
import argparse
import json
import sys
import time
import urllib.request

from progress import Progress

ASK_S = 0.3
STALL_S = 120
SHOWN_MAX = 5


def ask(url):
    """([shard], trouble): empty with a trouble if there is no answer."""
    try:
        with urllib.request.urlopen(f"{url}/status", timeout=15) as answer:
            return json.load(answer)["shards"], ""
    except (OSError, ValueError, KeyError) as error:
        return [], f"{url}/status answers {error}"


def ready(shard):
    return [replica for replica in shard["replicas"] if replica["in_sync"] and replica["serving"]]


def in_words(replica):
    words = [replica["node"], "in sync" if replica["in_sync"] else "not in sync", replica["state"] or "", replica["error"]]
    return " ".join(word for word in words if word)


def missing(shards, rf):
    """A line about each of the first shards that lack a replica."""
    lines = [f"{shard['uid']}/{shard['partition']}: " + ", ".join(map(in_words, shard["replicas"]))
             for shard in shards if len(ready(shard)) < rf]
    return lines[:SHOWN_MAX] + ([f"and {len(lines) - SHOWN_MAX} more shards"] if len(lines) > SHOWN_MAX else [])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--admin", required=True)
    parser.add_argument("--rf", type=int, required=True)
    arguments = parser.parse_args()
    progress, reached, moved = Progress(), -1, time.monotonic()
    while True:
        shards, trouble = ask(arguments.admin)
        total = arguments.rf * len(shards)
        now = sum(min(arguments.rf, len(ready(shard))) for shard in shards)
        done = total > 0 and now == total
        progress.show(now, total, f"{now} of {total} replicas in sync", last=done)
        if done:
            return
        if now != reached:
            reached, moved = now, time.monotonic()
        if time.monotonic() - moved > STALL_S:
            sys.exit("\n".join([f"{now} of {total} replicas are in sync and none was added for {STALL_S} s", trouble,
                                *missing(shards, arguments.rf)]))
        time.sleep(ASK_S)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
