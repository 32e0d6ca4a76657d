#!/usr/bin/env python3
"""Fuzzes every target of tests/fuzz, two at a time.

    tests/fuzz/run.py [--build DIR] [--full] [--seconds N] [NAME]

What a program gets from outside and from producers first of all is fuzzed for
40 s, the rest for 10 s (--full: 60 s). A target begins with its inputs in
tests/fuzz/corpus, with those it makes itself (seeds.h), and with what earlier
runs found: that is kept, reduced to what covers most, in the folder `fuzz` of
the cache of our packages. An input that fails is kept there too and is the
first to be tried in every run, until it passes. NAME picks the targets whose
name contains it. The last line is `N passed, N failed`.
"""
import argparse
import base64
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LONG = ("batch", "document", "filter", "mapping", "record")
LONG_S = 40
SHORT_S = 10
FULL_S = 60
# Led by how near numbers come to each other as well: that finds equal offsets, and slows texts down.
LED = ("answer", "batch", "copy", "disk_segment", "manifest", "marks", "node_answer", "node_report", "posting_list",
       "standing", "stored", "term_chunk", "token")
AT_ONCE = 2
INPUT_S = 60  # one input that takes longer hangs
MERGE_S = 120
MEMORY_MB = 1024
SHOWN_BYTES = 1024
TELLING = ("ERROR: ", "SUMMARY: ", "runtime error:", "assertion failed")
# From the start as long as the longest first input, so that those at an edge can grow over it.
FLAGS = (f"-timeout={INPUT_S}", f"-rss_limit_mb={MEMORY_MB}", "-report_slow_units=3600", "-len_control=0")


def cache():
    """As docker/shell.sh has it."""
    deps = os.environ.get("MILLRACE_DEPS_CACHE")
    if deps:
        return Path(deps) / "fuzz"
    home = os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME") or ROOT / "build") / ".cache"
    return Path(home) / "millrace" / "fuzz"


class Fuzzing:
    def __init__(self, arguments):
        self.bin = arguments.build.resolve() / "bin"
        self.work = arguments.build.resolve() / "fuzz"
        self.kept = cache()
        self.arguments = arguments
        self.passed = 0
        self.failed = 0
        self.lock = threading.Lock()
        self.children = set()
        self.ended = False

    def targets(self):
        """The longest first, so that two at a time end together."""
        names = [path.stem.removeprefix("fuzz_") for path in sorted(HERE.glob("fuzz_*.c"))]
        names = [name for name in names if (self.arguments.name or "") in name]
        return sorted(names, key=lambda name: -self.seconds(name))

    def seconds(self, name):
        if self.arguments.seconds:
            return self.arguments.seconds
        if self.arguments.full:
            return FULL_S
        return LONG_S if name in LONG else SHORT_S

    def call(self, name, log, *arguments, limit_s):
        """Status of one call of a target; None if it was not done in time."""
        with log.open("ab") as output:
            with self.lock:
                if self.ended:
                    return 1
                child = subprocess.Popen([self.bin / f"fuzz_{name}", *arguments], stdin=subprocess.DEVNULL,
                                         stdout=output, stderr=output, cwd=log.parent)
                self.children.add(child)
            try:
                return child.wait(limit_s)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                return None
            finally:
                with self.lock:
                    self.children.discard(child)

    def target(self, name):
        start = time.monotonic()
        work = self.work / name
        shutil.rmtree(work, ignore_errors=True)
        for folder in ("seeds", "inputs", "merged"):
            (work / folder).mkdir(parents=True)
        log = work / "log"
        failing = self.kept / name / "failing"
        failing.mkdir(parents=True, exist_ok=True)
        try:
            trouble, seen = self.fuzz(name, work, log, failing)
        except OSError as error:
            trouble, seen = str(error), ""
        self.report(name, time.monotonic() - start, trouble, seen, log)

    def fuzz(self, name, work, log, failing):
        """(what is wrong or None, what was seen)."""
        for path in sorted(failing.iterdir()):
            if self.call(name, log, *FLAGS, path, limit_s=2 * INPUT_S) != 0:
                return shown(path) + "\nit failed in an earlier run, and still does", ""
        if self.call(name, log, f"--seeds={work / 'seeds'}", "-runs=0", limit_s=INPUT_S) != 0:
            return "it does not make its seeds", ""
        self.take(name, work / "inputs")
        for path in failing.iterdir():  # it passes now
            shutil.move(path, work / "inputs" / path.name)
        written = HERE / "corpus" / name
        given = [work / "seeds"] + ([written] if written.is_dir() else [])
        words = HERE / f"{name}.dict"
        seconds = self.seconds(name)
        status = self.call(name, log, *FLAGS, f"-max_total_time={seconds}", f"-artifact_prefix={failing}/",
                           "-print_final_stats=1", f"-use_value_profile={int(name in LED)}",
                           *([f"-dict={words}"] if words.is_file() else []),
                           work / "inputs", *given, limit_s=seconds + MERGE_S + INPUT_S)
        seen = figures(log)
        if status != 0:
            found = sorted(failing.iterdir(), key=lambda path: path.stat().st_mtime)
            return (shown(found[-1]) if found else f"ended with {status}"), seen
        if self.call(name, log, "-merge=1", work / "merged", work / "inputs", limit_s=MERGE_S) == 0:
            self.keep(name, work / "merged")
        return None, seen

    def locked(self):
        file = (self.kept / "lock").open("w")
        fcntl.flock(file, fcntl.LOCK_EX)
        return file

    def take(self, name, to):
        with self.locked():
            for path in (self.kept / name).glob("inputs/*"):
                shutil.copy(path, to / path.name)

    def keep(self, name, merged):
        """In the place of what was kept: what covers no more than the rest goes."""
        inputs = self.kept / name / "inputs"
        fresh = self.kept / name / "inputs.new"
        with self.locked():
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(merged, fresh)
            shutil.rmtree(inputs, ignore_errors=True)
            fresh.rename(inputs)

    def report(self, name, seconds, trouble, seen, log):
        with self.lock:
            if self.ended:
                return
            self.failed += trouble is not None
            self.passed += trouble is None
            print(f"{'ok    ' if trouble is None else 'FAILED'}  {'fuzz ' + name:<40} {seconds:4.0f} s   {seen}",
                  flush=True)
            if trouble is not None:
                text = log.read_text(errors="replace").splitlines() if log.exists() else []
                lines = [*trouble.splitlines(), *[line for line in text if telling(line)][-20:], f"all of it: {log}"]
                print("\n".join("    " + line for line in lines), flush=True)

    def end(self):
        with self.lock:
            self.ended = True
            for child in self.children:
                child.kill()


