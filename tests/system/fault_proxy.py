"""A TCP proxy that misbehaves on demand, as a process of its own.

    proxy = FaultProxy(env.directory, env.ports)
    proxy.start()
    port = proxy.add("n1", 7731)                    # whoever connects to `port` reaches 127.0.0.1:7731
    proxy.name_source("ingest", env.programs["ingest"].pid)
    proxy.set("n1", "delay", ms=200)                # for all who ask n1
    proxy.set("n1", "black_hole", source="ingest", direction="down")
    proxy.clear()

One listener a destination; who connects is known by the process that holds the
other end of the connection (/proc), so that a fault can be one of a pair. `up`
is from the client to the destination, `down` back, "both" the default.

    delay       what is read is passed on `ms` later, in order
    drip        at most `rate` bytes a second
    black_hole  nothing is passed on; what waited flows again when the fault ends, as packets sent again would
    reset       after `size` further bytes both ends are reset
    drop        connections are closed, new ones at once
    half_open   one end is reset (`down`: the destination's, else the client's); the other does not learn of it until
                the fault ends

A fault holds for the connections there are and for new ones, until it is
replaced or cleared. Of several the most exact is obeyed: source and
destination, then destination, then source.
"""
import argparse
import asyncio
import collections
import json
import os
import socket
import struct
import sys
from pathlib import Path

from children import Child, wait_until

CHUNK_BYTES = 65536
WAITING_BYTES_MAX = 1024 * 1024  # of one direction of one connection; then its sender waits
LINE_BYTES_MAX = 1024 * 1024
DRIP_STEP_S = 0.05
CONNECTIONS_MAX = 2048
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
KINDS = ("delay", "drip", "black_hole", "reset", "drop", "half_open")
DIRECTIONS = ("up", "down", "both")
ANY = "*"


# ---- the process ----------------------------------------------------------


class Fault:
    def __init__(self, kind, direction="both", ms=0, rate=0, size=0):
        assert kind in KINDS and direction in DIRECTIONS, f"{kind} {direction}"
        assert kind != "drip" or rate > 0, "a drip has a rate"
        self.kind = kind
        self.direction = direction
        self.ms = ms
        self.rate = rate
        self.size = size

    def meets(self, kind, direction):
        return self.kind == kind and self.direction in (direction, "both")


def reset(end):
    """Closes a socket with RST, if it is not closed yet."""
    if end.fileno() < 0:
        return
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()


class Lane:
    """One direction of a connection: what was read and is not yet passed on."""

    def __init__(self, direction, source, sink):
        self.direction = direction
        self.source = source
        self.sink = sink
        self.waiting = collections.deque()  # (when read, bytes); b"" is the end
        self.waiting_bytes = 0
        self.passed = 0
        self.passed_before_fault = 0

    def put(self, when, content, first=False):
        (self.waiting.appendleft if first else self.waiting.append)((when, content))
        self.waiting_bytes += len(content)

    def take(self):
        when, content = self.waiting.popleft()
        self.waiting_bytes -= len(content)
        return when, content


