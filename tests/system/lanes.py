"""Tests in lanes: processes side by side, each with a Kafka, ports and directories of its own.

The first lane takes the tests that may take longest, the others those that may not, from the other end of the same row;
so heavy ones do not meet, and nobody has to know how long a test takes. What a test prints appears when it has ended,
together. A test that needs the machine for itself says so (`test_x.alone = True`); it runs in the first lane when the
others have ended.

Three clusters on a small machine may starve one of them for longer than a time that a program promises to others (a
session, a lease): a test that fails beside others runs once more alone, and that is the verdict. What both said is shown,
and which tests those were is named at the end. AGAIN_MAX of them may; where more fail, something is wrong.
"""
import collections
import ctypes
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import traceback

PR_SET_PDEATHSIG = 1
AGAIN_MAX = 3


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP: not an Exception, so that no test swallows it."""


def interruptible(handler):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def on_interrupt(number, _frame):
    """Only the first one counts; what it begins is not interrupted again."""
    interruptible(signal.SIG_IGN)
    raise Interrupted(signal.Signals(number).name)


class Lane:
    """One process; `run` is its part: start_kafka(), test(title, function, number) → whether it passed, close()."""

    def __init__(self, run, tests, output):
        self.number = self.title = None  # of what it runs
        self._output = output
        self._shown = 0
        self.connection, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("fork").Process(target=self._work, args=(run, tests, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def _work(self, run, tests, connection):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        self.connection.close()
        with self._output.open("wb") as output:
            os.dup2(output.fileno(), sys.stdout.fileno())
            os.dup2(output.fileno(), sys.stderr.fileno())
        try:
            run.start_kafka()
            while (number := connection.recv()) is not None:
                title, function = tests[number % len(tests)]
                connection.send(run.test(title if number < len(tests) else f"{title}.alone", function, number))
        except Interrupted:
            pass
        except Exception:
            traceback.print_exc()
        finally:
            interruptible(signal.SIG_IGN)
            run.close()
            sys.stdout.flush()
            os._exit(0)  # without what the first process would do at its end

    def give(self, number, title):
        self.number, self.title = number, title
        self.connection.send(number)

    def end(self):
        """In order: it runs nothing."""
        self.connection.send(None)
        self._process.join()

    def interrupt(self):
        self._process.terminate()

    def join(self):
        self._process.join()

    def show(self):
        """What it has printed since the last time."""
        if not self._output.exists():
            return
        with self._output.open("rb") as output:
            output.seek(self._shown)
            text = output.read()
        self._shown += len(text)
        sys.stdout.write(text.decode(errors="replace"))
        sys.stdout.flush()


class Lanes:
    """Gives the tests out, [(title, function)]; counts in `passed` and `failed`."""

    def __init__(self, tests, directory):
        self.passed = 0
        self.failed = 0
        self._tests = tests
        self._directory = directory
        self._lanes = []
        self._beside = False  # whether tests run side by side now
        self._again = []  # tests that failed beside others, as len(tests) + number

    def run(self, runs):
        """Until every test has run; close() is to be called in any case."""
        for number, run in enumerate(runs, 1):
            self._lanes.append(Lane(run, self._tests, self._directory / f"lane{number}.out"))
        order = sorted(range(len(self._tests)), key=lambda number: -getattr(self._tests[number][1], "timeout_s", 0))
        alone = [number for number in order if getattr(self._tests[number][1], "alone", False)]
        self._beside = len(runs) > 1
        self._share(collections.deque(number for number in order if number not in alone))
        self._beside = False
        for lane in self._lanes[1:]:
            lane.end()
        del self._lanes[1:]
        self._share(collections.deque(self._again + alone))
        for lane in self._lanes:
            lane.end()
        self._lanes.clear()
        for number in self._again:
            print(f"again   {self._title(number):<56} failed beside others: what it did alone counts", flush=True)

    def _title(self, number):
        return self._tests[number % len(self._tests)][0]

    def _share(self, row):
        busy = [lane for lane in self._lanes if self._give(lane, row)]
        while busy:
            for connection in multiprocessing.connection.wait([lane.connection for lane in busy]):
                lane = next(lane for lane in busy if lane.connection is connection)
                if not self._heard(lane) or not self._give(lane, row):
                    busy.remove(lane)
        for number in row:
            self._failed(self._title(number), "no lane is left to run it")

    def _give(self, lane, row):
        if not row:
            return False
        number = row.popleft() if lane is self._lanes[0] else row.pop()
        lane.give(number, self._title(number))
        return True

    def _heard(self, lane):
        """Whether it goes on."""
        try:
            passed = lane.connection.recv()
        except EOFError:
            self._lanes.remove(lane)
            lane.join()
            lane.show()
            self._failed(lane.title, "its lane has ended")
            return False
        lane.show()
        if not passed and self._beside and len(self._again) < AGAIN_MAX:
            self._again.append(len(self._tests) + lane.number)
            return True
        self.passed += passed
        self.failed += not passed
        return True

    def _failed(self, title, why):
        self.failed += 1
        print(f"FAILED  {title:<56} {why}", flush=True)

    def close(self):
        """Ends what still runs, with all that belongs to it."""
        for lane in self._lanes:
            lane.interrupt()
        for lane in self._lanes:
            lane.join()
            lane.show()
