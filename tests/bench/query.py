"""Figures of searching: what the fabric adds, what sharing answers saves, what a slow replica costs, memory.

    build/venv/bin/python tests/bench/query.py [--build DIR] [--runs N] [-o table|json]

Three nodes, two replicas of each shard; every run has programs, directories
and indexes of its own on one Kafka. Nothing is compared over runs: each ratio
is of two figures of the same run, of questions asked in turn where that goes.

- idle: the memory of all programs before there is an index, Kafka not counted;
  pages that several share are counted once (PSS).
- one shard: 500 words of the catalogue, each asked of a node that has the shard
  and then of the gateway, in turn, from one keep-alive client each; the fabric
  adds the difference of the medians. The same with the cores kept awake by loops
  of the lowest priority (SCHED_IDLE): waking a sleeping core, four times more
  often through the gateway, is the machine's own cost. Then each under load from
  8 connections.
- 12 shards: the same words through the gateway.
- hot query: 100 connections ask the same thing without pause, of a gateway that
  shares answers and of one that does not. The query is the quickest of some
  short prefixes that takes at least 2 ms when asked alone.
- slow replica: 4 connections ask the 500 words without pause through a TCP
  proxy, first as it is, then with one node's questions delayed by 200 ms. Extra
  requests are hedges and retries, of all questions to nodes that were needed.
- 1,000 connections: a gateway's resident memory while they are open, each after
  a search.
"""
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from command import ROOT, command, source_of
from smoke import PARTITIONS, memory_of, percentile, publish_all, replicas_of, words_of

from children import wait_until
from environment import Environment, Ports
from kafka_server import KafkaServer
from replica_view import Line, create_index, log_ends

NODES = 3
RF = 2
ONE, MANY = "one", "packages"
ROUNDS = 3
LOAD_SECONDS = 5
LOAD_S = 600
LOAD_CONNECTIONS = 8
HOT_CONNECTIONS = 100
HOT_MS_MIN = 2
HOT_PREFIXES = ("lib", "co", "a", "li", "p", "l", "d", "th", "s", "")
SLOW_CONNECTIONS = 4
SLOW_MS = 200
OPEN_CONNECTIONS = 1000


class Load:
    """bench_load against one address."""

    def __init__(self, arguments, directory):
        self._binary = arguments.build / "bin" / "bench_load"
        self._directory = directory
        assert self._binary.exists(), f"{self._binary} is not built: cmake --build --preset release --target bench_load"

    def start(self, place, path, bodies, connections, seconds, mode=None):
        """`seconds`, or the rounds of all bodies as "3x"; without bodies it asks for the path alone."""
        file = self._directory / "bodies.ndjson"
        file.write_text("".join(json.dumps(body) + "\n" for body in bodies))
        host, port = place.rsplit(":", 1)
        command = [self._binary, host, port, path, file if bodies else "-", connections, seconds, *([mode] if mode else [])]
        return subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, place, path, bodies, connections, seconds=LOAD_SECONDS, mode=None):
        """{answers, errors, per_second, p50_ms, p99_ms}, with mode "list" also took_us"""
        output, _ = self.start(place, path, bodies, connections, seconds, mode).communicate(timeout=LOAD_S)
        result = json.loads(output)
        assert result["errors"] == 0, result
        return result


def publish(env, index, documents):
    """All documents, and every replica has them."""
    started, sending = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=publish_all, args=(env.kafka.bootstrap, index.topic, documents, sending))
    process.start()
    started.recv()
    left, _ = started.recv()
    process.join()
    assert left == 0, f"{left} records were not published"
    ends = log_ends(env, index)

    def level():
        rows = replicas_of(env, index)
        return len(rows) == index.partitions * RF and all(
            row["state"] == "active" and row["stored"] >= ends[partition] for partition, row in rows)

    wait_until(level, 300, "every replica has stored all")


def shared_memory_of(program):
    """MiB, each page shared by n processes counted as one n-th."""
    for line in Path(f"/proc/{program.pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no Pss of {program.name}")


def search_path(uid):
    return f"/indexes/{uid}/search"


def timed(line, path, body):
    """Milliseconds of one question, which must be answered."""
    start = time.perf_counter()
    status, text = line.ask("POST", path, body)
    taken = (time.perf_counter() - start) * 1000
    assert status == 200, (path, body, status, text[:300])
    return taken


def node_with(env, index):
    """A node that serves partition 0, as a program."""
    for node in env.nodes:
        status, body = Line(env.programs[node].listen).ask("GET", f"/shards?index={index.id:016x}")
        if status == 200 and any(row["partition"] == 0 and row["state"] == "active" for row in json.loads(body)["shards"]):
            return env.programs[node]
    raise AssertionError("no node serves partition 0")


