"""The one real Kafka of a run of system tests (docker/kafka), and what a test does to its files."""
import os
import struct
import subprocess
from pathlib import Path

from confluent_kafka.admin import AdminClient

from children import Child, tail, wait_until

READY_S = 240
ANSWER_MS = 5000
# It lives for seconds or minutes: what the second compiler would gain costs more than it brings.
SHORT_LIFE = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
LOG_OF_DENIALS = """<Configuration><Appenders><Console name="out"><PatternLayout pattern="%d %p %m%n"/></Console></Appenders>
<Loggers><Logger name="kafka.authorizer.logger" level="INFO"/><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>"""


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
        self._variables = {"JAVA_TOOL_OPTIONS": SHORT_LIFE}
        self.shared = {}  # beside bootstrap.servers, for every client
        self.properties = {}  # for the test's own clients
        directory.mkdir(parents=True)

    def client(self, **settings):
        """What a client of the test itself is made from."""
        return {"bootstrap.servers": self.bootstrap, "log_level": 0, **self.properties, **settings}

    def _listeners(self, port, advertised):
        return ["--set", f"listeners=PLAINTEXT://{self.bootstrap},FAULTY://127.0.0.1:{port},"
                         f"CONTROLLER://127.0.0.1:{self.controller_port}",
                "--set", f"advertised.listeners=PLAINTEXT://{self.bootstrap},FAULTY://127.0.0.1:{advertised}",
                "--set", "inter.broker.listener.name=PLAINTEXT",
                "--set", "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,FAULTY:PLAINTEXT,CONTROLLER:PLAINTEXT"]

    def start(self):
        self._child = Child("kafka", [self._script, "run", "--dir", self.directory, "--port", self.port,
                                      "--controller-port", self.controller_port, *self._settings], self.log,
                            self._variables)
        self.wait_ready()

    def wait_ready(self):
        # A request that a starting Kafka has taken and never answers is given up before the default of a minute.
        client = AdminClient(self.client(**{"socket.timeout.ms": ANSWER_MS}))

        def answers():
            assert self._child.running(), "Kafka has ended: " + " / ".join(tail(self.log, 3))
            try:
                return client.list_topics(timeout=5).brokers
            except Exception:  # confluent_kafka raises its own type for "not yet"
                return None

        wait_until(answers, READY_S, "Kafka answers a metadata request")

    def running(self):
        return self._child is not None and self._child.running()

    def stop(self):
        """Ends in order, as an operator would."""
        self._child.terminate(120)

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


class SecureKafka(KafkaServer):
    """A Kafka as companies have it: TLS, users with passwords, and no right that was not granted.

    The users `admin` and `broker` may do everything; `users` are the others' names. A user's password is
    password_of(name), his properties are in user_file(name). The test's own clients are `admin`. Users are of the
    mechanism PLAIN: librdkafka before 2.6.1 and Kafka 4 do not understand each other's SCRAM.
    """

    def __init__(self, root, directory, ports, users):
        super().__init__(root, directory, ports)
        self.ca = make_certificates(directory)
        self.shared = {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "ssl.ca.location": str(self.ca)}
        self.properties = {**self.shared, "sasl.username": "admin", "sasl.password": self.password_of("admin")}
        (directory / "log4j2.xml").write_text(LOG_OF_DENIALS)
        self._variables = {"JAVA_TOOL_OPTIONS": f"{SHORT_LIFE} -Dlog4j2.configurationFile={directory / 'log4j2.xml'}"}
        names = ["admin", "broker", *users]
        self._settings = [f for line in self._lines(names) for f in ("--set", line)]
        for name in names:
            self.user_file(name).write_text(f"sasl.username={name}\nsasl.password={self.password_of(name)}\n")

    @staticmethod
    def password_of(name):
        return f"secret-of-{name}"

    def user_file(self, name):
        return self.directory / f"{name}.properties"

    def _lines(self, names):
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        users = " ".join(f'user_{name}="{self.password_of(name)}"' for name in names)
        return [
            f"listeners=SASL_SSL://{self.bootstrap},CONTROLLER://127.0.0.1:{self.controller_port}",
            "listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name=SASL_SSL",
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512",
            "sasl.mechanism.inter.broker.protocol=PLAIN",
            f"listener.name.sasl_ssl.plain.sasl.jaas.config={login} "
            f'username="broker" password="{self.password_of("broker")}" {users};',
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config="
            "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "ssl.keystore.type=PEM", f"ssl.keystore.location={self.directory / 'broker.pem'}",
            "ssl.truststore.type=PEM", f"ssl.truststore.location={self.ca}",
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found=false",
            # the controller's listener has no users; on a real one it is out of clients' reach as well
            "super.users=User:admin;User:broker;User:ANONYMOUS",
        ]

    def denied(self):
        """["Principal = User:x is Denied operation = …"]: what the authorizer has refused so far."""
        return [line for line in self.log.read_text().splitlines() if " is Denied " in line]

    def acls(self, *arguments):
        """Kafka's own kafka-acls.sh; a JVM's start."""
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        libs = Path(os.environ.get("MILLRACE_DEPS_CACHE") or Path(cache) / "millrace")
        return subprocess.run(["java", "-cp", f"{max(libs.glob('kafka-[0-9]*'))}/*", "org.apache.kafka.tools.AclCommand",
                               *arguments], capture_output=True, text=True, timeout=180)


def make_certificates(directory):
    """ca.pem, other-ca.pem (which signed nothing), and broker.pem, key and certificate for 127.0.0.1; the first one."""
    def openssl(*arguments):
        made = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, cwd=directory)
        assert made.returncode == 0, made.stderr

    def new(name, *arguments):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", *arguments)

    for name in ("ca", "other-ca"):
        new(name, "-x509", "-days", "2", "-out", f"{name}.pem")
    new("broker", "-out", "broker.csr")
    (directory / "broker.ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    openssl("x509", "-req", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "broker.ext", "-out", "broker.crt")
    (directory / "broker.pem").write_text((directory / "broker.key").read_text() + (directory / "broker.crt").read_text())
    return directory / "ca.pem"


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
