"""Dead letters: a record of which ingest itself dies, letters of old records, topics that take little, and every offset
accounted for."""
import json
import os
import subprocess
from pathlib import Path

from children import Program, wait_until
from fleet import Topology, assert_replicas_are_fold, feeding
from fold import fold_topic
from replica_view import create_index, log_ends

HERE = Path(__file__).resolve().parent
DEATHS = 3  # SUSPECT_DEATHS
MARK = '{"id":"poison"'
DEADLY = MARK + f',"text":"{"x" * 1000}"}}'
OUTCOMES = ("indexed", "deleted", "dead_lettered", "duplicate", "imported_before", "skipped", "control")


def dead_letters(env):
    """[(message, {header: text})]"""
    return [(message, {name: (value or b"").decode() for name, value in message.headers()})
            for message in env.read_topic(f"{env.cluster}.dead-letter")]


def place_of(headers):
    return int(headers["__connect.errors.partition"]), int(headers["__connect.errors.offset"])


def counted(env, topic, names=("ingest",)):
    """{outcome: records of that topic} of these programs"""
    found = dict.fromkeys(OUTCOMES, 0)
    for name in names:
        for series, value in env.metrics(name).items():
            if series.startswith("millrace_ingest_records_total{") and f'topic="{topic}"' in series:
                found[series.split('outcome="')[1].split('"')[0]] += int(value)
    return found


def publish(producer, topic, messages):
    """[(key, value, {keyword of produce()})]; their places, in order."""
    places = [None] * len(messages)

    def delivered(number):
        def note(error, message):
            assert error is None, str(error)
            places[number] = (message.partition(), message.offset())
        return note

    for number, (key, value, more) in enumerate(messages):
        producer.produce(topic, key=key, value=value, on_delivery=delivered(number), **more)
        producer.poll(0)
    assert producer.flush(60) == 0
    return places


def deadly_library(env):
    """{variable: value} with which a program dies when it parses DEADLY."""
    library = env.directory / "crash_at.so"
    built = subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-fno-builtin", "-fno-tree-loop-distribute-patterns", "-o", library,
                            HERE / "crash_at.c"], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return {"LD_PRELOAD": str(library), "MILLRACE_CRASH_AT": MARK,
            "ASAN_OPTIONS": ":".join([*filter(None, [os.environ.get("ASAN_OPTIONS")]), "verify_asan_link_order=0"])}


class Supervisor:
    """Starts ingest again whenever it has died, as systemd would; it dies of DEADLY."""

    def __init__(self, env):
        self._env = env
        self._variables = deadly_library(env)
        self.deaths = 0

    def start(self):
        settings = [f"{name}={value}" for name, value in self._variables.items()]
        self._env.programs["ingest"] = Program("ingest", ["env", *settings, *self._env.command("ingest")],
                                               self._env.directory / "ingest.log", self._env.directory / "ingest.ready")

    def look(self):
        program = self._env.programs["ingest"]
        if program.running():
            if program.listen is None and program.ready_file.exists():
                program.wait_ready()
            return
        assert program.process.returncode == -6, f"ingest ended with {program.process.returncode}, not by abort()"
        self.deaths += 1
        assert self.deaths <= DEATHS, "ingest dies of the record for ever"
        self.start()


def test_a_record_of_which_ingest_dies(env):
    env.plan(nodes=3, rf=2)
    for name in ("rebalance", "n1", "n2", "n3", "query"):
        env.start(name, wait=False)
    for name in ("rebalance", "n1", "n2", "n3", "query"):
        env.programs[name].wait_ready()
    topology = Topology(env)
    topology.start()
    index = create_index(env, "books", 2)
    producer = env.producer()
    messages = [(f"before-{n}", json.dumps({"id": f"before-{n}", "n": n}), {}) for n in range(200)]
    messages.append(("poison", DEADLY, {}))
    messages += [(f"after-{n}", json.dumps({"id": f"after-{n}", "n": n}), {}) for n in range(200)]
    deadly = publish(producer, index.topic, messages)[200]
    supervisor = Supervisor(env)
    supervisor.start()
    ends = log_ends(env, index)

    def done():
        supervisor.look()
        fed = feeding(env)
        return all((index.topic, p) in fed and fed[index.topic, p]["received"] >= end for p, end in ends.items())

    wait_until(done, 120, "everything is fed, but for the deadly record")
    assert supervisor.deaths == DEATHS, supervisor.deaths
    shards = assert_replicas_are_fold(env, index, topology)
    skipped = [(shard.partition, offset) for shard in shards for offset in shard.skips]
    assert skipped == [deadly], (skipped, deadly)
    letters = [(message, headers) for message, headers in dead_letters(env) if place_of(headers) == deadly]
    assert len(letters) >= 1 and all(headers["millrace.error.code"] == "skipped" for _, headers in letters), letters
    assert letters[0][0].value() == DEADLY.encode() and letters[0][0].key() == b"poison"
    assert env.http("GET", "/indexes/books/documents/poison").status == 404
    assert env.http("GET", "/indexes/books/stats").json()["numberOfDocuments"] == 400
    status = env.http("GET", env.programs["ingest"].admin_url + "/status").json()
    assert status["held"] == [], status["held"]
    assert counted(env, index.topic)["skipped"] == 1, counted(env, index.topic)
    # A later version may not die of it: skipped it stays, the replicas would differ otherwise.
    assert env.programs["ingest"].terminate() == 0
    env.start("ingest")
    more = publish(producer, index.topic, [("after-all", '{"id":"after-all"}', {})])
    assert more
    assert_replicas_are_fold(env, index, topology)
    topology.finish()