def shown(path):
    content = path.read_bytes()
    text = base64.b64encode(content[:SHOWN_BYTES]).decode()
    cut = f" (its first {SHOWN_BYTES} bytes)" if len(content) > SHOWN_BYTES else ""
    return f"input of {len(content)} bytes, in base64{cut}: {text}\nkept in {path}"


def telling(line):
    """What an assertion, a sanitizer or libFuzzer found, and where in our code."""
    frame = re.match(r" +#\d+ ", line)
    return str(ROOT) in line if frame else any(word in line for word in TELLING)


def figures(log):
    text = log.read_text(errors="replace")
    runs = re.findall(r"^stat::number_of_executed_units: +(\d+)", text, re.MULTILINE)
    edges = re.findall(r" cov: (\d+) ft: \d+ corp: (\d+)/", text)
    return ", ".join([f"{runs[-1]} runs"] * bool(runs) + [f"{edge} edges, {kept} inputs" for edge, kept in edges[-1:]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("--summary", type=Path, help="write the counts here, not to the last line")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seconds", type=int, help="for every target")
    parser.add_argument("name", nargs="?")
    arguments = parser.parse_args()
    fuzzing = Fuzzing(arguments)
    fuzzing.kept.mkdir(parents=True, exist_ok=True)
    interrupted = False

    def on_signal(_number, _frame):
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    names = fuzzing.targets()
    if not names:
        print("no fuzz target" + (f" matches {arguments.name}" if arguments.name else ""))
        fuzzing.failed += 1
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for done in [pool.submit(fuzzing.target, name) for name in names]:
                done.result()
        except KeyboardInterrupt:
            interrupted = True
            fuzzing.end()
            pool.shutdown(wait=True, cancel_futures=True)
            fuzzing.failed += 1
    summary = f"{fuzzing.passed} passed, {fuzzing.failed} failed"
    if arguments.summary:
        arguments.summary.write_text(summary + "\n")
    else:
        print(summary)
    return 130 if interrupted else int(fuzzing.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
