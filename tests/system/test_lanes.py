"""The lanes themselves: side by side, alone, when one dies, when all are interrupted; without a Kafka."""
import collections
import os
import signal
import subprocess
import sys
from pathlib import Path

from children import Child, wait_until
from lanes import AGAIN_MAX, Interrupted, Lanes, interruptible, on_interrupt

WAIT_S = 90


class Part:
    """What a lane runs here: functions of a directory."""

    def __init__(self, directory):
        self.directory = directory
        self.child = None

    def start_kafka(self):
        self.child = Child("sleep", ["sleep", "1000"], self.directory / f"child{os.getpid()}")
        # From then on it ends with its lane.
        comm = Path(f"/proc/{self.child.pid}/comm")
        wait_until(lambda: comm.read_text() == "sleep\n", WAIT_S, "the child has asked the kernel")

    def test(self, title, function, _number):
        (self.directory / title).touch()
        try:
            passed = function(self.directory)
        finally:
            (self.directory / title).unlink()
        print(f"{title} has ended", flush=True)
        return passed

    def close(self):
        self.child.kill9()


def meets(other, directory):
    (directory / f"met-{other}").touch()
    return wait_until((directory / "met-one").exists, WAIT_S, "one") and wait_until((directory / "met-two").exists, WAIT_S, "two")


def one(directory):
    return meets("one", directory)


def two(directory):
    return meets("two", directory)


def fails(_directory):
    return False


def crowded(directory):
    """Passes the second time."""
    seen = (directory / "seen").exists()
    (directory / "seen").touch()
    return seen and not any(path.name in FUNCTIONS for path in directory.iterdir())


def solitary(directory):
    return [path.name for path in directory.iterdir() if path.name in FUNCTIONS] == ["solitary"]


def dies(directory):
    for path in directory.glob("dies*"):
        path.unlink()
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(directory):
    (directory / f"hanging{os.getpid()}").touch()
    wait_until(lambda: False, 10 * WAIT_S, "the end of days")


solitary.alone = True
one.timeout_s = 300
FUNCTIONS = {function.__name__: function for function in (one, two, fails, crowded, solitary, dies, hangs)}


def main(directory, names):
    """As run.py does it."""
    interruptible(on_interrupt)
    lanes = Lanes([(name, FUNCTIONS[name.rstrip("0123456789")]) for name in names], directory)
    try:
        lanes.run([Part(directory), Part(directory)])
    except Interrupted as signal_name:
        print(f"interrupted by {signal_name}", flush=True)
    finally:
        lanes.close()
    print(f"{lanes.passed} passed, {lanes.failed} failed")


def command(env, *names):
    return [sys.executable, __file__, str(env.directory), *names]


def outcome(env, *names):
    """The lines that it prints, in their order those of one lane only; all of its processes have ended."""
    result = subprocess.run(command(env, *names), capture_output=True, text=True, timeout=4 * WAIT_S)
    assert result.returncode == 0, result
    wait_nobody_left(env)
    return result.stdout.splitlines()


def left(env):
    """What a lane has started and still runs."""
    found = []
    for output in Path("/proc").glob("[0-9]*/fd/1"):
        try:
            if os.readlink(output).startswith(str(env.directory / "child")):
                found.append(output)
        except OSError:
            continue
    return found


def wait_nobody_left(env):
    wait_until(lambda: not left(env), WAIT_S, "everything that lanes have started has ended")


def again(*names):
    return [f"again   {name:<56} failed beside others: what it did alone counts" for name in names]


def test_side_by_side(env):
    lines = outcome(env, "solitary", "one", "fails1", "fails2", "two")
    assert collections.Counter(lines[:4]) == collections.Counter(
        f"{name} has ended" for name in ("one", "two", "fails1", "fails2")), lines
    failed = [line.split()[0] for line in lines[:4] if line.startswith("fails")]
    assert lines[4:] == [*(f"{name}.alone has ended" for name in failed), "solitary has ended", *again(*failed),
                         "3 passed, 2 failed"], lines


def test_failed_beside_others(env):
    """It runs again alone, which counts; where more fail than a few, the others have failed."""
    lines = outcome(env, "solitary", "one", "crowded", "two")
    assert sorted(lines[:3]) == ["crowded has ended", "one has ended", "two has ended"], lines
    assert lines[3:] == ["crowded.alone has ended", "solitary has ended", *again("crowded"), "4 passed, 0 failed"], lines
    lines = outcome(env, *(f"fails{number}" for number in range(5)))
    assert len([line for line in lines if line.endswith(".alone has ended")]) == AGAIN_MAX, lines
    assert lines[-1] == "0 passed, 5 failed", lines


def test_a_lane_dies(env):
    lines = outcome(env, "dies", "fails1", "fails2", "solitary")
    assert sorted(lines[:3]) == sorted([f"FAILED  {'dies':<56} its lane has ended", "fails1 has ended", "fails2 has ended"]), lines
    assert sorted(lines[3:5]) == ["fails1.alone has ended", "fails2.alone has ended"], lines
    assert lines[5] == "solitary has ended" and sorted(lines[6:8]) == again("fails1", "fails2"), lines
    assert lines[8:] == ["1 passed, 3 failed"], lines
    assert outcome(env, "dies1", "fails", "dies2")[-2:] == [
        f"FAILED  {'fails':<56} no lane is left to run it", "0 passed, 3 failed"]


def test_interrupted(env):
    for number in (signal.SIGINT, signal.SIGTERM):
        with (env.directory / "lanes.out").open("w") as output:
            running = subprocess.Popen(command(env, "hangs1", "hangs2"), stdout=output, start_new_session=True)
        wait_until(lambda: len(list(env.directory.glob("hanging*"))) == 2, WAIT_S, "both hang")
        running.send_signal(number)
        assert running.wait(WAIT_S) == 0
        assert (env.directory / "lanes.out").read_text().splitlines() == [
            f"interrupted by {number.name}", "0 passed, 0 failed"]
        wait_nobody_left(env)
        for path in env.directory.glob("hanging*"):
            path.unlink()


def test_killed_outright(env):
    """What nobody can catch: the lanes and what they started end all the same."""
    with (env.directory / "lanes.out").open("w") as output:
        running = subprocess.Popen(command(env, "hangs1", "hangs2"), stdout=output, start_new_session=True)
    wait_until(lambda: len(list(env.directory.glob("hanging*"))) == 2, WAIT_S, "both hang")
    assert len(left(env)) == 2
    running.kill()
    running.wait()
    wait_nobody_left(env)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
