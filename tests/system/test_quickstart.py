"""docker/quickstart: from a checkout to a search, and away again without a trace."""
import json
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

from test_feeding import whole

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = 500
PATIENCE = {"MILLRACE_QUERY_TIMEOUT_MS": "20000"}


def quickstart(*arguments, timeout=400):
    return subprocess.run([ROOT / "docker" / "quickstart", *map(str, arguments)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=timeout, env={**os.environ, **PATIENCE})


def until_interrupted(flags, timeout=400):
    """A start in a terminal, and Ctrl-C once it says so: its exit code and output."""
    words = [str(flag) for flag in flags if flag != "--detach"]
    with subprocess.Popen([ROOT / "docker" / "quickstart", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, start_new_session=True,
                          env={**os.environ, **PATIENCE}) as process:
        guard = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
        guard.start()
        try:
            output = ""
            for line in process.stdout:
                output += line
                if line == "Ctrl-C ends it\n":
                    break
            os.killpg(process.pid, signal.SIGINT)
            output += process.stdout.read()
            return process.wait(), output
        finally:
            guard.cancel()


def free_port_base(env):
    """A base whose ports of three nodes are free."""
    while True:
        base = env.ports.free()
        taken = False
        for offset in (0, 1, 11, 12, 21, 22, 31, 32, 33):
            with socket.socket() as probe:
                taken = taken or probe.connect_ex(("127.0.0.1", base + offset)) == 0
        if not taken:
            return base


def processes_of(directory):
    """Command lines of living processes that mention the directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory) in command:
            found.append(command)
    return found


def test_refused_flags(env):
    rows = [
        (["--nodes", "0"], "--nodes needs a number from 1 to 64, not `0`"),
        (["--nodes", "1", "--rf", "2"], "--rf 2: 1 node cannot hold as many copies of a shard"),
        (["--nodes", "2", "--rf", "3"], "--rf 3: 2 nodes cannot hold as many copies of a shard"),
        (["--partitions", "0"], "--partitions needs a number from 1 to 1024, not `0`"),
        (["--port-base", "x"], "--port-base needs a number from 1024 to 60000, not `x`"),
        (["--data"], "--data needs a value"),
        (["--data", "/nowhere.ndjson"], "--data /nowhere.ndjson: there is no such file to read"),
        (["--data", str(env.config), "--no-data"], "--data and --no-data exclude each other"),
        (["--kafka", "here"], "--kafka needs HOST:PORT, not `here`"),
        (["--fast"], "docker/quickstart: unknown argument `--fast` (--help lists them)"),
    ]
    for arguments, expected in rows:
        result = quickstart("--data-dir", env.directory / "state", *arguments)
        assert (result.returncode, result.stderr.strip()) == (78, expected), (arguments, result)
    assert not (env.directory / "state").exists(), "a refused start leaves nothing behind"


def test_taken_port(env):
    base = free_port_base(env)
    with socket.create_server(("127.0.0.1", base + 11)):
        result = quickstart("--data-dir", env.directory / "state", "--port-base", base, "--kafka", env.kafka.bootstrap)
    assert result.returncode == 1, result
    assert result.stderr.strip() == (f"port {base + 11}, meant for ingest1, is taken by another process; "
                                     "choose others with --port-base")


def start_words(env, state, base, *more):
    documents = env.directory / "documents.ndjson"
    documents.write_text("".join(json.dumps({"id": f"d{n}", "name": f"viewer {n}", "description": "an image viewer"})
                                 + "\n" for n in range(DOCUMENTS)))
    return ["--data-dir", state, "--port-base", base, "--kafka", env.kafka.bootstrap, "--partitions", 3,
            "--data", documents, "--no-install", "--detach", *more]


def status_lines(state):
    """{name: what `status` says of it}, and its exit code."""
    result = quickstart("status", "--data-dir", state)
    lines = [line.split() for line in result.stdout.splitlines()]
    return {words[0]: words[1] for words in lines if words[1] in ("running", "died", "stopped")}, result.returncode


def wait_level(env, base):
    """Until every replica has received all that the log holds: what is searchable need not yet be so on each node."""
    def level():
        answer = env.http("GET", f"http://127.0.0.1:{base + 1}/status", timeout=60)
        return answer.status == 200 and all(replica["lag"] == 0 for shard in answer.json()["shards"] for replica in shard["replicas"])

    env.wait_until(level, 90, "every replica is level")


def search_answers(env, base):
    """The documents of a search that must be complete, by id."""
    answer = whole(env, "GET", f"http://127.0.0.1:{base}/indexes/packages/search?q=viewer&limit={DOCUMENTS}")
    assert answer.status == 200, answer
    return {hit["id"] for hit in answer.json()["hits"]}


def test_start_search_stop_start(env):
    """One node, one of each other program: the smallest that works."""
    state = env.directory / "state"
    base = free_port_base(env)
    flags = start_words(env, state, base, "--nodes", 1)
    try:
        first = quickstart(*flags, timeout=1800)
        assert first.returncode == 0, first.stdout + first.stderr
        assert f"{DOCUMENTS} documents; everything took" in first.stdout
        again = quickstart(*flags)
        assert again.returncode == 1 and "is running already" in again.stderr, again
        assert status_lines(state) == (dict.fromkeys(["rebalance1", "n1", "ingest1", "query"], "running"), 0)
        answer = env.http("GET", f"http://127.0.0.1:{base}/indexes/packages/search?q=viewer%2017&limit=1", timeout=60).json()
        assert answer["hits"][0]["id"] == "d17", answer
        assert quickstart("stop", "--data-dir", state).returncode == 0
        assert processes_of(state) == []
        assert status_lines(state) == (dict.fromkeys(["rebalance1", "n1", "ingest1", "query"], "stopped"), 1)

        status, output = until_interrupted(flags)
        assert status == 130, output
        assert "documents: published at an earlier start" in output
        assert f"{DOCUMENTS} documents; everything took" in output
        assert processes_of(state) == []
        assert status_lines(state) == (dict.fromkeys(["rebalance1", "n1", "ingest1", "query"], "stopped"), 1)
    finally:
        quickstart("stop", "--data-dir", state)
    assert processes_of(state) == []


test_start_search_stop_start.timeout_s = 2700


def test_three_nodes_lose_one(env):
    """The defaults: what is searched survives a node that is killed, and starting again heals."""
    state = env.directory / "state"
    base = free_port_base(env)
    names = ["rebalance1", "rebalance2", "n1", "n2", "n3", "ingest1", "ingest2", "query"]
    everything = {f"d{n}" for n in range(DOCUMENTS)}
    try:
        first = quickstart(*start_words(env, state, base), timeout=1800)
        assert first.returncode == 0, first.stdout + first.stderr
        assert "[########################] 6 of 6 replicas in sync" in first.stdout, first.stdout
        assert status_lines(state) == (dict.fromkeys(names, "running"), 0)
        wait_level(env, base)
        assert search_answers(env, base) == everything

        for name in ("n2", "rebalance1"):
            os.kill(int((state / "run" / name).read_text().split()[0]), signal.SIGKILL)
        expected = {name: "died" if name in ("n2", "rebalance1") else "running" for name in names}, 1
        env.wait_until(lambda: status_lines(state) == expected, 60, "status shows the two that are dead, and no others")
        for _ in range(20):
            assert search_answers(env, base) == everything

        other = quickstart("--data-dir", state, "--nodes", 4)
        assert other.returncode == 78 and "was started with 3; docker/quickstart stop ends it" in other.stderr, other
        healed = quickstart("--data-dir", state, "--no-install", "--detach")
        assert healed.returncode == 0, healed.stdout + healed.stderr
        assert "programs: rebalance1 n2" in healed.stdout, healed.stdout
        assert "6 of 6 replicas in sync" in healed.stdout, healed.stdout
        assert status_lines(state) == (dict.fromkeys(names, "running"), 0)
        wait_level(env, base)
        assert search_answers(env, base) == everything

        assert quickstart("stop", "--data-dir", state).returncode == 0
        assert processes_of(state) == []
        fewer = quickstart("--data-dir", state, "--nodes", 2)
        assert fewer.returncode == 78 and "--nodes 2: 3 nodes hold what is in" in fewer.stderr, fewer
    finally:
        quickstart("stop", "--data-dir", state)
    assert processes_of(state) == []


test_three_nodes_lose_one.timeout_s = 2700