class Link:
    """One connection through the proxy."""

    def __init__(self, proxy, destination, client):
        self.proxy = proxy
        self.destination = destination
        self.client = client
        self.server = None
        self.place = client.getpeername(), client.getsockname()
        self.source = proxy.source_of(self.place)
        self.lanes = []
        self.passing = None
        self.changed = asyncio.Event()  # replaced at each change, so that no waiter misses one

    @property
    def fault(self):
        return self.proxy.fault_of(self.source, self.destination)

    def kind(self):
        return self.fault.kind if self.fault else None

    def wake(self):
        self.changed.set()
        self.changed = asyncio.Event()

    async def while_kind(self, *kinds):
        while self.kind() in kinds:
            await self.changed.wait()

    async def run(self):
        try:
            await self.while_kind("black_hole")
            if self.kind() == "drop":
                return
            if self.kind() != "half_open":
                await self.connect()
                self.passing = asyncio.ensure_future(self.pass_on())
                await asyncio.wait([self.passing])
            if self.kind() == "half_open":
                await self.be_half_open()
        except OSError:
            pass  # the destination is not there
        finally:
            self.proxy.links.discard(self)
            reset(self.client)
            if self.server:
                reset(self.server)

    async def connect(self):
        self.server = socket.socket()
        self.server.setblocking(False)
        for end in (self.server, self.client):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(self.server, ("127.0.0.1", self.proxy.targets[self.destination]))
        self.lanes = [Lane("up", self.client, self.server), Lane("down", self.server, self.client)]

    async def be_half_open(self):
        gone = self.server if self.fault.direction == "down" else self.client
        if gone:
            reset(gone)
        await self.while_kind("half_open")

    async def pass_on(self):
        """Until both directions have ended, an end fails, or a fault cancels it."""
        tasks = [asyncio.ensure_future(task) for lane in self.lanes for task in (self.read(lane), self.write(lane))]
        try:
            await asyncio.gather(*tasks)
            # In order: both ends are closed as their peers closed theirs.
            self.client.close()
            self.server.close()
        except OSError:
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def read(self, lane):
        loop = asyncio.get_running_loop()
        content = True
        while content:
            while lane.waiting_bytes >= WAITING_BYTES_MAX:
                await self.changed.wait()
            content = await loop.sock_recv(lane.source, CHUNK_BYTES)
            lane.put(loop.time(), content)
            self.wake()

    async def write(self, lane):
        loop = asyncio.get_running_loop()
        while True:
            when, content = await self.next(lane)
            fault = self.fault
            if fault and fault.meets("reset", lane.direction):
                left = max(0, lane.passed_before_fault + fault.size - lane.passed)
                if len(content) >= left:
                    await loop.sock_sendall(lane.sink, content[:left])
                    raise ConnectionResetError
            if not content:
                lane.sink.shutdown(socket.SHUT_WR)
                return
            if fault and fault.meets("drip", lane.direction):
                size = max(1, int(fault.rate * DRIP_STEP_S))
                if len(content) > size:
                    lane.put(when, content[size:], first=True)
                    content = content[:size]
                await asyncio.sleep(len(content) / fault.rate)
            await loop.sock_sendall(lane.sink, content)
            lane.passed += len(content)

    async def next(self, lane):
        """(when read, bytes) of the lane, once they may be passed on."""
        loop = asyncio.get_running_loop()
        while True:
            fault = self.fault
            wait_s = None
            if lane.waiting and not (fault and fault.meets("black_hole", lane.direction)):
                wait_s = 0
                if fault and fault.meets("delay", lane.direction):
                    wait_s = lane.waiting[0][0] + fault.ms / 1000 - loop.time()
                if wait_s <= 0:
                    self.wake()
                    return lane.take()
            try:
                await asyncio.wait_for(self.changed.wait(), wait_s)
            except asyncio.TimeoutError:
                pass

    def on_fault(self):
        """A fault began, changed or ended."""
        for lane in self.lanes:
            lane.passed_before_fault = lane.passed
        if self.passing and self.kind() in ("drop", "half_open"):
            self.passing.cancel()
        self.wake()


