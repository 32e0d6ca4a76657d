"""What a system test gets: its own cluster prefix, directory and ports, and the real programs.

    def test_something(env):
        env.start_all()
        env.millrace("index", "create", "books", "--primary-key", "id", "--partitions", "2", "--wait")
        env.wait_until(lambda: env.http("GET", "/indexes/books/stats").json()["numberOfDocuments"] == 3, 20, "3 books")

With env.plan(nodes=3, rf=2, ingests=2, controllers=2) before it, start_all
starts that many: n1, n2, n3, ingest, ingest2, rebalance, rebalance2, query.
With proxied=True whoever asks a node goes through env.proxy (fault_proxy.py),
where the programs have these names; with env.own_kafka(proxied=True) whoever
asks Kafka too.

The test's processes end with it; one that does not end cleanly on SIGTERM, or
in which a sanitizer found something, fails the test.
"""
import contextlib
import json
import random
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic

from children import Program, wait_until
from fault_proxy import FaultProxy
from kafka_server import KafkaServer, SecureKafka

# Below the range from which the kernel takes the ports of outgoing connections.
PORTS = range(20000, 30000)
PROGRAMS = ("rebalance", "shard", "ingest", "query")
ROOT = Path(__file__).resolve().parent.parent.parent


class Ports:
    """Hands out ports on which nobody listens; each of `lanes` from a range of its own."""

    def __init__(self, lane=0, lanes=1):
        count = len(PORTS) // lanes
        self._range = PORTS[lane * count:(lane + 1) * count]
        self._next = random.Random().choice(self._range)

    def free(self):
        for _ in self._range:
            self._next = self._next + 1 if self._next + 1 in self._range else self._range.start
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", self._next))
                    return self._next
                except OSError:
                    continue
        raise AssertionError("no free port")


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


