"""Metrics of every program: Prometheus' own parser reads them, and they keep its naming rules."""
import json
import re
import subprocess
from pathlib import Path

from children import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
PARSER = "prometheus_client==0.26.0"
DOCUMENTS = 2000
# As `promtool check metrics` has it: base units, no abbreviations.
BAD_UNITS = re.compile(r"_(ms|msec|millis\w*|milliseconds|us|usec|microseconds|ns|nanoseconds|minutes|hours|days|kb|mb|gb|"
                       r"kib|mib|gib|kilobytes|megabytes|gigabytes|percent|pct)(_|$)")
NAME = re.compile(r"(millrace|process)_[a-z0-9]+(_[a-z0-9]+)*")
READ = """
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families = [{"name": f.name, "type": f.type, "help": f.documentation,
             "samples": [[s.name, s.labels, s.value] for s in f.samples]}
            for f in text_string_to_metric_families(sys.stdin.read())]
json.dump(families, sys.stdout)
"""


def parser_python():
    made = subprocess.run([ROOT / "docker" / "venv", ROOT / "build" / "venv-metrics", PARSER], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def parsed(text):
    read = subprocess.run([parser_python(), "-c", READ], input=text, capture_output=True, text=True)
    assert read.returncode == 0, read.stderr
    return json.loads(read.stdout)


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
    """What promtool would complain of, and what our own rules forbid."""
    found, seen = [], set()
    for family in parsed(text):
        name = family["name"]  # the parser takes _total off a counter
        whole = name + ("_total" if family["type"] == "counter" else "")
        if name in seen:
            found.append(f"{name}: twice")
        seen.add(name)
        if not family["help"].strip():
            found.append(f"{name}: no HELP")
        if family["type"] not in ("counter", "gauge", "histogram"):
            found.append(f"{name}: type {family['type']}")
        if not NAME.fullmatch(name) or BAD_UNITS.search(name):
            found.append(f"{name}: not a good name")
        if family["type"] != "counter" and re.search(r"_(total|count|sum|bucket)$", name):
            found.append(f"{name}: the suffix is reserved")
        if family["type"] == "counter" and f"# TYPE {whole} counter" not in text:
            found.append(f"{whole}: a counter ends in _total")
        if re.search(r"_(counter|gauge|histogram)(_|$)", name):
            found.append(f"{name}: the type does not belong in the name")
        samples = [(sample, series(labels)) for sample, labels, _ in family["samples"]]
        if len(samples) != len(set(samples)):
            found.append(f"{name}: the same series twice")
        if family["type"] == "counter" and any(value < 0 for _, _, value in family["samples"]):
            found.append(f"{name}: below zero")
        if family["type"] == "histogram":
            check_histogram(family)
    return found


def test_what_is_found(_env):
    """The rules find what they are for."""
    good = "# HELP millrace_a_total What.\n# TYPE millrace_a_total counter\nmillrace_a_total{x=\"1\"} 1\n"
    assert troubles(good) == []
    for bad, expected in [
        (good.replace("millrace_a_total", "millrace_a"), "millrace_a_total: a counter ends in _total"),
        (good.replace("# HELP millrace_a_total What.\n", ""), "millrace_a: no HELP"),
        (good + "millrace_a_total{x=\"1\"} 2\n", "millrace_a: the same series twice"),
        (good.replace("_a_", "_a_ms_"), "millrace_a_ms: not a good name"),
        (good.replace("millrace_a_total", "other_a_total"), "other_a: not a good name"),
        (good.replace(" counter", " gauge"), "millrace_a_total: the suffix is reserved"),
    ]:
        assert expected in troubles(bad), (bad, troubles(bad))


def test_metrics_of_every_program(env):
    env.plan(nodes=3, rf=2, ingests=2, controllers=2)
    env.start_all()
    env.millrace("index", "create", "books", "--primary-key", "id", "--partitions", "4", "--wait")
    topic = env.millrace("index", "ls", "-o", "json")["results"][0]["topic"]
    producer = env.producer()
    for number in range(DOCUMENTS):
        producer.produce(topic, key=f"d{number}", value=json.dumps({"id": f"d{number}", "name": f"number {number}"}))
        producer.poll(0)
    producer.produce(topic, key="bad", value=b"{")
    for name, program in env.programs.items():  # under load: some of it is still on its way
        answer = env.http("GET", program.admin_url + "/metrics")
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4", (name, answer.headers["Content-Type"])
        assert troubles(answer.body.decode()) == [], (name, troubles(answer.body.decode()))
    assert producer.flush(30) == 0

    def arrived():
        return env.http("GET", "/indexes/books/stats").json().get("numberOfDocuments") == DOCUMENTS

    wait_until(arrived, 60, "all documents are in the index")
    assert env.http("GET", "/indexes/books/search?q=number").status == 200
    for name, program in env.programs.items():
        text = env.http("GET", program.admin_url + "/metrics").body.decode()
        assert troubles(text) == [], (name, troubles(text))
        families = {family["name"] for family in parsed(text)}
        assert {"process_resident_memory_bytes", "process_cpu_seconds", "process_start_time_seconds",
                "millrace_build_info"} <= families, (name, families)
