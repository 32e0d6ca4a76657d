"""The updates of test_steady: the same documents put again and again, as fast as the node receives them.

The publisher is a process of its own (this file as a program), so that nothing
of the test takes its time: it is a bounded number of records ahead of the node,
looks all the time where that is, and tells how far.
"""
import argparse
import http.client
import json
import random
import signal
import sys
import threading
from pathlib import Path

import confluent_kafka

from children import Child, wait_until

SYLLABLES = "ba de fi go lu ma ne pi ro sa te vi xu ka le mo nu pra sti tre quo".split()
VOCABULARY = 4000
TEXTS = 1000
TEXT_BYTES = 700
# Records that are published and not received yet, beyond which nothing more is published …
LAG_MAX = 10000
# … and with how many of them the node always has something to receive.
LAG_MIN = 2000
TOLD_EVERY = 200  # records
PAUSE_S = 0.02
TAIL_BYTES = 1024


def vocabulary():
    """Words that no stable document has, the frequent ones first."""
    dice = random.Random(4000)
    found = {}
    while len(found) < VOCABULARY:
        found["".join(dice.choice(SYLLABLES) for _ in range(dice.randint(3, 5)))] = None
    return list(found)


def texts(words):
    dice = random.Random(700)
    found = []
    for _ in range(TEXTS):
        text = ""
        while len(text) < TEXT_BYTES:
            text += words[int(len(words) * dice.random() ** 3)] + " "
        found.append(text)
    return found


class Updates:
    """The publisher's process, and what it tells; each of `count` documents is there once it has started."""

    def __init__(self, env, index, count):
        settings = {"partitioner": "murmur2_random", "enable.idempotence": True, "acks": "all", "linger.ms": 20,
                    "compression.type": "zstd"}
        order = {"client": env.kafka.client(**settings), "topic": index.topic, "count": count,
                 "node": env.programs["shard"].listen, "index": f"{index.id:016x}"}
        path = env.directory / "updates.json"
        path.write_text(json.dumps(order))
        self._output = env.directory / "updates.out"
        self._child = Child("updates", [sys.executable, __file__, path], self._output)
        wait_until(self._told, 240, f"each of {count} documents is received")

    def _told(self):
        """Its last line: {"sent", "lag"}; None before the first."""
        assert self._child.running() or self._child.process.returncode == 0, self._child.output()[-1000:]
        with self._output.open("rb") as output:
            output.seek(max(0, self._output.stat().st_size - TAIL_BYTES))
            lines = [line for line in output.read().splitlines(keepends=True) if line.endswith(b"\n")]
        return json.loads(lines[-1]) if lines else None

    def lag(self):
        """Records that the node has not received, as last seen."""
        return self._told()["lag"]

    def finish(self):
        """Everything that was published is in the log."""
        code = self._child.terminate(120)
        assert code == 0, f"the publisher ended with {code}: {self._child.output()[-1000:]}"


# ---- the publisher's process ------------------------------------------------------------------


class Publishing:
    def __init__(self, order):
        self._order = order
        self._producer = confluent_kafka.Producer(order["client"])
        self._line = http.client.HTTPConnection(order["node"], timeout=60)
        self._texts = texts(vocabulary())
        self._dice = random.Random(20000)
        self._base = self._received = self._ask()
        self._trouble = None
        self.end = threading.Event()
        self._sent = 0

    def _ask(self):
        self._line.request("GET", f"/shards?index={self._order['index']}")
        return sum(row["received"] for row in json.loads(self._line.getresponse().read())["shards"])

    def _look(self):
        """A thread's: where the node is, again and again; it waits for answers most of its time."""
        try:
            while not self.end.wait(PAUSE_S):
                self._received = self._ask()
        except Exception as error:  # raised where it publishes
            self._trouble = error

    def _lag(self):
        if self._trouble:
            raise self._trouble
        return self._sent - (self._received - self._base)

    @staticmethod
    def _delivered(error, _message):
        if error:
            raise SystemExit(f"Kafka did not take a record: {error}")

    def _put(self, number):
        text = self._texts[int(TEXTS * self._dice.random())]
        body = f'{{"id":"d{number}","version":{self._sent},"name":"d{number}","text":"{text}"}}'
        while True:
            try:
                self._producer.produce(self._order["topic"], body, f"d{number}", on_delivery=self._delivered)
                break
            except BufferError:
                self._producer.poll(0.05)
        self._producer.poll(0)
        self._sent += 1

    def _flush(self):
        left = self._producer.flush(60)
        if left:
            raise SystemExit(f"Kafka did not take {left} records")

    def _update(self):
        """Until the end; tells the lag while it looks at it."""
        count = self._order["count"]
        while not self.end.is_set():
            lag = self._lag()
            print(json.dumps({"sent": self._sent, "lag": lag}), flush=True)
            if lag > LAG_MAX:
                self._producer.poll(PAUSE_S)
                continue
            for _ in range(TOLD_EVERY):
                self._put(int(count * self._dice.random()))

    def run(self):
        looking = threading.Thread(target=self._look)
        looking.start()
        try:
            for number in range(self._order["count"]):
                self._put(number)
            self._flush()
            while not self.end.is_set() and self._lag() > 0:
                self.end.wait(PAUSE_S)
            self._update()
            self._flush()
        finally:
            self.end.set()
            looking.join()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("order", type=Path)
    publishing = Publishing(json.loads(arguments.parse_args().order.read_text()))
    signal.signal(signal.SIGTERM, lambda *_: publishing.end.set())
    publishing.run()


if __name__ == "__main__":
    main()
