"""Processes that a test starts: each ends with the test, however that ends.

Every child leads its own process group and asks the kernel (setpriv
--pdeathsig) to be killed with the runner, so that nothing outlives even a
runner that is killed outright.
"""
import json
import os
import signal
import subprocess
import time
from pathlib import Path

# What a sanitizer writes when it has found something.
SANITIZER_WORDS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "ThreadSanitizer:",
                   "assertion failed")

# librdkafka 2.0.2 may abort while a handle is destroyed that has a connection to its group's coordinator (its issue 3608,
# open): another thread than a broker's own lets go of that broker last. To the log a program that ends so is one that was killed.
LIBRARY_ABORT = "rd_kafka_broker_destroy_final: Assertion `thrd_is_current(rkb->rkb_thread)' failed"

# States of a thread that does nothing any more: stopped, ended.
STANDING = {"T", "t", "Z", "X"}


def wait_until(condition, deadline_s, what, pause_max=0.1):
    """The first true value of condition(); an AssertionError naming `what` after deadline_s.

    It is asked once after the deadline, so that time in which this process itself stood still is nobody's fault.
    """
    end = time.monotonic() + deadline_s
    pause = min(0.005, pause_max)
    while True:
        late = time.monotonic() >= end
        value = condition()
        if value:
            return value
        if late:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, pause_max)


def tail(path, lines=40):
    try:
        text = Path(path).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return text[-lines:]


def states(pid):
    """The states of a process's threads, as proc(5) names them."""
    found = set()
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            found.add(stat.read_text().rpartition(") ")[2][0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
    return found


class Child:
    """One process with its log file (appended to over restarts)."""

    def __init__(self, name, command, log, environment=None, cwd=None):
        self.name = name
        self.log = Path(log)
        self.paused = False
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd,
                env={**os.environ, **(environment or {})}, start_new_session=True)

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        """To the whole group; nothing if it has ended."""
        if self.running():
            os.killpg(self.pid, number)

    def kill9(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGSTOP: it stands still until cont(). The kernel stops its threads one by one; this waits for the last."""
        self.signal(signal.SIGSTOP)
        self.paused = True
        wait_until(lambda: not self.running() or states(self.pid) <= STANDING, 60, f"{self.name} stands still")

    def cont(self):
        self.signal(signal.SIGCONT)
        self.paused = False

    def wait(self, deadline_s=60):
        """Its exit code (negative: the signal)."""
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} (pid {self.pid}) has not ended within {deadline_s} s") from None

    def terminate(self, deadline_s=60):
        """SIGTERM, then its exit code; 0 as well if it was stopping when LIBRARY_ABORT came."""
        if self.paused:
            self.cont()
        self.signal(signal.SIGTERM)
        code = self.wait(deadline_s)
        _, stopping, end = self.output().partition("event=stopping")
        return 0 if code == -signal.SIGABRT and stopping and LIBRARY_ABORT in end else code

    def output(self):
        """What this process (not an earlier one with the same log) has written."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def sanitizer_report(self):
        return next((line for line in self.output().splitlines() if any(w in line for w in SANITIZER_WORDS)), None)


class Program(Child):
    """A Millrace program that says in its ready file where it listens."""

    def __init__(self, name, command, log, ready_file):
        self.ready_file = Path(ready_file)
        self.ready_file.unlink(missing_ok=True)
        super().__init__(name, [*command, "--ready-file", self.ready_file], log)
        self.listen = None
        self.admin = None

    def wait_ready(self, deadline_s=90):
        def ready():
            if self.ready_file.exists():
                return json.loads(self.ready_file.read_text())
            if not self.running():
                raise AssertionError(f"{self.name} ended with {self.process.returncode} before it was ready: "
                                     + " / ".join(tail(self.log, 3)))
            return None

        place = wait_until(ready, deadline_s, f"{self.name} is ready")
        assert place["pid"] == self.pid, f"the ready file of {self.name} names pid {place['pid']}, not {self.pid}"
        self.listen = place["listen"]
        self.admin = place.get("admin")
        return self

    @property
    def url(self):
        return f"http://{self.listen}"

    @property
    def admin_url(self):
        return f"http://{self.admin or self.listen}"
