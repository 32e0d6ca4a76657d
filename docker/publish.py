#!/usr/bin/env python3
"""Publishes NDJSON to Kafka as any outside producer would, and watches it become searchable.

    build/venv/bin/python docker/publish.py --bootstrap HOST:PORT --topic TOPIC --stats URL FILE.ndjson

Each line is a JSON object whose `id` becomes the record's key. The partitioner
is the Java client's (murmur2), which Millrace expects of producers. --stats is
the address of GET /indexes/UID/stats. The environment's MILLRACE_MASTER_KEY, if
set, is presented to it.
"""
import argparse
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request

import confluent_kafka

from progress import REDRAW_S, Progress

ID = re.compile(r"[A-Za-z0-9_-]{1,511}")
STALL_S = 120


def draw(progress, total, published, searchable, last=False):
    rate = searchable / progress.seconds()
    progress.show(searchable, total, f"{published:,} published, {searchable:,} searchable, {rate:,.0f} documents/s", last)


def read_documents(path):
    """(id, line) of each usable line, the last one for an id that occurs twice; says what is not usable."""
    documents, refused = {}, 0
    with open(path, "rb") as source:
        for number, line in enumerate(source, 1):
            line = line.strip()
            if not line:
                continue
            try:
                body = json.loads(line)
                key = str(body["id"]) if isinstance(body, dict) else ""
            except (ValueError, KeyError):
                key = ""
            if ID.fullmatch(key):
                documents.pop(key, None)
                documents[key] = line
            else:
                refused += 1
                if refused <= 5:
                    print(f"  {path}:{number}: not published: not an object with an `id` of A-Za-z0-9_-")
    if refused > 5:
        print(f"  {refused - 5} more lines were not published")
    return documents


class Searchable:
    """The number of documents in the index, asked at most every REDRAW_S."""

    def __init__(self, url):
        self.url = url
        self.asked = 0.0
        self.number = 0
        self.trouble = ""

    def ask(self):
        if time.monotonic() - self.asked < REDRAW_S:
            return self.number
        self.asked = time.monotonic()
        request = urllib.request.Request(self.url)
        if os.environ.get("MILLRACE_MASTER_KEY"):
            request.add_header("Authorization", "Bearer " + os.environ["MILLRACE_MASTER_KEY"])
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                self.number = json.load(answer)["numberOfDocuments"]
                self.trouble = ""
        except (OSError, ValueError, KeyError) as error:
            self.trouble = f": {self.url} answers {error}"
        return self.number


def publish(arguments, documents, progress, searchable):
    producer = confluent_kafka.Producer({
        "bootstrap.servers": arguments.bootstrap, "partitioner": "murmur2_random", "acks": "all",
        "enable.idempotence": True, "linger.ms": 20, "compression.type": "lz4",
        "message.max.bytes": 8388608, "log_level": 3})
    published, failures = 0, []

    def delivered(error, _message):
        nonlocal published
        if error:
            failures.append(str(error))
        else:
            published += 1

    for key, line in documents.items():
        while True:
            try:
                producer.produce(arguments.topic, key=key.encode(), value=line, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
        draw(progress, len(documents), published, searchable.ask())
        if failures:
            break
    while len(producer) and not failures:
        producer.flush(REDRAW_S)
        draw(progress, len(documents), published, searchable.ask())
    if failures:
        producer.purge()
        sys.exit(f"Kafka refused a record for {arguments.topic}: {failures[0]}")
    return published


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--stats", required=True)
    parser.add_argument("file")
    arguments = parser.parse_args()
    documents = read_documents(arguments.file)
    if not documents:
        sys.exit(f"{arguments.file} holds no document to publish")
    progress, searchable = Progress(), Searchable(arguments.stats)
    published = publish(arguments, documents, progress, searchable)
    last, moved = searchable.number, time.monotonic()
    while searchable.ask() < len(documents):
        draw(progress, len(documents), published, searchable.number)
        if searchable.number != last:
            last, moved = searchable.number, time.monotonic()
        if time.monotonic() - moved > STALL_S:
            draw(progress, len(documents), published, last, last=True)
            sys.exit(f"{last:,} of {len(documents):,} documents are searchable and none was added "
                     f"for {STALL_S} s{searchable.trouble}")
        time.sleep(REDRAW_S)
    draw(progress, len(documents), published, searchable.number, last=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