test_a_record_of_which_ingest_dies.timeout_s = 300


def test_a_letter_is_kept_by_the_time_of_its_refusal(env):
    """However old the record is: retention counts from the letter's arrival, and the record's time is told in a header."""
    env.start_all()
    index = create_index(env, "books", 1)
    old = 1_500_000_000_000
    place, = publish(env.producer(), index.topic, [("bad", b"{", {"timestamp": old})])
    letter, headers = wait_until(lambda: dead_letters(env), 30, "the letter")[0]
    assert place_of(headers) == place and headers["millrace.error.code"] == "not_json"
    assert headers["millrace.timestamp"] == str(old)
    kind, written = letter.timestamp()
    assert kind == 2 and written > old + 7 * 24 * 3600 * 1000, (kind, written)  # TIMESTAMP_LOG_APPEND_TIME


def test_letters_of_a_topic_that_takes_little(env):
    """Letters that fit one by one are not cut because they were sent together."""
    env.create_topic(f"{env.cluster}.dead-letter", 1, max_message_bytes=16384)
    env.start_all()
    index = create_index(env, "books", 1)
    env.programs["ingest"].stop()
    values = [b'{"x":"' + bytes([97 + n % 26]) * (n * 97 % 12000) for n in range(300)]  # not closed
    places = publish(env.producer(), index.topic, [(f"bad-{n}", value, {}) for n, value in enumerate(values)])
    env.programs["ingest"].cont()
    wait_until(lambda: len(dead_letters(env)) >= len(values), 60, f"{len(values)} letters")
    found = {place_of(headers): (message.value(), headers) for message, headers in dead_letters(env)}
    assert set(found) == set(places)
    for place, value in zip(places, values):
        sent, headers = found[place]
        assert "millrace.truncated" not in headers, (place, len(value), len(sent))
        assert sent == value


def test_every_offset_is_accounted_for(env):
    """applied + duplicates + dead letters + skipped + markers = what the log holds, exactly, outcome by outcome."""
    env.start_all()
    index = create_index(env, "books", 2)
    contract = _contract(env)
    producer = env.producer(transactional_id=f"{env.cluster}-t", enable_idempotence=True)
    producer.init_transactions()
    for round_ in range(6):
        producer.begin_transaction()
        for n in range(50):
            id = f"d{round_}-{n}"
            key = [("idempotency-key", f"k{n // 2}".encode())] if round_ % 2 else []
            producer.produce(index.topic, key=id, value=json.dumps({"id": id, "n": n}), headers=key)
            if n % 10 == 3:
                producer.produce(index.topic, key=id, value=json.dumps({"id": id, "n": n}), headers=key)
            if n % 10 == 5:
                producer.produce(index.topic, key=id, value=json.dumps({"id": id, "n": n + 1}), headers=key)
            if n % 10 == 7:
                producer.produce(index.topic, key=id, value=None)
            if n % 25 == 0:
                producer.produce(index.topic, key=id, value="[]")
        if round_ == 4:
            producer.abort_transaction()
        else:
            producer.commit_transaction()
    ends = log_ends(env, index)
    wait_until(lambda: all(feeding(env).get((index.topic, p), {}).get("received") == end for p, end in ends.items()), 60,
               "everything is fed")
    shards = fold_topic(env.kafka.bootstrap, index)
    records = sum(shard.records for shard in shards)
    expected = {
        "dead_lettered": sum(shard.count("dead") for shard in shards),
        "duplicate": sum(shard.count("duplicate") for shard in shards),
        "control": sum(ends.values()) - records,
        "skipped": 0,
        "imported_before": 0,
    }
    assert expected["control"] > 6 and expected["dead_lettered"] >= 10, expected
    assert contract < 2 or expected["duplicate"] >= 15, expected

    def exact():
        found = counted(env, index.topic)
        return {name: found[name] for name in expected} == expected and sum(found.values()) == sum(ends.values())

    try:
        wait_until(exact, 10, "the counters say what the log says")
    except AssertionError as error:
        raise AssertionError(f"{error}: {counted(env, index.topic)}, expected {expected}, {ends}") from None


def _contract(env):
    found = 1
    for message in env.read_topic(f"{env.cluster}.meta"):
        if (message.key() or b"").startswith(b"index/") and message.value():
            found = json.loads(message.value())["rules"].get("contract", found)
    return found