class Proxy:
    """All listeners and their links, on one event loop."""

    def __init__(self):
        self.targets = {}  # destination → port
        self.faults = {}  # (source, destination) → Fault
        self.sources = {}  # name → pid
        self.seen = {}  # name → its sockets when it was last looked at: many connections at once cost one look
        self.last = ANY  # who connected last: probably the next one too
        self.links = set()
        self.counts = collections.Counter()  # (source, destination) → connections so far
        self.tasks = set()

    def fault_of(self, source, destination):
        for key in ((source, destination), (ANY, destination), (source, ANY), (ANY, ANY)):
            if key in self.faults:
                return self.faults[key]
        return None

    def source_of(self, place):
        """The name of the process at the other end; ANY if it is none of those named."""
        inode = inode_of(*place)
        if not inode:
            return ANY
        wanted = f"socket:[{inode}]"  # the kernel gives no number twice
        for name, sockets in self.seen.items():
            if wanted in sockets:
                return name
        for name in dict.fromkeys([self.last, *self.sources]):
            if name != ANY:
                self.seen[name] = sockets_of(self.sources[name])
                if wanted in self.seen[name]:
                    self.last = name
                    return name
        return ANY

    async def accept(self, destination, listener):
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(listener)
            client.setblocking(False)
            if len(self.links) >= CONNECTIONS_MAX:
                client.close()
                continue
            try:
                link = Link(self, destination, client)
            except OSError:  # it is gone already
                client.close()
                continue
            self.links.add(link)
            self.counts[link.source, destination] += 1
            self.keep(link.run())

    def identify(self, link):
        self.counts[link.source, link.destination] -= 1
        link.source = self.source_of(link.place)
        self.counts[link.source, link.destination] += 1
        link.on_fault()

    def keep(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def do(self, order):
        """One order of the test's; its answer."""
        operation = order.pop("do")
        if operation == "add":
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", order["port"]))
            listener.listen(256)
            listener.setblocking(False)
            self.targets[order["destination"]] = order["target"]
            self.keep(self.accept(order["destination"], listener))
        elif operation == "source":
            self.sources[order["name"]] = order["pid"]
            self.seen.pop(order["name"], None)
            for link in self.links:  # it may have been quicker than its name
                if link.source == ANY:
                    self.identify(link)
        elif operation == "set":
            key = order.pop("source"), order.pop("destination")
            self.faults[key] = Fault(**order)
            self.on_fault()
        elif operation == "clear":
            self.faults.clear()
            self.on_fault()
        else:
            assert operation == "links", operation
        return {"links": [[*key, count] for key, count in self.counts.items()]}

    def on_fault(self):
        for link in list(self.links):
            link.on_fault()

    async def control(self, reader, writer):
        while line := await reader.readline():
            try:
                answer = self.do(json.loads(line))
            except (AssertionError, OSError, TypeError, KeyError) as error:
                answer = {"error": repr(error)}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()


def inode_of(client, proxy):
    """The inode of the socket whose own end is `client` and whose peer is `proxy`; None if it is gone.

    The kernel is asked for that one socket (sock_diag, exact): /proc/net/tcp also lists tens of thousands in TIME_WAIT.
    """
    place = struct.pack(">HH", client[1], proxy[1]) + b"".join(
        socket.inet_aton(end[0]) + bytes(12) for end in (client, proxy)) + struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
    question = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF) + place
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as line:
        line.send(struct.pack("=IHHII", 16 + len(question), SOCK_DIAG_BY_FAMILY, 1, 0, 0) + question)
        answer = line.recv(4096)
    if struct.unpack_from("=H", answer, 4)[0] != SOCK_DIAG_BY_FAMILY:
        return None
    return struct.unpack_from("=I", answer, 16 + 4 + 48 + 16)[0]


def sockets_of(pid):
    """What a process has open, as the kernel names it."""
    found = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                found.add(os.readlink(entry.path))
            except OSError:
                continue
    except OSError:
        pass
    return found


async def serve(port):
    proxy = Proxy()
    server = await asyncio.start_server(proxy.control, "127.0.0.1", port, limit=LINE_BYTES_MAX)
    async with server:
        await server.serve_forever()


# ---- the test's side ------------------------------------------------------


class FaultProxy:
    """Starts the process and gives it orders; an order is obeyed when its call returns."""

    def __init__(self, directory, ports):
        self._directory = Path(directory)
        self._ports = ports
        self._child = None
        self._control = None
        self._answers = None

    def start(self):
        port = self._ports.free()
        self._child = Child("proxy", [sys.executable, __file__, "--control", port], self._directory / "proxy.out")

        def connected():
            assert self._child.running(), "the proxy has ended: " + self._child.output()
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=60)
            except ConnectionRefusedError:
                return None

        self._control = wait_until(connected, 60, "the proxy listens")
        self._answers = self._control.makefile("rb")
        return self

    def stop(self):
        if self._control:
            self._answers.close()
            self._control.close()
        if self._child:
            self._child.kill9()

    def _order(self, **order):
        self._control.sendall(json.dumps(order).encode() + b"\n")
        answer = json.loads(self._answers.readline())
        assert "error" not in answer, f"{order}: {answer['error']}"
        return answer

    def add(self, destination, target):
        """A new listener in front of a port on the loopback; its own port."""
        port = self._ports.free()
        self._order(do="add", destination=destination, target=target, port=port)
        return port

    def name_source(self, name, pid):
        """Whom a fault may name as `source`; again after a restart. For connections from now on."""
        self._order(do="source", name=name, pid=pid)

    def set(self, destination, kind, source=ANY, **fault):
        """direction="up" | "down" | "both", ms=, rate=, size=; replaces the fault of the same source and destination."""
        self._order(do="set", destination=destination, source=source, kind=kind, **fault)

    def clear(self):
        """All faults end."""
        self._order(do="clear")

    def connections(self):
        """{(source, destination): connections so far}"""
        return {(source, destination): count for source, destination, count in self._order(do="links")["links"]}


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--control", type=int, required=True)
    asyncio.run(serve(arguments.parse_args().control))
