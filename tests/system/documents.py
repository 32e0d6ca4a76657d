"""Documents for loads: the machine's Debian catalogue where it has one, else made ones; and their publishing."""
import json
import random
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SYLLABLES = "ba de fi go lu ma ne pi ro sa te vi xu ka le mo nu pra sti tre quo zé ü ß ω".split()


def catalogue():
    """[(id, body)] of the Debian catalogue as bytes; empty where apt knows nothing."""
    result = subprocess.run([sys.executable, ROOT / "docker" / "catalogue.py"], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL)
    return [(json.loads(line)["id"].encode(), line) for line in result.stdout.splitlines()]


def word(dice):
    return "".join(dice.choice(SYLLABLES) for _ in range(dice.randint(2, 4)))


def made_body(dice, id, words=12):
    """A body whose bytes a careless reader would change: numbers, escapes, blanks."""
    text = json.dumps(" ".join(word(dice) for _ in range(words)), ensure_ascii=dice.random() < 0.3)
    number = dice.choice(["1.10", "-0", "1E5", "12345678901234567890123", "0.1"])
    gap = dice.choice(["", " ", "\n\t"])
    return f'{gap}{{"id":{gap}"{id}",{gap}"text":{text},"n":{number}, "nested":{{"a":[true,null,"é\\u0041"]}}}}{gap}'.encode()


def made(count, seed=1):
    """[(id, body)], the same for a seed on every machine."""
    dice = random.Random(seed)
    return [(id.encode(), made_body(dice, id)) for id in (f"made-{number}" for number in range(count))]


def documents(count):
    """`count` documents with different ids: the catalogue's first, made ones after them."""
    found = catalogue()[:count]
    return found + made(count - len(found))


class Publisher:
    """Publishes through an independent client; each record must be acknowledged."""

    def __init__(self, env, topic, **settings):
        self.topic = topic
        self.sent = 0
        self.acknowledged = 0
        self.failures = []
        self._producer = env.producer(enable_idempotence=True, acks="all", message_max_bytes=8388608, **settings)

    def _delivered(self, error, _message):
        if error:
            self.failures.append(str(error))
        else:
            self.acknowledged += 1

    def send(self, key, value, headers=None, **place):
        while True:
            try:
                self._producer.produce(self.topic, key=key, value=value, headers=headers, on_delivery=self._delivered,
                                       **place)
                break
            except BufferError:
                self._producer.poll(0.05)
        self.sent += 1
        self._producer.poll(0)

    def flush(self, deadline_s=60):
        left = self._producer.flush(deadline_s)
        assert left == 0 and not self.failures, f"Kafka did not take {left + len(self.failures)} records: {self.failures[:3]}"
