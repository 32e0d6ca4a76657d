"""Figures of a snapshot: an index copied out of running nodes, beside a plain copy of the same files.

    build/venv/bin/python tests/bench/snapshot.py [--build DIR] [--runs N] [--mib N] [-o table|json]

The catalogue is published again and again under other ids until the node's
live data come to --mib (default 1024), all of it stored. Then each run takes

- snapshot: `millrace index snapshot`, from its start to its end, as a user
  would: bytes of heads and pages a second.
- verified: `millrace index snapshot --verify`, which reads all files again.
- plain: every data file of the node read by one process, sent through a
  loopback socket to another, written there, fdatasync at the end of each: bytes
  of the files a second.
- search: words of the catalogue from one keep-alive client, alone and beside a
  snapshot of its own, which is not the one that is timed.
"""
import multiprocessing
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from command import ROOT, command, source_of
from smoke import PARTITIONS, Client, percentile, publish_all, replicas_of, wait_replicas, words_of

from children import wait_until
from environment import Environment, Ports
from kafka_server import KafkaServer
from replica_view import create_index, log_ends

BLOCK = 1 << 20
MIB = 2**20


def again(documents, number):
    """The same documents under ids of their own."""
    for id, body in documents:
        other = id + b"-%d" % number
        yield other, body.replace(b'"id":"' + id + b'"', b'"id":"' + other + b'"', 1).replace(
            b'"id": "' + id + b'"', b'"id": "' + other + b'"', 1)


def files_of(env):
    return sorted(path for node in env.nodes for path in (env.directory / node).rglob("data.mdb"))


def wait_stored(env, index):
    ends = log_ends(env, index)
    wait_until(lambda: all(row["stored"] >= ends[p] for p, row in replicas_of(env, index)), 600, "all is stored")


def send_files(paths, port):
    with socket.create_connection(("127.0.0.1", port)) as line:
        block = bytearray(BLOCK)
        for path in paths:
            with open(path, "rb", buffering=0) as file:
                while count := file.readinto(block):
                    line.sendall(memoryview(block)[:count])


def plain_copy(paths, directory):
    """Seconds."""
    directory.mkdir()
    block = bytearray(BLOCK)
    with socket.create_server(("127.0.0.1", 0)) as server:
        start = time.monotonic()
        sender = multiprocessing.Process(target=send_files, args=(paths, server.getsockname()[1]))
        sender.start()
        line, _ = server.accept()
        with line:
            for number, path in enumerate(paths):
                left = path.stat().st_size
                with open(directory / str(number), "wb", buffering=0) as file:
                    while left > 0:
                        count = line.recv_into(memoryview(block)[:min(left, BLOCK)])
                        assert count > 0, f"{path} ended {left} bytes early"
                        file.write(memoryview(block)[:count])
                        left -= count
                    os.fdatasync(file.fileno())
        sender.join()
        assert sender.exitcode == 0
    seconds = time.monotonic() - start
    shutil.rmtree(directory)
    return seconds


class Searches(threading.Thread):
    """One client's searches until it is told to stop."""

    def __init__(self, env, words):
        super().__init__()
        self.client = Client(env.programs["query"].listen)
        self.words = words
        self.latencies = []
        self.enough = threading.Event()
        self.trouble = None

    def run(self):
        try:
            while not self.enough.is_set():
                for word in self.words:
                    start = time.monotonic()
                    self.client.search(word)
                    self.latencies.append((time.monotonic() - start) * 1000)
        except Exception as trouble:
            self.trouble = trouble

    def stop(self):
        self.enough.set()
        self.join()
        if self.trouble:
            raise self.trouble
        return self.latencies


def take(env, directory):
    """Seconds, bytes."""
    start = time.monotonic()
    env.millrace("index", "snapshot", "packages", directory, timeout=600)
    seconds = time.monotonic() - start
    return seconds, sum(path.stat().st_size for path in directory.iterdir())


def measure(env, words, directory):
    """{figure: value} of one run."""
    seconds, taken = take(env, directory / "snapshot")
    start = time.monotonic()
    env.millrace("index", "snapshot", "--verify", directory / "snapshot", timeout=600)
    verified = time.monotonic() - start
    shutil.rmtree(directory / "snapshot")
    files = files_of(env)
    file_bytes = sum(path.stat().st_size for path in files)
    plain = plain_copy(files, directory / "plain")

    searches = Searches(env, words)
    searches.start()
    wait_until(lambda: searches.trouble or len(searches.latencies) >= len(words), 300, "a round of searches")
    alone = searches.stop()
    searches = Searches(env, words)
    searches.start()
    try:
        take(env, directory / "beside")
    finally:
        beside = searches.stop()
    shutil.rmtree(directory / "beside")
    return {
        "files, MiB": file_bytes / MIB,
        "snapshot, MiB": taken / MIB,
        "snapshot, MiB/s": taken / MIB / seconds,
        "verified, seconds": verified,
        "snapshot, seconds": seconds,
        "plain copy, MiB/s": file_bytes / MIB / plain,
        "snapshot, of plain": taken / seconds / (file_bytes / plain),
        "search alone, p50 ms": percentile(alone, 50),
        "search alone, p99 ms": percentile(alone, 99),
        "search beside a snapshot, p50 ms": percentile(beside, 50),
        "search beside a snapshot, p99 ms": percentile(beside, 99),
    }


def load(env, documents, mib):
    """Until the live data of all replicas come to `mib`."""
    index = create_index(env, "packages", PARTITIONS)
    wait_replicas(env, index)
    number = 0
    while True:
        started, sending = multiprocessing.Pipe(duplex=False)
        publish_all(env.kafka.bootstrap, index.topic, list(again(documents, number)), sending)
        number += 1
        wait_stored(env, index)
        live = env.millrace("index", "stats", "packages", "-o", "json")["total"]["live_bytes"]
        print(f"{number * len(documents)} documents, {live / MIB:.0f} of {mib} MiB", file=sys.stderr)
        if live >= mib * MIB:
            return
        started.close()
        sending.close()


def run_all(arguments):
    documents, source = source_of()
    directory = Path(tempfile.mkdtemp(prefix="millrace-bench-"))
    ports, env = Ports(), None
    kafka = KafkaServer(ROOT, directory / "kafka", (ports.free(), ports.free()))
    runs = []
    try:
        kafka.start()
        (directory / "run").mkdir()
        env = Environment("bench", directory / "run", arguments.build, kafka, ports)
        env.plan()
        env.start_all()
        load(env, documents, arguments.mib)
        words = words_of(documents)
        for number in range(arguments.runs):
            runs.append(measure(env, words, directory))
            print(f"run {number + 1} of {arguments.runs} done", file=sys.stderr)
        troubles = env.close(clean=True)
        assert not troubles, troubles
    finally:
        if env:
            env.close(clean=False)
        for child in multiprocessing.active_children():
            child.kill()
        kafka.kill9()
        shutil.rmtree(directory, ignore_errors=True)
    return {"source": source, "partitions": PARTITIONS}, runs


if __name__ == "__main__":
    command(__doc__, {"--mib": {"type": int, "default": 1024}}, run_all)
