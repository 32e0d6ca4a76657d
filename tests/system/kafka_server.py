"""The one real Kafka of a run of system tests (docker/kafka), and what a test does to its files."""
import struct

from confluent_kafka.admin import AdminClient

from children import Child, tail, wait_until

READY_S = 120


class KafkaServer:
    """Topics survive stop(), kill9() and start(); tests tell themselves apart by their `cluster:` prefix."""

    def __init__(self, root, directory, ports, faulty=None):
        """`faulty`: (port, advertised port) of a second listener, for programs that reach Kafka through a proxy."""
        self.port, self.controller_port = ports
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.bootstrap_of_programs = f"127.0.0.1:{faulty[1]}" if faulty else self.bootstrap
        self.directory = directory
        self.log = directory / "kafka.out"
        self._script = root / "docker" / "kafka"
        self._child = None
        self._settings = self._listeners(*faulty) if faulty else []
        directory.mkdir(parents=True)

    def _listeners(self, port, advertised):
        return ["--set", f"listeners=PLAINTEXT://{self.bootstrap},FAULTY://127.0.0.1:{port},"
                         f"CONTROLLER://127.0.0.1:{self.controller_port}",
                "--set", f"advertised.listeners=PLAINTEXT://{self.bootstrap},FAULTY://127.0.0.1:{advertised}",
                "--set", "inter.broker.listener.name=PLAINTEXT",
                "--set", "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,FAULTY:PLAINTEXT,CONTROLLER:PLAINTEXT"]

    def start(self):
        self._child = Child("kafka", [self._script, "run", "--dir", self.directory, "--port", self.port,
                                      "--controller-port", self.controller_port, *self._settings], self.log)
        self.wait_ready()

    def wait_ready(self):
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

        def answers():
            assert self._child.running(), "Kafka has ended: " + " / ".join(tail(self.log, 3))
            try:
                return client.list_topics(timeout=1).brokers
            except Exception:  # confluent_kafka raises its own type for "not yet"
                return None

        wait_until(answers, READY_S, "Kafka answers a metadata request")

    def running(self):
        return self._child is not None and self._child.running()

    def stop(self):
        """Ends in order, as an operator would."""
        self._child.terminate(60)

    def kill9(self):
        if self._child:
            self._child.kill9()

    def pause(self):
        self._child.stop()

    def resume(self):
        self._child.cont()

    def lose_tail(self, topic, partition, records):
        """Cuts at least the last `records` offsets off a partition, as a power loss does; while Kafka is down.

        What Kafka derives from its segments is removed with them. Returns the new end.
        """
        assert not self.running(), "Kafka writes to these files"
        directory = self.directory / "log" / f"{topic}-{partition}"
        segment = max(directory.glob("*.log"))
        batches = list(batches_of(segment.read_bytes()))
        end = batches[-1][2]
        cut = next(batch for batch in reversed(batches) if batch[1] <= end - records)
        with segment.open("r+b") as file:
            file.truncate(cut[0])
        for derived in (*directory.glob("*.index"), *directory.glob("*.timeindex"), *directory.glob("*.snapshot"),
                        *directory.parent.glob("*-offset-checkpoint"), *directory.parent.glob(".kafka_cleanshutdown")):
            derived.unlink()
        return cut[1]


def batches_of(segment):
    """(place in the file, first offset, next offset) of each record batch of a segment, format 2."""
    place = 0
    while place < len(segment):
        first, length = struct.unpack_from(">qi", segment, place)
        last_delta, = struct.unpack_from(">i", segment, place + 23)
        if place + 12 + length > len(segment):
            return
        yield place, first, first + last_delta + 1
        place += 12 + length
