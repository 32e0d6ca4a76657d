"""Metrics of every program: Prometheus' own linter has nothing against them, and they keep our own rules."""
import functools
import json
import re
import shutil
import subprocess
from pathlib import Path

from children import wait_until
from replica_view import create_index, shards_of

ROOT = Path(__file__).resolve().parent.parent.parent
PARSER = "prometheus_client==0.26.0"
DOCUMENTS = 70_000  # so many that an empty replica is filled by replay
NODES = ("n1", "n2", "n3")
CONTROLLERS = ("rebalance", "rebalance2")
# What promtool lets through of units that are not base units.
BAD_UNITS = re.compile(r"_(msec|millis|usec|[kmg]ib|percent|pct)(_|$)")
NAME = re.compile(r"(millrace|process)_[a-z0-9]+(_[a-z0-9]+)*")
# One family at least of each program, and of a replay, whose series come about by what happens.
LABELLED = {
    "millrace_replica_received_offset": {"index", "partition"},
    "millrace_ingest_batches_in_flight": {"node"},
    "millrace_ingest_dead_letters": {"code"},
    "millrace_query_node_duration_seconds": {"node", "le"},
    "millrace_http_requests": {"route", "status"},
    "millrace_controller_replica_changes": {"change", "reason"},
    "millrace_replay_records": {"topic", "outcome"},
    "millrace_ingest_lag_seconds": {"topic", "partition"},
    "millrace_ingest_last_progress_timestamp_seconds": {"topic", "partition"},
    "millrace_visibility_seconds": {"le"},
}
READ = """
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families = [{"name": f.name, "type": f.type, "help": f.documentation,
             "samples": [[s.name, s.labels, s.value] for s in f.samples]}
            for f in text_string_to_metric_families(sys.stdin.read())]
json.dump(families, sys.stdout)
"""


