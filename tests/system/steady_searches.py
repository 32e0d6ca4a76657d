"""The searches of test_steady, beside the updates (steady_updates.py).

Beside the documents that change, the index has some that never do (traffic.py),
and so has another index that rests: the same question to both tells what the
updates cost a search, whatever else the machine has to do at the time. All
answers are checked: those about the stable documents word for word, the others
for the word that was asked for.

The searchers are a process of their own (this file as a program).
"""
import argparse
import collections
import json
import random
import signal
import sys
import threading
import time
from pathlib import Path

from children import Child, wait_until
from steady_updates import texts, vocabulary
from traffic import DEGRADED, Connection, Failed, Output

BUSY, RESTING = "busy", "resting"
RATE = 20
SEARCHERS = 2
# That have a word: of so many there are always documents for a whole page, and words that are like it come behind them.
TEXTS_MIN = 4
WHOLE_S = 60


class Searches:
    """The searchers' process, and what it tells."""

    def __init__(self, env, stable):
        questions = [(body, hits, total) for body, hits, total in stable.questions() if body["limit"] == 20]
        order = {"place": env.programs["query"].listen, "questions": questions}
        path = env.directory / "steady.json"
        path.write_text(json.dumps(order))
        self._output = env.directory / "steady.out"
        self._read = 0
        self._child = Child("searches", [sys.executable, __file__, path], self._output)

    def take(self):
        """Those since the last call: [{"kind", "s"}]; no answer was wrong."""
        with self._output.open("rb") as output:
            output.seek(self._read)
            content = output.read()
        whole = content.rfind(b"\n") + 1
        self._read += whole
        entries = [json.loads(line) for line in content[:whole].splitlines()]
        troubles = [entry["trouble"] for entry in entries if "trouble" in entry]
        assert not troubles, f"{len(troubles)} of {len(entries)} searches: {troubles[:3]}"
        assert self._child.running() or self._child.process.returncode == 0, self._child.output()[-500:]
        return entries

    def finish(self):
        code = self._child.terminate()
        assert code == 0, f"the searchers ended with {code}: {self._child.output()[-500:]}"
        return self.take()


# ---- the searchers' process -------------------------------------------------------------------


class Searcher(threading.Thread):
    """Asks the resting index, the busy one the same, and the busy one for a word of what changes, in turn."""

    def __init__(self, order, number, out):
        super().__init__()
        self._questions = order["questions"]
        said = collections.Counter(word for text in texts(vocabulary()) for word in set(text.split()))
        self._words = [word for word in vocabulary() if said[word] >= TEXTS_MIN]
        self._connection = Connection(order["place"])
        self._dice = random.Random(number)
        self._out = out

    def run(self):
        due = time.monotonic() + self._dice.random() * SEARCHERS / RATE
        while True:
            question = self._dice.choice(self._questions)
            for kind, ask in (("resting", lambda: self._stable(RESTING, *question)),
                              ("busy", lambda: self._stable(BUSY, *question)), ("changing", self._changing)):
                if self._out.end.wait(max(0, due - time.monotonic())):
                    self._connection.close()
                    return
                due = max(due + SEARCHERS / RATE, time.monotonic())
                self._tell(kind, ask)

    def _tell(self, kind, ask):
        entry = {"kind": kind}
        try:
            entry["s"], trouble = ask()
        except Failed as failure:
            trouble = str(failure)
        if trouble:
            entry["trouble"] = f"{kind}: {trouble}"
        self._out.put(entry)

    def _search(self, uid, body):
        """(seconds, answer) of the first that lacks nothing: a node that stood still with the machine says so in its answers."""
        last = []

        def whole():
            start = time.monotonic()
            status, headers, content = self._connection.ask(f"/indexes/{uid}/search", body)
            last[:] = [f"{status} {DEGRADED}={headers.get(DEGRADED)} {content[:300]!r}"]
            if status not in (200, 503):
                raise Failed(f"{body} to {uid}: {last[0]}")
            return (time.monotonic() - start, content) if status == 200 and DEGRADED not in headers else None

        try:
            seconds, content = wait_until(whole, WHOLE_S, "a whole answer")
        except AssertionError as error:
            raise Failed(f"{body} to {uid}: {error}, the last one is {last[0]}") from None
        return seconds, json.loads(content)

    def _stable(self, uid, body, hits, total):
        """(seconds, what is wrong or None)"""
        seconds, answer = self._search(uid, body)
        if answer["hits"] == hits and answer["estimatedTotalHits"] == total:
            return seconds, None
        return seconds, f"{body} to {uid}: not {total} hits: {json.dumps(answer)[:1000]}"

    def _changing(self):
        word = self._words[int(len(self._words) * self._dice.random() ** 3)]
        seconds, answer = self._search(BUSY, {"q": word})
        strangers = [hit["id"] for hit in answer["hits"] if f" {word}" not in f" {hit['text']}"]
        if not answer["hits"] or strangers:
            return seconds, f"{word}: {len(answer['hits'])} hits, of which without it {strangers}"
        return seconds, None


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("order", type=Path)
    order = json.loads(arguments.parse_args().order.read_text())
    out = Output()
    signal.signal(signal.SIGTERM, lambda *_: out.end.set())
    searchers = [Searcher(order, number, out) for number in range(SEARCHERS)]
    for searcher in searchers:
        searcher.start()
    out.end.wait()
    for searcher in searchers:
        searcher.join()


if __name__ == "__main__":
    main()
