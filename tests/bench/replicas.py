"""What replicas cost a node that do nothing: memory, threads, descriptors.

    build/venv/bin/python tests/bench/replicas.py [--build DIR] [--indexes 10] [--partitions 50] [--runs N] [-o table|json]

One node, first with one replica, then with indexes x partitions of them, each
with some documents, all stored and merged as far as it goes. RSS a replica is
what the node has grown by, divided by the replicas that came; once after the
load, and once after a restart. Of the memory the anonymous part is ours, the
rest is pages of the files, which the kernel takes back when it wants.
"""
import os
import shutil
import tempfile
from pathlib import Path

from command import ROOT, command

from children import wait_until
from documents import Publisher, made
from environment import Environment, Ports
from kafka_server import KafkaServer
from replica_view import create_index, is_ready, log_ends, start_node

DOCUMENTS = 100  # of a partition
READY_S = 300


def cost_of(program):
    """{what: how much} of a process."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{program.pid}/status").read_text().splitlines())
    return {"RSS KiB": int(fields["VmRSS"].split()[0]), "anonymous KiB": int(fields["RssAnon"].split()[0]),
            "threads": int(fields["Threads"]), "descriptors": len(os.listdir(f"/proc/{program.pid}/fd"))}


def rows_of(env):
    """Of all replicas: {(index, partition): row}"""
    rows = env.http("GET", env.programs["shard"].url + "/shards", timeout=60).json()["shards"]
    return {(row["index"], row["partition"]): row for row in rows}


def wait_idle(env, indexes):
    """Until each replica has stored what its log holds and its writer rests."""
    ends = {(f"{index.id:016x}", partition): end for index in indexes for partition, end in log_ends(env, index).items()}

    def idle():
        if not is_ready(env):
            return False
        rows, metrics = rows_of(env), env.metrics("shard")
        return metrics["millrace_node_stores_in_flight"] == 0 and all(
            place in rows and rows[place]["state"] == "active" and rows[place]["stored"] >= end for place, end in ends.items())

    wait_until(idle, READY_S, f"{len(ends)} replicas are stored")
    return len(ends)


def fill(env, index):
    publisher = Publisher(env, index.topic)
    for id, body in made(DOCUMENTS * index.partitions):
        publisher.send(id, body)
    publisher.flush()


def measure(env, arguments):
    """{figure: value} of one run."""
    env.start_all()
    indexes = [create_index(env, "single", 1)]
    fill(env, indexes[0])
    wait_idle(env, indexes)
    before = cost_of(env.programs["shard"])
    for number in range(arguments.indexes):
        indexes.append(create_index(env, f"many{number}", arguments.partitions))
        fill(env, indexes[-1])
    count = wait_idle(env, indexes)
    loaded = cost_of(env.programs["shard"])
    assert env.programs["shard"].terminate(READY_S) == 0
    start_node(env)
    wait_idle(env, indexes)
    restarted = cost_of(env.programs["shard"])
    figures = {"replicas": count}
    for when, cost in (("loaded", loaded), ("restarted", restarted)):
        for what, value in cost.items():
            figures[f"{when}: {what}"] = value
            figures[f"{when}: {what} a replica"] = (value - before[what]) / (count - 1)
    return figures


def run_all(arguments):
    directory = Path(tempfile.mkdtemp(prefix="millrace-bench-"))
    ports, env = Ports(), None
    kafka = KafkaServer(ROOT, directory / "kafka", (ports.free(), ports.free()))
    runs = []
    try:
        kafka.start()
        for number in range(arguments.runs):
            place = directory / f"run{number}"
            place.mkdir()
            env = Environment(f"bench{number}", place, arguments.build, kafka, ports)
            runs.append(measure(env, arguments))
            troubles = env.close(clean=True)
            assert not troubles, troubles
    finally:
        if env:
            env.close(clean=False)
        kafka.kill9()
        shutil.rmtree(directory, ignore_errors=True)
    return {"indexes": arguments.indexes, "partitions": arguments.partitions}, runs


if __name__ == "__main__":
    command(__doc__, {"--indexes": {"type": int, "default": 10}, "--partitions": {"type": int, "default": 50}}, run_all)