@functools.cache
def parser_python():
    made = subprocess.run([ROOT / "docker" / "venv", ROOT / "build" / "venv-metrics", PARSER], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def parsed(text):
    read = subprocess.run([parser_python(), "-c", READ], input=text, capture_output=True, text=True)
    assert read.returncode == 0, read.stderr
    return json.loads(read.stdout)


@functools.cache
def promtool():
    found = subprocess.run([ROOT / "docker" / "promtool"], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def complaints(text):
    """What `promtool check metrics` says, a line each."""
    judged = subprocess.run([promtool(), "check", "metrics"], input=text, capture_output=True, text=True)
    said = (judged.stdout + judged.stderr).splitlines()
    assert bool(said) == (judged.returncode != 0), judged
    return said


def series(labels):
    return tuple(sorted(labels.items()))


def check_histogram(family):
    """Buckets rise to +Inf, which is the count."""
    by_series, counts = {}, {}
    for name, labels, value in family["samples"]:
        rest = {key: label for key, label in labels.items() if key != "le"}
        if name.endswith("_bucket"):
            by_series.setdefault(series(rest), []).append((float(labels["le"]), value))
        elif name.endswith("_count"):
            counts[series(rest)] = value
    assert set(by_series) == set(counts), family["name"]
    for key, buckets in by_series.items():
        assert buckets == sorted(buckets), (family["name"], buckets)
        assert buckets[-1] == (float("inf"), counts[key]), (family["name"], buckets)


def troubles(text):
    """What promtool complains of, and what it does not see or only we forbid."""
    found, seen = complaints(text), set()
    for family in parsed(text):
        name = family["name"]  # the parser takes _total off a counter
        if name in seen:
            found.append(f"{name}: twice")
        seen.add(name)
        if family["type"] not in ("counter", "gauge", "histogram"):
            found.append(f"{name}: type {family['type']}")
        if not NAME.fullmatch(name) or BAD_UNITS.search(name):
            found.append(f"{name}: not a good name")
        samples = [(sample, series(labels)) for sample, labels, _ in family["samples"]]
        if len(samples) != len(set(samples)):
            found.append(f"{name}: the same series twice")
        if family["type"] == "counter" and any(value < 0 for _, _, value in family["samples"]):
            found.append(f"{name}: below zero")
        if family["type"] == "histogram":
            check_histogram(family)
    return found


def test_what_is_found(_env):
    """promtool and our own rules find what they are for."""
    good = "# HELP millrace_a_total What.\n# TYPE millrace_a_total counter\nmillrace_a_total{x=\"1\"} 1\n"
    assert troubles(good) == []
    for bad, expected in [
        (good.replace("millrace_a_total", "millrace_a"), 'millrace_a counter metrics should have "_total" suffix'),
        (good.replace("# HELP millrace_a_total What.\n", ""), "millrace_a_total no help text"),
        (good.replace(" counter", " gauge"), 'millrace_a_total non-counter metrics should not have "_total" suffix'),
        (good.replace("_a_", "_a_ms_"), "millrace_a_ms_total metric names should not contain abbreviated units"),
        (good.replace("_a_", "_a_msec_"), "millrace_a_msec: not a good name"),
        (good.replace("millrace_a_total", "other_a_total"), "other_a: not a good name"),
        (good + "millrace_a_total{x=\"1\"} 2\n", "millrace_a: the same series twice"),
    ]:
        assert expected in troubles(bad), (bad, troubles(bad))


test_what_is_found.timeout_s = 900  # it may have to fetch promtool


def check_all(env):
    """{program: {family: the label names of its series}}, of every program that runs; nothing is wrong with any."""
    found = {}
    for name, program in env.programs.items():
        answer = env.http("GET", program.admin_url + "/metrics")
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4", (name, answer.headers["Content-Type"])
        text = answer.body.decode()
        assert troubles(text) == [], (name, troubles(text))
        found[name] = {family["name"]: {label for _, labels, _ in family["samples"] for label in labels} for family in parsed(text)}
    return found


def all_labelled(found):
    """What check_all has found, if of all programs together each family of LABELLED has its labels; else None."""
    labels = {}
    for families in found.values():
        for name, seen in families.items():
            labels.setdefault(name, set()).update(seen)
    differing = {name: labels.get(name) for name, wanted in LABELLED.items() if labels.get(name) != wanted}
    if differing:
        print(f"          labels: {differing}", flush=True)
    return None if differing else found


def filled(env):
    """How many replicas came in because they were level."""
    return sum(env.metrics(name).get('millrace_controller_replica_changes_total{change="in",reason="level"}', 0)
               for name in CONTROLLERS)


def test_metrics_of_every_program(env):
    env.plan(nodes=3, rf=2, ingests=2, controllers=2)
    env.start_all()
    index = create_index(env, "books", 1)
    producer = env.producer()
    for number in range(DOCUMENTS):
        producer.produce(index.topic, key=f"d{number}", value=json.dumps({"id": f"d{number}", "name": f"number {number}"}))
        producer.poll(0)
    producer.produce(index.topic, key="bad", value=b"{")
    check_all(env)  # under load: some of it is still on its way
    assert producer.flush(240) == 0

    def arrived():
        return env.http("GET", "/indexes/books/stats").json().get("numberOfDocuments") == DOCUMENTS

    wait_until(arrived, 360, "all documents are in the index")
    wait_until(lambda: any(env.metrics(name)["millrace_visibility_seconds_count"] for name in ("ingest", "ingest2")), 60,
               "somebody saw something become visible")
    wait_until(lambda: env.http("GET", "/indexes/books/search?q=number").status == 200, 60, "a search is answered")
    assert env.http("GET", "/indexes/none/search?q=number").status == 404
    holders = [node for node in NODES if shards_of(env, index, node)]
    wait_until(lambda: all(shards_of(env, index, node)[0]["stored"] > DOCUMENTS for node in holders), 240, "all of it is stored")
    emptied = holders[0]
    before = filled(env)
    env.programs[emptied].kill9()
    shutil.rmtree(env.directory / emptied)
    env.start(emptied)

    def replayed():
        return filled(env) > before and any(key.startswith("millrace_replay_records_total{") for name in CONTROLLERS
                                            for key in env.metrics(name))

    wait_until(replayed, 360, f"{emptied} is filled again")
    # The series of a shard come and go with whoever feeds it.
    found = wait_until(lambda: all_labelled(check_all(env)), 120, "the labels are those that they ought to be")
    for name, families in found.items():
        assert {"process_resident_memory_bytes", "process_cpu_seconds", "process_start_time_seconds",
                "millrace_build_info"} <= families.keys(), (name, families)


test_metrics_of_every_program.timeout_s = 1500
