"""Figures of feeding: from Kafka to batches, without a node and without HTTP.

    build/venv/bin/python tests/bench/ingest.py [--build DIR] [--runs N] [--records N] [-o table|json]

One Kafka, two topics of one partition with records of 1 KB: without
identities, and each with a random idempotency key. bench_ingest (ingest.c)
feeds them as millrace-ingest does, through the real reader, feeder, batches
and table of identities, for a replica that takes every batch at once. Every
stage is a process of its own; each run has all stages.

- bare: what a librdkafka consumer that looks at nothing takes for the same
  topic in the same run. "of bare" is the rate by that rate, by the clock.
- a core: records by the CPU time of the feeding thread, which is the one that
  bounds a program; "the program": by that of all threads, librdkafka's too.
  On a loaded machine these two say more than the clock.
- the window's share: of the feeding thread's CPU time what goes when the same
  topic is fed under rules without a window.
- take-over: from the replica's answer until the first record may be read, the
  identities coming from this process page by page: a node's time and the
  network's are not in it.
- flood: the replica never answers, the reader reads on. What the feeder holds
  then, of ingest.memory; and by how much the process has grown, which is that,
  the window's part in memory and what librdkafka reads ahead.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from command import ROOT, command

from confluent_kafka.admin import AdminClient, NewTopic
from environment import Ports
from kafka_server import KafkaServer

WINDOW = 1000000
IDENTITIES = 1000000
STAGE_S = 600


class Bench:
    """The stages of bench_log and bench_ingest, with one configuration."""

    def __init__(self, build, directory, kafka):
        self._programs = build / "bin"
        self._file = directory / "millrace.yaml"
        self._file.write_text(f'kafka: {{bootstrap.servers: "{kafka.bootstrap}"}}\n'
                              f'ingest: {{data: "{directory / "table"}"}}\n')

    def run(self, program, stage, topic, *numbers):
        done = subprocess.run([self._programs / program, stage, topic, *map(str, numbers)], stdout=subprocess.PIPE, timeout=STAGE_S, check=True,
                              env={**os.environ, "MILLRACE_CONFIG": str(self._file)})
        return json.loads(done.stdout)


def rate(result, clock):
    return result["records"] / result[clock]


def figures_of_topic(bench, topic, records):
    """{figure: value}, and the result of feeding."""
    bare = bench.run("bench_log", "bare", topic, records)
    fed = bench.run("bench_ingest", "feed", topic, records, WINDOW)
    assert fed["refused"] == fed["duplicates"] == 0, fed
    return {
        "bare, records/s": rate(bare, "seconds"),
        "fed, records/s": rate(fed, "seconds"),
        "fed, of bare": rate(fed, "seconds") / rate(bare, "seconds"),
        "fed, records/s a core": rate(fed, "thread_seconds"),
        "bare, records/s a core of the program": rate(bare, "process_seconds"),
        "fed, records/s a core of the program": rate(fed, "process_seconds"),
        "fed, of bare by CPU of the program": rate(fed, "process_seconds") / rate(bare, "process_seconds"),
        "fed, peak RSS MiB": fed["peak_kb"] / 1024,
    }, fed


def measure(bench, records):
    """{figure: value} of one run."""
    figures = {}
    plain, _ = figures_of_topic(bench, "plain", records)
    figures.update({f"without identities: {name}": value for name, value in plain.items()})
    keyed, fed = figures_of_topic(bench, "keyed", records)
    figures.update({f"random identities: {name}": value for name, value in keyed.items()})
    blind = bench.run("bench_ingest", "feed", "keyed", records, 0)
    figures["random identities: the window's share of CPU"] = 1 - blind["thread_seconds"] / fed["thread_seconds"]
    figures["random identities: window in memory, MiB"] = fed["window_bytes"] / 2**20
    figures["random identities: window on disk, MiB"] = fed["window_stored_bytes"] / 2**20
    taken = bench.run("bench_ingest", "takeover", "none", IDENTITIES, WINDOW)
    figures[f"take-over with {IDENTITIES} identities, s"] = taken["seconds"]
    figures[f"take-over with {IDENTITIES} identities, CPU s"] = taken["process_seconds"]
    flood = bench.run("bench_ingest", "flood", "keyed", records, WINDOW)
    assert flood["full"], "memory was not full: more records are needed"
    figures["flood: held by the feeder, MiB"] = flood["feeder_bytes"] / 2**20
    figures["flood: of its bound"] = flood["feeder_bytes"] / flood["feeder_bytes_max"]
    figures["flood: the process has grown by, MiB"] = (flood["peak_kb"] - flood["before_kb"]) / 1024
    return figures


def run_all(arguments):
    directory = Path(tempfile.mkdtemp(prefix="millrace-bench-"))
    ports = Ports()
    kafka = KafkaServer(ROOT, directory / "kafka", (ports.free(), ports.free()))
    runs = []
    try:
        kafka.start()
        admin = AdminClient(kafka.client())
        for future in admin.create_topics([NewTopic(topic, 1, 1) for topic in ("plain", "keyed")]).values():
            future.result()
        bench = Bench(arguments.build, directory, kafka)
        bench.run("bench_log", "produce", "plain", arguments.records, 0)
        bench.run("bench_log", "produce", "keyed", arguments.records, 1)
        for number in range(arguments.runs):
            runs.append(measure(bench, arguments.records))
            print(f"run {number + 1} of {arguments.runs} done", file=sys.stderr)
    finally:
        kafka.kill9()
        shutil.rmtree(directory, ignore_errors=True)
    return {"records of 1 KB in each topic": arguments.records}, runs


if __name__ == "__main__":
    command(__doc__, {"--records": {"type": int, "default": 1000000}}, run_all)