def spin():
    """Runs in a process of its own: keeps a core from sleeping, and gives way to everybody."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while True:
        pass


class Awake:
    """Cores that do not sleep."""

    def __enter__(self):
        self._processes = [multiprocessing.Process(target=spin, daemon=True) for _ in range(os.cpu_count())]
        for process in self._processes:
            process.start()

    def __exit__(self, *_):
        for process in self._processes:
            process.kill()
            process.join()


def ask_in_turn(env, index, words):
    """Milliseconds of each word at a node and through the gateway."""
    direct, through = Line(node_with(env, index).listen), Line(env.programs["query"].listen)
    node_ms, gateway_ms = [], []
    for round_number in range(ROUNDS + 1):
        for word in words:
            here, there = timed(direct, "/search", of_node(index, word)), timed(through, search_path(ONE), {"q": word})
            if round_number > 0:
                node_ms.append(here)
                gateway_ms.append(there)
    return node_ms, gateway_ms


def of_node(index, word):
    return {"shards": [{"index": f"{index.id:016x}", "partitions": [0]}], "q": word, "limit": 20}


def measure_fabric(env, index, words, load):
    node, gateway = node_with(env, index), env.programs["query"]
    node_ms, gateway_ms = ask_in_turn(env, index, words)
    with Awake():
        awake_node_ms, awake_gateway_ms = ask_in_turn(env, index, words)
    of_nodes = load.run(node.listen, "/search", [of_node(index, word) for word in words], LOAD_CONNECTIONS)
    of_gateway = load.run(gateway.listen, search_path(ONE), [{"q": word} for word in words], LOAD_CONNECTIONS)
    return {
        "one shard, at the node, p50 ms": percentile(node_ms, 50),
        "one shard, at the node, p99 ms": percentile(node_ms, 99),
        "one shard, gateway, p50 ms": percentile(gateway_ms, 50),
        "one shard, gateway, p99 ms": percentile(gateway_ms, 99),
        "the fabric adds, p50 ms": percentile(gateway_ms, 50) - percentile(node_ms, 50),
        "cores kept awake: at the node, p50 ms": percentile(awake_node_ms, 50),
        "cores kept awake: the fabric adds, p50 ms": percentile(awake_gateway_ms, 50) - percentile(awake_node_ms, 50),
        f"one shard, at the node, {LOAD_CONNECTIONS} connections, queries/s": of_nodes["per_second"],
        f"one shard, gateway, {LOAD_CONNECTIONS} connections, queries/s": of_gateway["per_second"],
    }


def measure_shards(env, words, load):
    line = Line(env.programs["query"].listen)
    taken = [timed(line, search_path(MANY), {"q": word}) for _ in range(ROUNDS + 1) for word in words][len(words):]
    loaded = load.run(env.programs["query"].listen, search_path(MANY), [{"q": word} for word in words], LOAD_CONNECTIONS)
    return {
        f"{PARTITIONS} shards, gateway, p50 ms": percentile(taken, 50),
        f"{PARTITIONS} shards, gateway, p99 ms": percentile(taken, 99),
        f"{PARTITIONS} shards, gateway, {LOAD_CONNECTIONS} connections, queries/s": loaded["per_second"],
        f"{PARTITIONS} shards, gateway, {LOAD_CONNECTIONS} connections, p99 ms": loaded["p99_ms"],
    }


def start_gateway(env, name, settings):
    """A second gateway; its address."""
    places = {"query.listen": f"127.0.0.1:{env.ports.free()}", "query.admin": f"127.0.0.1:{env.ports.free()}"}
    return env.start("query", {**places, **settings}, name=name)


def hot_query(env):
    """(prefix, milliseconds) of the quickest prefix that takes HOT_MS_MIN, else of the slowest."""
    line = Line(env.programs["query"].listen)
    found = []
    for prefix in HOT_PREFIXES:
        taken = [timed(line, search_path(MANY), {"q": prefix}) for _ in range(30)]
        found.append((statistics.median(taken), prefix))
    slow = [one for one in found if one[0] >= HOT_MS_MIN]
    taken, prefix = min(slow) if slow else max(found)
    return prefix, taken


def flights_of(env, name):
    metrics = env.metrics(name)
    return sum(metrics[f'millrace_search_coalesced_total{{result="{result}"}}'] for result in ("fired", "alone"))


def measure_hot(env, load):
    prefix, taken = hot_query(env)
    apart = start_gateway(env, "query-apart", {"query.coalesce_ms": 0, "query.timeout_ms": 30000})
    body = [{"q": prefix}]
    before = flights_of(env, "query")
    together_load = load.run(env.programs["query"].listen, search_path(MANY), body, HOT_CONNECTIONS)
    flights = flights_of(env, "query") - before
    apart_load = load.run(apart.listen, search_path(MANY), body, HOT_CONNECTIONS)
    assert apart.terminate() == 0
    return {
        "hot query, alone, p50 ms": taken,
        f"hot query, {HOT_CONNECTIONS} connections, shared, queries/s": together_load["per_second"],
        f"hot query, {HOT_CONNECTIONS} connections, shared, p99 ms": together_load["p99_ms"],
        f"hot query, {HOT_CONNECTIONS} connections, not shared, queries/s": apart_load["per_second"],
        f"hot query, {HOT_CONNECTIONS} connections, not shared, p99 ms": apart_load["p99_ms"],
        "hot query, shared : not shared": together_load["per_second"] / apart_load["per_second"],
        "hot query, searches a flight": together_load["answers"] / flights,
    }


def measure_connections(env, words, load):
    gateway = start_gateway(env, "query-open", {"query.timeout_ms": 30000})
    before, _ = memory_of(gateway)
    process = load.start(gateway.listen, search_path(MANY), [{"q": word} for word in words], OPEN_CONNECTIONS, 1, "hold")
    result = json.loads(process.stdout.readline())
    after, peak = memory_of(gateway)
    process.communicate(timeout=30)
    assert result["answers"] == OPEN_CONNECTIONS and result["errors"] == 0, result
    assert gateway.terminate() == 0
    return {
        "gateway started, RSS MiB": before,
        f"gateway with {OPEN_CONNECTIONS} connections, RSS MiB": after,
        f"gateway with {OPEN_CONNECTIONS} connections, peak RSS MiB": peak,
    }


def questions_of(env):
    """(all questions to nodes, those beyond what was needed)"""
    metrics = env.metrics("query")
    legs = sum(value for name, value in metrics.items() if name.startswith("millrace_query_legs_total"))
    return legs, metrics['millrace_query_hedges_total{result="sent"}'] + metrics["millrace_query_retries_total"]


def measure_slow(env, words, load):
    place, path, bodies = env.programs["query"].listen, search_path(MANY), [{"q": word} for word in words]
    load.run(place, path, bodies, SLOW_CONNECTIONS)
    well = load.run(place, path, bodies, SLOW_CONNECTIONS)
    env.proxy.set("n1", "delay", ms=SLOW_MS, source="query")
    before = questions_of(env)
    slow = load.run(place, path, bodies, SLOW_CONNECTIONS)
    after = questions_of(env)
    env.proxy.clear()
    legs, extra = after[0] - before[0], after[1] - before[1]
    return {
        "through the proxy, p50 ms": well["p50_ms"],
        "through the proxy, p99 ms": well["p99_ms"],
        f"one node {SLOW_MS} ms late, p50 ms": slow["p50_ms"],
        f"one node {SLOW_MS} ms late, p99 ms": slow["p99_ms"],
        "one node late, p99 : without": slow["p99_ms"] / well["p99_ms"],
        "one node late, extra requests %": 100 * extra / (legs - extra),
    }


def measure_plain(env, documents, words, load):
    env.plan(nodes=NODES, rf=RF)
    programs = env.start_all()
    figures = {"idle, all programs, MiB": sum(shared_memory_of(program) for program in programs)}
    one, many = create_index(env, ONE, 1), create_index(env, MANY, PARTITIONS)
    for index in (one, many):
        publish(env, index, documents)
    figures.update(measure_fabric(env, one, words, load))
    figures.update(measure_shards(env, words, load))
    figures.update(measure_hot(env, load))
    figures.update(measure_connections(env, words, load))
    return figures


def measure_proxied(env, documents, words, load):
    env.plan(nodes=NODES, rf=RF, proxied=True)
    env.start_all()
    index = create_index(env, MANY, PARTITIONS)
    publish(env, index, documents)
    return measure_slow(env, words, load)


def run_all(arguments):
    documents, source = source_of(arguments.documents)
    directory = Path(tempfile.mkdtemp(prefix="millrace-bench-"))
    ports, env, runs = Ports(), None, []
    kafka = KafkaServer(ROOT, directory / "kafka", (ports.free(), ports.free()))
    load = Load(arguments, directory)
    words = words_of(documents)
    try:
        kafka.start()
        for number in range(arguments.runs):
            figures = {}
            for name, measure in (("plain", measure_plain), ("proxied", measure_proxied)):
                place = directory / f"{name}{number}"
                place.mkdir()
                env = Environment(f"bench-{name}{number}", place, arguments.build, kafka, ports)
                figures.update(measure(env, documents, words, load))
                troubles = env.close(clean=True)
                env = None
                assert not troubles, troubles
                shutil.rmtree(place)
            runs.append(figures)
            print(f"run {number + 1} of {arguments.runs} done", file=sys.stderr)
    finally:
        if env:
            env.close(clean=False)
        for child in multiprocessing.active_children():
            child.kill()
        kafka.kill9()
        shutil.rmtree(directory, ignore_errors=True)
    return {"documents": len(documents), "source": source, "nodes": NODES, "RF": RF}, runs


if __name__ == "__main__":
    command(__doc__, {"--documents": {"type": int, "help": "only so many"}}, run_all)
