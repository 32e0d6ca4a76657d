"""Dead letters: a record of which ingest itself dies, letters of old records, topics that take little, and every offset
accounted for."""
import http.client
import json
import os
import shutil
import subprocess
from pathlib import Path

from children import Program, wait_until
from fleet import Topology, assert_replicas_are_fold, feeding, wait_whole
from fold import fold_topic
from replica_view import create_index, log_ends
from test_feeding import whole

HERE = Path(__file__).resolve().parent
DEATHS = 3  # SUSPECT_DEATHS
JOIN_LAG = 65_536 + 1000  # more than MARKS_JOIN_LAG: a replay fills a new replica before live feeding takes it over
MARK = '{"id":"poison"'
DEADLY = MARK + f',"text":"{"x" * 1000}"}}'
OUTCOMES = ("indexed", "deleted", "dead_lettered", "duplicate", "imported_before", "skipped", "control")


def dead_letters(env):
    """[(message, {header: text})]"""
    return [(message, {name: (value or b"").decode() for name, value in message.headers()})
            for message in env.read_topic(f"{env.cluster}.dead-letter")]


def place_of(headers):
    return int(headers["__connect.errors.partition"]), int(headers["__connect.errors.offset"])


def letter_places(env):
    """{(partition, offset)} of the records that have letters"""
    return {place_of(headers) for _, headers in dead_letters(env)}


def counted(env, topic, names=("ingest",)):
    """{outcome: records of that topic} of these programs"""
    found = dict.fromkeys(OUTCOMES, 0)
    for name in names:
        for series, value in env.metrics(name).items():
            if series.startswith("millrace_ingest_records_total{") and f'topic="{topic}"' in series:
                found[series.split('outcome="')[1].split('"')[0]] += int(value)
    return found


def agree(env, found, expected):
    """Exactly; at least, when a program stood still with the machine: what it is not sure of is read again."""
    again = env.stood_still("ingest", "shard")
    return all(found[name] == count or (again and found[name] > count) for name, count in expected.items())


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
    """Starts a program again whenever it has died, as systemd would; it dies of DEADLY."""

    def __init__(self, env, name="ingest"):
        self._env = env
        self._name = name
        self._variables = deadly_library(env)
        self.deaths = 0

    def start(self):
        settings = [f"{name}={value}" for name, value in self._variables.items()]
        self._env.programs[self._name] = Program(
            self._name, ["env", *settings, *self._env.command(self._name)], self._env.directory / f"{self._name}.log",
            self._env.directory / f"{self._name}.ready")

    def look(self):
        program = self._env.programs[self._name]
        if program.running():
            if program.listen is None and program.ready_file.exists():
                program.wait_ready()
            return
        assert program.process.returncode == -6, f"{self._name} ended with {program.process.returncode}, not by abort()"
        self.deaths += 1
        assert self.deaths <= DEATHS, f"{self._name} dies of the record for ever"
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
        if env.programs["ingest"].listen is None:
            return False
        fed = feeding(env)
        return all((index.topic, p) in fed and fed[index.topic, p]["received"] >= end for p, end in ends.items())

    wait_until(done, 180, "everything is fed, but for the deadly record")
    assert supervisor.deaths == DEATHS, supervisor.deaths
    shards = assert_replicas_are_fold(env, index, topology)
    skipped = [(shard.partition, offset) for shard in shards for offset in shard.skips]
    assert skipped == [deadly], (skipped, deadly)
    letters = [(message, headers) for message, headers in dead_letters(env) if place_of(headers) == deadly]
    assert len(letters) >= 1 and all(headers["millrace.error.code"] == "skipped" for _, headers in letters), letters
    assert letters[0][0].value() == DEADLY.encode() and letters[0][0].key() == b"poison"
    assert all(headers["millrace.attempts"] == str(DEATHS) for _, headers in letters), letters
    assert whole(env, "GET", "/indexes/books/documents/poison").status == 404
    wait_documents(env, 400)
    wait_until(lambda: held_by(env, "ingest") == [], 30, "no record is waited before")
    wait_until(lambda: counted(env, index.topic)["skipped"] == 1, 30, "one record is counted as skipped")
    # A later version may not die of it: skipped it stays, the replicas would differ otherwise.
    assert env.programs["ingest"].terminate() == 0
    env.start("ingest")
    more = publish(producer, index.topic, [("after-all", '{"id":"after-all"}', {})])
    assert more
    assert_replicas_are_fold(env, index, topology)
    topology.finish()


