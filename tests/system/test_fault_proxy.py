"""The fault proxy itself: a fault that does nothing would let every other test pass."""
import os
import socket
import subprocess
import sys
import threading
import time

from children import wait_until
from fault_proxy import FaultProxy

TEXT = b"x" * 20000
DEADLINE_S = 60  # for what must come
PATIENCE_S = 0.5  # how long nothing must come; what comes later is caught by the next condition


class Echo(threading.Thread):
    """Sends back what it gets; remembers how its connections ended."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ends = []  # "closed" | "reset"
        self.received = 0

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        end = "closed"
        try:
            while content := connection.recv(65536):
                self.received += len(content)
                connection.sendall(content)
        except ConnectionResetError:
            end = "reset"
        self.ends.append(end)
        connection.close()


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)

    def send(self, text):
        self.socket.sendall(text)

    def receive(self, count):
        """`count` bytes; fewer if the other end closes, "reset" if it resets."""
        content = b""
        try:
            while len(content) < count and (part := self.socket.recv(count - len(content))):
                content += part
        except ConnectionResetError:
            return "reset"
        return content

    def silent(self):
        """Whether nothing comes and nothing ends for PATIENCE_S."""
        self.socket.settimeout(PATIENCE_S)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
            return False
        except TimeoutError:
            return True
        except ConnectionResetError:
            return False
        finally:
            self.socket.settimeout(DEADLINE_S)

    def echoes(self, text=b"hello"):
        self.send(text)
        return self.receive(len(text)) == text


def dropped(port):
    """Whether a new connection comes to nothing."""
    try:
        return Client(port).receive(1) in ("reset", b"")
    except ConnectionResetError:
        return True


def proxied(env, test):
    echo = Echo()
    echo.start()
    proxy = FaultProxy(env.directory, env.ports).start()
    try:
        test(proxy, echo, proxy.add("echo", echo.port))
    finally:
        proxy.stop()


def seconds_of(action):
    start = time.monotonic()
    assert action()
    return time.monotonic() - start


def test_passing_and_delays(env):
    def test(proxy, echo, port):
        client = Client(port)
        assert client.echoes(TEXT)
        proxy.set("echo", "delay", ms=400)
        assert seconds_of(client.echoes) >= 0.8
        proxy.set("echo", "delay", ms=400, direction="down")
        assert 0.4 <= seconds_of(client.echoes)
        proxy.set("echo", "drip", rate=20000, direction="up")
        assert seconds_of(lambda: client.echoes(TEXT)) >= 0.9
        proxy.clear()
        assert client.echoes(TEXT)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.receive(1) == b"" and echo.ends == ["closed"]
    proxied(env, test)


def test_black_hole(env):
    def test(proxy, echo, port):
        client = Client(port)
        assert client.echoes()
        for direction, arrived in (("down", 10), ("up", 10), ("both", 15)):
            proxy.set("echo", "black_hole", direction=direction)
            client.send(b"hello")
            other = Client(port)  # a new one connects, and no more
            other.send(b"w")
            assert client.silent() and other.silent()
            wait_until(lambda: echo.received >= arrived, DEADLINE_S, f"what {direction} lets through arrives")
            assert echo.received == arrived, (direction, echo.received)
            proxy.clear()
            assert client.receive(5) == b"hello", "what was sent arrives after all"
            assert other.receive(1) == b"w"
            echo.received -= 1
    proxied(env, test)


def test_drop_and_reset(env):
    def test(proxy, echo, port):
        client = Client(port)
        assert client.echoes()
        proxy.set("echo", "reset", size=12)
        assert client.echoes(b"x" * 11), "not before its bytes have passed"
        assert client.echoes() is False
        proxy.set("echo", "reset", size=8, direction="down")
        client = Client(port)
        client.send(TEXT)
        assert client.receive(len(TEXT)) == "reset"
        wait_until(lambda: "reset" in echo.ends, DEADLINE_S, "the destination is reset too")
        proxy.clear()
        client = Client(port)
        assert client.echoes()
        proxy.set("echo", "drop")
        assert client.receive(1) in ("reset", b"")
        assert dropped(port)
        proxy.clear()
        assert Client(port).echoes()
    proxied(env, test)


def test_half_open(env):
    def test(proxy, echo, port):
        client = Client(port)
        assert client.echoes()
        proxy.set("echo", "half_open")
        assert client.receive(1) == "reset"
        assert echo.ends == [], "the destination does not know"
        assert dropped(port)
        proxy.clear()
        wait_until(lambda: echo.ends == ["reset"], DEADLINE_S, "now it does")
        client = Client(port)
        assert client.echoes()
        proxy.set("echo", "half_open", direction="down")
        wait_until(lambda: echo.ends == ["reset", "reset"], DEADLINE_S, "the destination is reset")
        client.send(b"hello")
        assert client.silent(), "the client does not know"
        proxy.clear()
        assert client.receive(1) == "reset"
    proxied(env, test)


ASKING = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=30) as connection:
    connection.sendall(b"hello")
    try:
        print(connection.recv(5).decode())
    except OSError as error:
        print(type(error).__name__)
"""


def test_sources(env):
    """A fault of one pair is none of another."""
    def test(proxy, echo, port):
        second = proxy.add("second", echo.port)
        proxy.name_source("me", os.getpid())
        proxy.set("echo", "black_hole", source="me")
        client = Client(port)
        client.send(b"hello")
        assert client.silent()
        answer = subprocess.run([sys.executable, "-c", ASKING, str(port)], capture_output=True, text=True, timeout=DEADLINE_S)
        assert answer.stdout == "hello\n", answer
        assert Client(second).echoes()
        proxy.set("*", "drop", source="me")
        proxy.set("echo", "delay", ms=1)
        assert dropped(second)
        # What names both is more exact than what names one.
        other = Client(port)
        other.send(b"hello")
        assert other.silent()
        wait_until(lambda: sum(proxy.connections().values()) >= 5, DEADLINE_S, "the proxy has taken every connection")
        counts = proxy.connections()
        assert counts == {("me", "echo"): 2, ("*", "echo"): 1, ("me", "second"): 2}, counts
        proxy.clear()
        assert client.receive(5) == b"hello" and other.receive(5) == b"hello"
    proxied(env, test)
