#!/usr/bin/env python3
"""Runs the system tests: every function test_*(env) of tests/system/test_*.py.

    build/venv/bin/python tests/system/run.py [--build DIR] [--full] [--lanes N] [NAME]

They run in three lanes (lanes.py), with a NAME in one. A lane has one real Kafka;
each test has its own cluster prefix, directory (build/system/TEST) and ports. A
test that needs longer than the default says so: `test_x.timeout_s = 600`; one
that is too long for every day: `test_x.only_full = True`; one that needs the
machine for itself: `test_x.alone = True`. NAME picks the tests whose
`file.function` contains it. The last line is `N passed, N failed`.
"""
import argparse
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TIMEOUT_S = 600
LANES = 3
sys.path.insert(0, str(HERE))

from children import tail  # noqa: E402
from environment import Environment, Ports  # noqa: E402
from kafka_server import KafkaServer  # noqa: E402
from lanes import Interrupted, Lanes, interruptible, on_interrupt  # noqa: E402


class TimedOut(BaseException):
    pass


def on_alarm(_number, _frame):
    raise TimedOut()


def discover(name):
    """[(title, function)] in file order; a file that cannot be imported is a failing test."""
    found = []
    for path in sorted(HERE.glob("test_*.py")):
        specification = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(specification)
        try:
            specification.loader.exec_module(module)
        except Exception:
            failure = traceback.format_exc()

            def broken(_env, failure=failure):
                raise AssertionError(failure)

            found.append((f"{path.stem}.import", broken))
            continue
        found += [(f"{path.stem}.{key}", value) for key, value in vars(module).items()
                  if key.startswith("test_") and callable(value) and value.__module__ == path.stem]
    return [(title, function) for title, function in found if not name or name in title]


def chosen(arguments):
    """The tests to run; those that are left for --full are named."""
    tests = []
    for title, function in discover(arguments.name):
        if arguments.full or not getattr(function, "only_full", False):
            tests.append((title, function))
        else:
            print(f"left    {title:<56} only with --full", flush=True)
    return tests


class Run:
    """What one lane does; `lane` of `lanes`."""

    def __init__(self, arguments, directory, lane=0, lanes=1):
        self.build = arguments.build.resolve()
        self.full = arguments.full
        self.directory = directory
        self.ports = Ports(lane, lanes)
        self.kafka_directory = directory / f"kafka{lane + 1}"
        self.environment = None
        self.kafka = None

    def start_kafka(self):
        self.kafka = KafkaServer(ROOT, self.kafka_directory, (self.ports.free(), self.ports.free()))
        self.kafka.start()

    def test(self, title, function, number):
        """Whether it has passed."""
        directory = self.directory / title
        directory.mkdir(parents=True)
        start = time.monotonic()
        trouble = None
        self.environment = Environment(f"t{number}-{os.getpid()}", directory, self.build, self.kafka, self.ports,
                                       self.full)
        limit = max(getattr(function, "timeout_s", 0), TIMEOUT_S)
        signal.alarm(limit)
        try:
            function(self.environment)
        except Exception:
            trouble = traceback.format_exc()
        except TimedOut:
            trouble = traceback.format_exc() + f"not done within {limit} s"
        finally:
            signal.alarm(0)
        seconds = time.monotonic() - start
        troubles = self.environment.close(clean=trouble is None)
        if troubles:
            trouble = (trouble or "") + "\n".join(troubles)
        print(f"{'ok    ' if trouble is None else 'FAILED'}  {title:<56} {seconds:6.1f} s", flush=True)
        if trouble is not None:
            self.show(trouble)
        self.environment = None
        if not self.kafka.running():
            self.kafka.start()
        self.kafka.resume()
        return trouble is None

    def show(self, trouble):
        print("    " + trouble.rstrip().replace("\n", "\n    "))
        for log in self.environment.logs():
            print(f"    --- {log.relative_to(ROOT) if log.is_relative_to(ROOT) else log}")
            for line in tail(log, 25):
                print("    " + line)
        sys.stdout.flush()

    def close(self):
        if self.environment:
            self.environment.close(clean=False)
        if self.kafka:
            self.kafka.kill9()


def in_lanes(arguments, tests, directory):
    """(passed, failed, was it interrupted)"""
    lanes = Lanes(tests, directory)
    count = min(arguments.lanes, len(tests))
    try:
        # Not by each lane's Kafka at once.
        subprocess.run([ROOT / "docker" / "kafka", "fetch"], check=True)
        lanes.run([Run(arguments, directory, lane, count) for lane in range(count)])
    except Interrupted as signal_name:
        print(f"interrupted by {signal_name}", flush=True)
        return lanes.passed, lanes.failed + 1, True
    finally:
        interruptible(signal.SIG_IGN)
        lanes.close()
    return lanes.passed, lanes.failed, False


def in_a_row(arguments, tests, directory):
    """The same in this process, where what a test prints appears at once."""
    run = Run(arguments, directory)
    passed = []
    try:
        run.start_kafka()
        for number, (title, function) in enumerate(tests):
            passed.append(run.test(title, function, number))
    except Interrupted as signal_name:
        print(f"interrupted by {signal_name}")
        return passed.count(True), passed.count(False) + 1, True
    finally:
        interruptible(signal.SIG_IGN)
        run.close()
    return passed.count(True), passed.count(False), False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "dev")
    parser.add_argument("--summary", type=Path, help="write the counts here, not to the last line")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--lanes", type=int, help="how many tests run side by side")
    parser.add_argument("name", nargs="?")
    arguments = parser.parse_args()
    arguments.lanes = arguments.lanes or (1 if arguments.name else LANES)
    interruptible(on_interrupt)
    signal.signal(signal.SIGALRM, on_alarm)
    tests = chosen(arguments)
    if tests:
        directory = arguments.build.resolve().parent / "system"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        side_by_side = min(arguments.lanes, len(tests)) > 1
        passed, failed, interrupted = (in_lanes if side_by_side else in_a_row)(arguments, tests, directory)
    else:
        print("no system test" + (f" matches {arguments.name}" if arguments.name else ""))
        passed, failed, interrupted = 0, 1, False
    summary = f"{passed} passed, {failed} failed"
    if arguments.summary:
        arguments.summary.write_text(summary + "\n")
    else:
        print(summary)
    return 130 if interrupted else int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