test_a_record_of_which_ingest_dies.timeout_s = 600


def around_deadly(after):
    """Messages on 201 documents; the hundred and first is deadly."""
    def plain(name, count):
        return [(f"{name}-{n % 100}", json.dumps({"id": f"{name}-{n % 100}", "n": n}), {}) for n in range(count)]

    return [*plain("before", 100), ("poison", DEADLY, {}), *plain("after", after)]


def empty(env, node, program):
    """Ends that node and the program, takes the node's disk away, and lets a program that dies of DEADLY begin."""
    assert env.programs[node].terminate() == 0
    if env.programs[program].running():
        assert env.programs[program].terminate() == 0
    shutil.rmtree(env.directory / node)
    supervisor = Supervisor(env, program)
    supervisor.start()
    env.start(node)
    return supervisor


def wait_documents(env, count):
    wait_until(lambda: env.http("GET", "/indexes/books/stats").json()["numberOfDocuments"] == count, 30, f"{count} documents")


def held_by(env, name):
    return env.http("GET", env.programs[name].admin_url + "/status").json().get("held", [])


def all_committed(env, index):
    ends = log_ends(env, index)
    fed = feeding(env)
    return all((index.topic, p) in fed and fed[index.topic, p]["committed"] == end for p, end in ends.items())


def test_a_deadly_record_below_what_is_committed(env):
    """It was applied by a replica that is no more: ingest dies of it while it fills the next one, has it skipped, and writes its
    letter, though no letter is written of other records there, because they have theirs."""
    env.plan(nodes=1, rf=1)
    env.start_all()
    topology = Topology(env)
    topology.start()
    index = create_index(env, "books", 1)
    messages = [("no-json", "{", {}), *around_deadly(100)]
    deadly = publish(env.producer(), index.topic, messages)[101]
    wait_until(lambda: all_committed(env, index), 90, "everything is committed")
    assert letter_places(env) == {(deadly[0], deadly[1] - 101)}
    supervisor = empty(env, "n1", "ingest")

    def filled():
        supervisor.look()
        return env.programs["ingest"].listen is not None and len(letter_places(env)) == 2 and all_committed(env, index)

    wait_until(filled, 180, "the new replica has all but the deadly record, which has a letter")
    assert supervisor.deaths == DEATHS, supervisor.deaths
    shards = assert_replicas_are_fold(env, index, topology)
    assert [(shard.partition, offset) for shard in shards for offset in shard.skips] == [deadly]
    letter, headers = next(one for one in dead_letters(env) if place_of(one[1]) == deadly)
    assert letter.value() == DEADLY.encode() and letter.key() == b"poison"
    assert (headers["millrace.error.code"], headers["millrace.attempts"]) == ("skipped", str(DEATHS)), headers
    wait_documents(env, 200)
    wait_until(lambda: held_by(env, "ingest") == [], 30, "no record is waited before")
    topology.finish()


test_a_deadly_record_below_what_is_committed.timeout_s = 600


def assert_held(env, supervisor, name, topic, deadly):
    """The program waits before the record, has asked for the skip, and was refused it; its row."""
    def held():
        supervisor.look()
        if env.programs[name].listen is None:
            return []
        try:
            rows = held_by(env, name)
        except (OSError, http.client.HTTPException):
            return []  # it has died since
        return [row for row in rows if row["task"] >= 0]

    def judged():
        """Its row, and the controller's answer; a node that was silent then is asked for again."""
        row = next(iter(held()), None)
        task = row and env.http("GET", f"/tasks/{row['task']}").json()
        final = task and task.get("status") in ("failed", "succeeded") and (task["error"] or {}).get("code") != "replica_silent"
        return (row, task) if final else None

    row, task = wait_until(judged, 240, f"{name} waits before the record, and the controller has answered")
    assert supervisor.deaths == DEATHS, supervisor.deaths
    assert (row["topic"], row["partition"], row["offset"], row["deaths"]) == (topic, *deadly, DEATHS), row
    assert task["status"] == "failed" and "has applied it" in task["error"]["message"], task
    told = f"millrace-{name} died {DEATHS} times of the record at offset {deadly[1]} of {topic}"
    wait_until(lambda: told in env.millrace("status").stdout, 60, f"`millrace status` says: {told}")

    def doctor():
        return [row for row in json.loads(env.millrace("doctor", "-o", "json", check=False).stdout) if told in row["found"]]

    found, = wait_until(doctor, 60, "so does doctor")
    assert found["verdict"] == "error" and row["file"] in found["remedy"] and f"/tasks/{row['task']}" in found["remedy"], found
    return row