def http(method, url, body=None, headers=None, timeout=30):
    """One request; `body` bytes, or anything else sent as JSON. An error status is an answer, not an exception."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return Response(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Response(error.code, error.headers, error.read())


class Environment:
    def __init__(self, name, directory, build, kafka, ports, full=False):
        self.cluster = name
        self.directory = Path(directory)
        self.bin = Path(build) / "bin"
        self.kafka = kafka
        self.full = full
        self.ports = ports
        self.programs = {}
        self._ended = []
        self._admin = None
        self.places = {program: ports.free() for program in PROGRAMS}
        self.places["admin"] = ports.free()
        self.proxy = None
        self.rf = 1
        self.nodes = {"n1": self.places["shard"]}  # id → the port in topology.groups
        self.planned = {program: (program, {}) for program in PROGRAMS}  # name → (program, its own settings)
        self.config = None
        self.write_config()

    # -- configuration ------------------------------------------------------

    def plan(self, nodes=1, rf=1, ingests=1, controllers=1, proxied=False):
        """Which programs there are, by name; a node is named by its id, a second of the others has a number."""
        if proxied and not self.proxy:
            self.start_proxy()
        self.rf = rf
        self.nodes = {}
        self.planned = {}
        for number in range(1, controllers + 1):
            self._plan_another("rebalance", number)
        for number in range(1, nodes + 1):
            id = f"n{number}"
            self.places[id] = self.places["shard"] if number == 1 else self.ports.free()
            self.planned[id] = ("shard", {"shard.id": id, "shard.listen": f"127.0.0.1:{self.places[id]}",
                                          "shard.data": self.directory / id})
            self.nodes[id] = self.proxy.add(id, self.places[id]) if proxied else self.places[id]
        for number in range(1, ingests + 1):
            self._plan_another("ingest", number)
        self.planned["query"] = ("query", {})
        self.write_config()

    def _plan_another(self, program, number):
        name = program if number == 1 else f"{program}{number}"
        settings = {}
        if number > 1:
            self.places[name] = self.ports.free()
            settings[f"{program}.listen"] = f"127.0.0.1:{self.places[name]}"
        if number > 1 and program == "ingest":
            settings["ingest.data"] = self.directory / name
        self.planned[name] = (program, settings)

    def start_proxy(self):
        self.proxy = FaultProxy(self.directory, self.ports).start()

    @contextlib.contextmanager
    def own_kafka(self, proxied=False):
        """A Kafka of this test's own in place of the run's; the programs' way to it through the proxy, if wanted."""
        ports = self.ports.free(), self.ports.free()
        faulty = None
        if proxied:
            if not self.proxy:
                self.start_proxy()
            inner = self.ports.free()
            faulty = (inner, self.proxy.add("kafka", inner))
        with self._kafka(KafkaServer(ROOT, self.directory / "kafka", ports, faulty)) as kafka:
            yield kafka

    @contextlib.contextmanager
    def secure_kafka(self):
        """A Kafka of this test's own with TLS and rights; each program has a user that is called as it is."""
        kafka = SecureKafka(ROOT, self.directory / "kafka", (self.ports.free(), self.ports.free()),
                            [*PROGRAMS, "operator", "producer"])
        for program, settings in self.planned.values():
            settings["kafka.properties_file"] = kafka.user_file(program)
        with self._kafka(kafka):
            yield kafka

    @contextlib.contextmanager
    def _kafka(self, kafka):
        self.kafka = kafka
        kafka.start()
        self.write_config()
        try:
            yield kafka
        finally:
            self.close(clean=False)
            kafka.kill9()

    def write_config(self, changes=None, name="millrace.yaml"):
        """The test's millrace.yaml; `changes` are merged into its sections. Returns its path."""
        place = {program: f"127.0.0.1:{port}" for program, port in self.places.items()}
        nodes = [{"id": id, "url": f"http://127.0.0.1:{port}"} for id, port in self.nodes.items()]
        config = {
            "cluster": self.cluster,
            "kafka": {"bootstrap.servers": self.kafka.bootstrap_of_programs, **self.kafka.shared},
            "topology": {"rf": self.rf, "groups": {"g0": nodes}},
            "ingest": {"listen": place["ingest"], "data": str(self.directory / "ingest")},
            "shard": {"listen": place["shard"], "id": "n1", "data": str(self.directory / "n1")},
            "query": {"listen": place["query"], "admin": place["admin"]},
            "rebalance": {"listen": place["rebalance"]},
        }
        for section, values in (changes or {}).items():
            if isinstance(values, dict) and isinstance(config.get(section), dict):
                config[section].update(values)
            else:
                config[section] = values
        path = self.directory / name
        path.write_text(json.dumps(config, indent=2) + "\n")  # JSON is YAML
        if name == "millrace.yaml":
            self.config = path
        return path

    # -- programs -----------------------------------------------------------

    def command(self, program, extra_config=None, config=None):
        binary = self.bin / (program if program.startswith("millrace") else f"millrace-{program}")
        assert binary.exists(), f"{binary.name} is not built"
        flags = [f for key, value in (extra_config or {}).items() for f in (f"--{key}", str(value))]
        return [binary, "--config", config or self.config, *flags]

    def start(self, program, extra_config=None, name=None, config=None, wait=True):
        """Starts `ingest`, `shard`, `query`, `rebalance` or what plan() named; extra_config = {"ingest.flush": "adaptive"}.

        Started again under the same name it replaces the one that has ended.
        """
        name = name or program
        program, settings = self.planned.get(program, (program, {}))
        earlier = self.programs.get(name)
        if earlier:
            assert not earlier.running(), f"{name} runs already"
            self._ended.append(earlier)
        started = Program(name, self.command(program, {**settings, **(extra_config or {})}, config),
                          self.directory / f"{name}.log", self.directory / f"{name}.ready")
        self.programs[name] = started
        if self.proxy:
            self.proxy.name_source(name, started.pid)
        return started.wait_ready() if wait else started

    def start_all(self, extra_config=None):
        """All programs of the plan; extra_config as for start, for those whom it names."""
        flags = {}
        for key, value in (extra_config or {}).items():
            flags.setdefault(key.split(".")[0], {})[key] = value
        started = [self.start(name, flags.get(program), wait=False) for name, (program, _) in self.planned.items()]
        for program in started:
            program.wait_ready()
        return started

    def run(self, program, *arguments, timeout=60):
        """Runs a program to its end with flags of the test's own, e.g. --check-config."""
        return subprocess.run([*map(str, self.command(program)), *map(str, arguments)], capture_output=True, text=True,
                              timeout=timeout, cwd=self.directory)

    def millrace(self, *arguments, timeout=150, check=True):
        """The command line; with `-o json` among the arguments its parsed answer."""
        result = self.run("millrace", *arguments, timeout=timeout)
        if check:
            assert result.returncode == 0, f"millrace {' '.join(map(str, arguments))}: {result.stdout}{result.stderr}"
            if "json" in arguments:
                return json.loads(result.stdout)
        return result

    # -- talking ------------------------------------------------------------

    def http(self, method, url, body=None, headers=None, timeout=30):
        """A path goes to the gateway, an address where it says."""
        if url.startswith("/"):
            url = self.programs["query"].url + url
        return http(method, url, body, headers, timeout)

    def stood_still(self, *programs):
        """How often these programs (`shard`, `ingest`) said that they had stood still, with the machine or because a test stopped
        them: their answers are flagged for a while then, and what they are not sure of they do once more."""
        logs = [self.directory / f"{name}.log" for name, (program, _) in self.planned.items() if program in programs]
        return sum(log.read_text(errors="replace").count("event=stood_still ") for log in logs if log.exists())

    def metrics(self, program):
        """{"name{labels}": value} of a program's admin port."""
        text = self.http("GET", self.programs[program].admin_url + "/metrics").body.decode()
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def admin(self):
        if self._admin is None:
            self._admin = AdminClient(self.kafka.client())
        return self._admin

    def create_topic(self, topic, partitions, **config):
        """As an operator would; dots in settings as `_`."""
        new = NewTopic(topic, partitions, 1, config={k.replace("_", "."): str(v) for k, v in config.items()})
        self.admin().create_topics([new])[topic].result()

        def known():
            found = self.admin().list_topics(timeout=30).topics.get(topic)
            return found and len(found.partitions) == partitions

        wait_until(known, 60, f"Kafka's clients see the topic {topic}")  # the broker learns of it after its controller

    def producer(self, **settings):
        """An outside client, partitioning as Java clients do unless told otherwise; dots in names as `_`."""
        named = {k.replace("_", "."): v for k, v in settings.items()}
        return confluent_kafka.Producer(self.kafka.client(**{"partitioner": "murmur2_random", "linger.ms": 5, **named}))

    def read_topic(self, topic, deadline_s=120):
        """Every record of a topic up to its present ends, as confluent_kafka messages."""
        consumer = confluent_kafka.Consumer(self.kafka.client(**{
            "group.id": self.cluster + ".t", "enable.auto.commit": False, "auto.offset.reset": "earliest"}))
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        assert partitions, f"there is no topic {topic}"
        ends, messages = {}, []
        for partition in partitions:
            here = confluent_kafka.TopicPartition(topic, partition)
            low, high = consumer.get_watermark_offsets(here, timeout=30)
            if high > low:
                ends[partition] = high
        consumer.assign([confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING) for p in ends])

        def at_the_ends():
            for message in consumer.consume(10000, 0.2):
                assert not message.error(), str(message.error())
                messages.append(message)
            # The position passes transaction markers, which no message shows.
            places = consumer.position([confluent_kafka.TopicPartition(topic, p) for p in ends])
            return all(place.offset >= ends[place.partition] for place in places)

        try:
            if ends:
                wait_until(at_the_ends, deadline_s, f"{topic} is read to its ends {ends}")
        finally:
            consumer.close()
        return messages

    @staticmethod
    def wait_until(condition, deadline_s, what):
        return wait_until(condition, deadline_s, what)

    # -- the end of the test ------------------------------------------------

    def close(self, clean):
        """Ends what still runs. `clean`: complain about whoever does not end as it should."""
        troubles = []
        if self.proxy and not clean:
            self.proxy.stop()
        for program in list(self.programs.values())[::-1]:
            if not clean:
                program.kill9()
                continue
            if program.running():
                try:
                    code = program.terminate()
                except AssertionError as error:
                    troubles.append(str(error))
                    program.kill9()
                else:
                    if code != 0:
                        troubles.append(f"{program.name} ended with {code} on SIGTERM")
        for program in [*self._ended, *self.programs.values()]:
            found = program.sanitizer_report()
            if found:
                troubles.append(f"{program.name}: {found}")
        if self.proxy:
            self.proxy.stop()
        return troubles

    def logs(self):
        return sorted(self.directory.glob("*.log"))
