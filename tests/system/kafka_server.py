"""The one real Kafka of a run of system tests (docker/kafka)."""
from confluent_kafka.admin import AdminClient

from children import Child, tail, wait_until

READY_S = 60


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