def assert_goes_on(env, producer, index):
    """The other replica is fed and answers; nothing was skipped, and no letter written."""
    publish(producer, index.topic, [("after-all", '{"id":"after-all"}', {})])
    wait_until(lambda: env.http("GET", "/indexes/books/documents/after-all").status == 200, 60, "the new document is found")
    assert dead_letters(env) == []


def mend(env, name, row):
    """A version that can read it begins, and the file that is named is deleted."""
    assert env.programs[name].terminate() == 0
    (env.directory / row["file"]).unlink()
    env.start(name)


def test_a_replay_that_must_not_skip(env):
    """A replica has the record: the controller lives on with that replay held, and a version that can read it fills it."""
    env.plan(nodes=2, rf=2)
    env.start_all()
    topology = Topology(env)
    topology.start()
    index = create_index(env, "books", 1)
    producer = env.producer()
    deadly = publish(producer, index.topic, around_deadly(JOIN_LAG))[100]
    wait_until(lambda: all_committed(env, index), 180, "everything is committed")
    supervisor = empty(env, "n2", "rebalance")
    row = assert_held(env, supervisor, "rebalance", index.topic, deadly)
    assert_goes_on(env, producer, index)
    create_index(env, "others", 1)
    mend(env, "rebalance", row)
    wait_whole(env, index, topology, 180)
    shards = assert_replicas_are_fold(env, index, topology)
    assert [offset for shard in shards for offset in shard.skips] == []
    wait_documents(env, 202)
    topology.finish()


test_a_replay_that_must_not_skip.timeout_s = 900


def test_a_replica_that_must_not_skip(env):
    """Live feeding dies of what only one replica has still to get: that one waits, the other is fed."""
    env.plan(nodes=2, rf=2)
    env.start_all()
    topology = Topology(env)
    topology.start()
    index = create_index(env, "books", 1)
    producer = env.producer()
    deadly = publish(producer, index.topic, around_deadly(100))[100]
    wait_until(lambda: all_committed(env, index), 60, "everything is committed")
    supervisor = empty(env, "n2", "ingest")
    row = assert_held(env, supervisor, "ingest", index.topic, deadly)
    while row["lane"] != "behind":  # n1 came late with its answer, when the other was fed already
        env.programs["ingest"].kill9()
        supervisor.start()
        row = assert_held(env, supervisor, "ingest", index.topic, deadly)
    assert_goes_on(env, producer, index)
    mend(env, "ingest", row)
    assert_replicas_are_fold(env, index, topology)
    wait_documents(env, 202)
    topology.finish()


test_a_replica_that_must_not_skip.timeout_s = 600


def test_a_letter_is_kept_by_the_time_of_its_refusal(env):
    """However old the record is: retention counts from the letter's arrival, and the record's time is told in a header."""
    env.start_all()
    index = create_index(env, "books", 1)
    old = 1_500_000_000_000
    place, = publish(env.producer(), index.topic, [("bad", b"{", {"timestamp": old})])
    letter, headers = wait_until(lambda: dead_letters(env), 60, "the letter")[0]
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
    wait_until(lambda: set(places) <= {place_of(headers) for _, headers in dead_letters(env)}, 120, f"{len(values)} letters")
    found = {place_of(headers): (message.value(), headers) for message, headers in dead_letters(env)}
    assert set(found) == set(places)
    for place, value in zip(places, values):
        sent, headers = found[place]
        assert "millrace.truncated" not in headers, (place, len(value), len(sent))
        assert sent == value
    # The topic was not made by Millrace: doctor says what that means, with the command that mends it.
    topic = f"{env.cluster}.dead-letter"
    rows = [row for row in json.loads(env.millrace("doctor", "-o", "json", check=False).stdout) if row["check"] == topic]
    warned, = [row for row in rows if "CreateTime" in row["found"]]
    assert warned["verdict"] == "warning" and warned["remedy"].startswith("kafka-configs.sh "), warned
    words = warned["remedy"].split()
    assert words[words.index("--bootstrap-server") + 1] == env.kafka.bootstrap and topic in words, words
    assert words[words.index("--add-config") + 1] == "message.timestamp.type=LogAppendTime", words


def test_every_offset_is_accounted_for(env):
    """applied + duplicates + dead letters + skipped + markers = what the log holds, exactly, outcome by outcome."""
    env.start_all()
    index = create_index(env, "books", 2)
    contract = _contract(env)
    producer = env.producer(transactional_id=f"{env.cluster}-t", enable_idempotence=True)
    producer.init_transactions(60)
    rounds, sent = 6, 0
    for round_ in range(rounds):
        producer.begin_transaction()
        for n in range(50):
            id = f"d{round_}-{n}"
            document, changed = json.dumps({"id": id, "n": n}), json.dumps({"id": id, "n": n + 1})
            key = [("idempotency-key", f"k{n // 2}".encode())] if round_ % 2 else []
            values = [document] + [document] * (n % 10 == 3) + [changed] * (n % 10 == 5)
            values += [None] * (n % 10 == 7) + ["[]"] * (n % 25 == 0)
            for value in values:
                producer.produce(index.topic, key=id, value=value, headers=key if value in (document, changed) else [])
            sent += len(values)
        if round_ == 4:
            # What is aborted stands in the log first: librdkafka's abort does not wait for the partitions that it is still
            # adding, and Kafka then refuses to end what it has not begun.
            assert producer.flush(60) == 0
            producer.abort_transaction(60)
        else:
            producer.commit_transaction(60)
    # Kafka writes the markers, one a partition and transaction, a moment after it has promised them.
    wait_until(lambda: sum(log_ends(env, index).values()) == sent + rounds * index.partitions, 30, "all markers are written")
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
    assert expected["control"] == rounds * index.partitions + sent // rounds and expected["dead_lettered"] >= 10, expected
    assert contract < 2 or expected["duplicate"] >= 15, expected

    def exact():
        found = counted(env, index.topic)
        return agree(env, {**found, "all": sum(found.values())}, {**expected, "all": sum(ends.values())})

    try:
        wait_until(exact, 60, "the counters say what the log says")
    except AssertionError as error:
        raise AssertionError(f"{error}: {counted(env, index.topic)}, expected {expected}, {ends}") from None
    # The next life of ingest accounts for the rest, and for no offset of the first one again.
    assert env.programs["ingest"].terminate() == 0
    env.start("ingest")
    producer = env.producer()
    for n in range(100):
        producer.produce(index.topic, key=f"d0-{n % 50}", value=json.dumps({"m": n}), headers=[("op", b"merge")])
    for partition in range(index.partitions):
        producer.produce(index.topic, value=b'"m > 90"', headers=[("op", b"delete-by-filter")], partition=partition)
        producer.produce(index.topic, value=b'"m >"', headers=[("op", b"delete-by-filter")], partition=partition)
    assert producer.flush(60) == 0
    more = sum(log_ends(env, index).values()) - sum(ends.values())
    assert more == 104, more
    try:
        wait_until(lambda: sum(counted(env, index.topic).values()) >= more, 60, "the rest is accounted for")
    except AssertionError as error:
        raise AssertionError(f"{error}: {counted(env, index.topic)} of {more}") from None
    found = counted(env, index.topic)
    assert agree(env, {**found, "all": sum(found.values())}, {"all": more, "dead_lettered": 2, "indexed": 102}), found


def _contract(env):
    found = 1
    for message in env.read_topic(f"{env.cluster}.meta"):
        if (message.key() or b"").startswith(b"index/") and message.value():
            found = json.loads(message.value())["rules"].get("contract", found)
    return found
