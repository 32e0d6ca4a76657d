"""A replica that silently holds something else than its log: found, outvoted, dropped, and filled anew.

Nothing is wrong with the disk and nothing with the bytes (falsify.c): the
replica has its siblings' watermark, and believes in another document. Only
its digest says so, to whoever compares it with a sibling's.

A divergent shard goes on serving: which of two replicas is wrong nobody knows
before a third has voted. Until then a search may be answered by either, for
the documents in which they differ, and all others must be found as ever.
"""
import json
import shutil
import subprocess
import threading

from children import wait_until
from documents import Publisher
from fleet import OneNode, Topology, assert_replicas_are_fold, rows_of, wait_whole
from fold import partition_of
from replica_view import create_index, log_ends, verify
from searching import no_cutoff
from traffic import DEGRADED, Churn, Judge, Searches, Stable

SEAL = 4096
ODD = "odd"
TRUE, FALSE = "veritaswort", "falsumverbum"  # two words that only the odd document ever has
TRUE_BODY = f'{{"id":"{ODD}","word":"{TRUE}"}}'
FALSE_BODY = TRUE_BODY.replace(TRUE, FALSE)
WRITES_A_SECOND = 30  # a seal is two minutes
SEARCHES_A_SECOND = 60
POLL_S = 0.1
REPAIR_S = 240
PATIENCE = {"query.timeout_ms": 15000}


class Watching(threading.Thread):
    """Repeats step() until finish(), which shows what went wrong."""

    def __init__(self):
        super().__init__(daemon=True)
        self._end = threading.Event()
        self.trouble = None

    def run(self):
        try:
            while not self._end.wait(POLL_S):
                self.step()
        except Exception as error:  # shown by finish()
            self.trouble = error

    def finish(self):
        self._end.set()
        self.join(90)
        if self.trouble:
            raise self.trouble


class Seals(Watching):
    """Every seal that a replica of one partition ever told."""

    def __init__(self, env, index, partition):
        super().__init__()
        self._env, self._index, self._partition = env, index, partition
        self.digests = {}  # (node, incarnation) → {offset: digest}

    def step(self):
        for node in self._env.nodes:
            row = rows_of(self._env, self._index, node).get(self._partition)
            if row:
                told = self.digests.setdefault((node, row["incarnation"]), {})
                told.update({seal["offset"]: seal["digest"] for seal in row["seals"]})


class OddSearches(Watching):
    """Asks for the odd document by both words: each answer is that of one replica, whole and unflagged."""

    def __init__(self, env):
        super().__init__()
        self._env = env
        self.seen = {"true": 0, "false": 0}

    def ask(self):
        """Which replica's answer it is, for either word."""
        believed = []
        for word, others in ((TRUE, "false"), (FALSE, "true")):
            hits = wait_until(lambda word=word: self._unflagged(word), 60, f"{word} is answered whole").json()["hits"]
            assert hits in ([], [{"id": ODD, "word": word}]), f"a search for {word} finds {hits}"
            mine = "true" if word == TRUE else "false"
            believed.append(mine if hits else others)
        return believed

    def _unflagged(self, word):
        """The answer, or None while nodes lack something that stood still with the machine."""
        answer = self._env.http("POST", "/indexes/busy/search", {"q": word}, timeout=60)
        flagged = answer.headers["X-Millrace-Degraded"]
        assert answer.status == 200 and (flagged is None or self._env.stood_still("shard")), (answer, flagged)
        return answer if flagged is None else None

    def step(self):
        for believed in self.ask():
            self.seen[believed] += 1


class Cluster:
    """An index of stable, churning and odd documents, and who holds the odd one."""

    def __init__(self, env, nodes, partitions):
        env.plan(nodes=nodes, rf=2)
        env.start_all(PATIENCE)
        self.env = env
        self.index = create_index(env, "busy", partitions)
        no_cutoff(env, "busy")
        self.partition = partition_of(self.index, ODD.encode())
        self.key = f"shard/{self.index.id:016x}/{self.partition}"
        self.topology = Topology(env)
        self.topology.start()
        self.publisher = Publisher(env, self.index.topic)
        self.stable = Stable()
        self.stable.publish(self.publisher)
        self.fillers = 0
        self.pass_seal()
        self.publisher.send(ODD, TRUE_BODY.encode())
        self.publisher.flush()
        wait_whole(env, self.index, self.topology, 180)
        self.wrong, self.right = sorted(self.held())
        self.seals = Seals(env, self.index, self.partition)
        self.seals.start()
        self.odd = OddSearches(env)
        self.odd.start()

    def pass_seal(self):
        """So many records that every replica of the partition gets to another seal."""
        ids = (f"filler-{number}" for number in range(self.fillers, 2**31))
        own = (id for id in ids if partition_of(self.index, id.encode()) == self.partition)
        for _ in range(SEAL):
            id = next(own)
            self.publisher.send(id, f'{{"id":"{id}"}}'.encode())
            self.fillers = int(id.split("-")[1]) + 1
        self.publisher.flush()

    def held(self):
        return self.topology.replicas(self.index)[self.partition]

    def directory(self, node):
        return self.env.directory / node / "replicas" / f"{self.index.id:016x}-1-{self.partition}"

    def row(self, node):
        return rows_of(self.env, self.index, node).get(self.partition)

    def records(self):
        """The shard's records so far, oldest first."""
        return [record for _, key, record in list(self.topology.history) if key == self.key]

    def is_divergent(self):
        return self.records()[-1].get("divergent", False)

    def times_divergent(self):
        """How often the shard became so."""
        flags = [record.get("divergent", False) for record in self.records()]
        return sum(now and not before for before, now in zip([False, *flags], flags))

    def falsify(self, meanwhile=lambda: None):
        """The wrong node again, with another belief. Returns the incarnation that has it."""
        self.incarnation = wait_until(lambda: self.row(self.wrong), 60, "the node to be wrong answers")["incarnation"]
        program = self.env.programs[self.wrong]
        assert program.terminate() == 0
        edit = subprocess.run([self.env.bin / "falsify", self.directory(self.wrong), ODD, TRUE, FALSE],
                              capture_output=True, text=True)
        assert edit.returncode == 0, edit.stderr
        assert FALSE.encode() in (self.directory(self.wrong) / "data.mdb").read_bytes()
        meanwhile()
        self.env.start(self.wrong)

        def level():
            row = self.row(self.wrong)
            return row and row["state"] in ("active", "stopped") and row

        row = wait_until(level, 120, "the wrong replica is level")
        assert row["state"] == "active" and row["incarnation"] == self.incarnation, row
        self.falsified_at = int(edit.stdout)

    def wait_level(self):
        """Until both have all that the log holds now, and have told it."""
        end = log_ends(self.env, self.index)[self.partition]
        wait_until(lambda: all((self.row(node) or {"received": -1})["received"] >= end for node in self.held()), 90,
                   f"both are at {end}")

    def finish(self):
        self.odd.finish()
        self.seals.finish()
        self.topology.finish()

    # -- what must hold ------------------------------------------------------

    def assert_honest(self):
        """The wrong replica finds nothing wrong with itself."""
        status, body = verify(OneNode(self.env, self.wrong), self.index, self.partition)
        assert status == 200, f"/verify of the wrong replica: {status} {body[:300]}"

    def assert_told(self, divergent):
        """By the controller, the gateway and the command line; with nobody to decide an operator is wanted."""
        self.wait_told(divergent)
        wait_until(lambda: self._status()["digests"] == ("differ" if divergent else "equal"), 60, "the digests are told")
        # neither waits for a node that is late with its answer
        wait_until(lambda: ("1 shards whose replicas differ" in self.env.millrace("status").stdout) == divergent, 60,
                   f"the command line tells divergent as {divergent}")
        wait_until(lambda: self._examined() == ([(f"busy/{self.partition}", "error")] * divergent, int(divergent)), 60,
                   f"the doctor tells divergent as {divergent}")

    def _examined(self):
        """([(check, verdict)], exit code) of the doctor; of what he finds only this."""
        doctor = self.env.millrace("doctor", "-o", "json", check=False)
        return [(row["check"], row["verdict"]) for row in json.loads(doctor.stdout) if row["found"] == "its copies differ"], \
            doctor.returncode

    def wait_told(self, divergent):
        """By the controller's status and metric."""
        wait_until(lambda: self._told() == (divergent, divergent, float(divergent)), 90, f"divergent is told as {divergent}")

    def assert_counted(self, changes):
        """{change: how often because of digests}"""
        name = 'millrace_controller_replica_changes_total{change="%s",reason="digest"}'

        def found():
            metrics = self.env.metrics("rebalance")
            return {change: metrics.get(name % change, 0) for change in changes}

        # a change is counted after it was recorded
        wait_until(lambda: all(found()[change] >= count for change, count in changes.items()), 60, f"{changes} are counted")
        assert found() == changes, f"{found()}, not {changes}"

    def _told(self):
        """None while the controller is not in office."""
        program = self.env.programs["rebalance"]
        shard = self._own(self.env.http("GET", program.url + "/status").json()["shards"])
        divergent = self.env.metrics("rebalance")["millrace_controller_shards_divergent"]
        return shard and (shard["divergent"], shard["needs_operator"], divergent)

    def _status(self):
        """What the gateway says of the shard."""
        url = self.env.programs["query"].admin_url + "/status"
        return self._own(self.env.http("GET", url, timeout=30).json()["shards"])

    def _own(self, shards):
        return next((shard for shard in shards if shard["partition"] == self.partition), None)

    def compared_seals(self):
        """{offset: whether the wrong incarnation has the seal of all others}; those have equal ones."""
        told = {replica: dict(seals) for replica, seals in list(self.seals.digests.items())}
        mine = told.pop((self.wrong, self.incarnation), {})
        others = {}
        for replica, seals in told.items():
            for offset, digest in seals.items():
                assert others.setdefault(offset, digest) == digest, f"{replica} has another seal at {offset}"
        return {offset: digest == others[offset] for offset, digest in mine.items() if offset in others}

    def assert_seals(self):
        """The wrong incarnation's differ from when it is wrong on."""
        wait_until(lambda: {True, False} == set(self.compared_seals().values()), 60, "seals from before and after")
        compared = self.compared_seals()
        expected = {offset: offset <= self.falsified_at for offset in compared}
        assert compared == expected, f"wrong from {self.falsified_at} on: {compared}"

    def assert_odd_is_true(self):
        """Whoever answers, and whatever is on a disk."""
        for _ in range(30):
            assert self.odd.ask() == ["true", "true"]
        assert self.env.http("GET", f"/indexes/busy/documents/{ODD}", timeout=60).json()["word"] == TRUE
        for path in self.env.directory.glob("n*/replicas/*/*"):
            assert FALSE.encode() not in path.read_bytes(), f"{path} still has the wrong document"


def story_of(records):
    """[(number of the record, what it changes)], in words; within one record in no order."""
    found, before = [], {"replicas": []}
    for number, record in enumerate(records):
        was = {replica["node"]: replica for replica in before["replicas"]}
        now = {replica["node"]: replica for replica in record["replicas"]}
        for node, replica in now.items():
            earlier = was.get(node, {})
            if replica["state"] != earlier.get("state"):
                found.append((number, f"{node} {replica['state']}"))
            if replica["in_sync"] != earlier.get("in_sync", False):
                found.append((number, f"{node} {'in' if replica['in_sync'] else 'out'}"))
        found += [(number, f"{node} gone") for node in was.keys() - now.keys()]
        if record.get("divergent", False) != before.get("divergent", False):
            found.append((number, "divergent" if record.get("divergent") else "agreeing"))
        before = record
    return found


def assert_in_turn(expected, story):
    """`expected` is what happened, other changes in between."""
    at = 0
    for event in expected:
        at = next((number for number, found in story if number >= at and found == event), None)
        assert at is not None, f"not {event} in its turn: {story}"


def test_third_replica_decides(env):
    cluster = Cluster(env, 3, 3)
    third = next(node for node in env.nodes if node not in cluster.held())
    churn = Churn(env, cluster.index, WRITES_A_SECOND, 1)
    churn.start()
    searches, judge = Searches(env, cluster.stable, SEARCHES_A_SECOND, 4), Judge(churn, 60)
    searches.wait_more(SEARCHES_A_SECOND)
    cluster.falsify(meanwhile=cluster.pass_seal)

    def repaired():
        return cluster.times_divergent() > 0 and not cluster.is_divergent() and \
            cluster.held().keys() == {cluster.wrong, cluster.right}

    wait_until(repaired, REPAIR_S, "the wrong replica is replaced")
    wait_whole(env, cluster.index, cluster.topology, 180)
    searches.wait_more(SEARCHES_A_SECOND)
    churn.finish()
    troubles = [trouble for trouble in judge.troubles(searches.finish(), True)
                if not (f" 200 {DEGRADED}=" in trouble and env.stood_still("shard"))]
    assert not troubles, f"{len(troubles)} of {searches.count} searches: {troubles[:3]}"
    wrong, right = cluster.wrong, cluster.right
    story = story_of(cluster.records())
    print(f"          {cluster.odd.seen} for the odd document, {searches.count} other searches", flush=True)
    assert_in_turn(["divergent", f"{third} joining", f"{third} in", f"{wrong} leaving", "agreeing", f"{wrong} gone",
                    f"{wrong} joining", f"{wrong} in", f"{third} leaving", f"{third} gone"], story)
    changes = [change for _, change in story]
    assert changes.count("divergent") == changes.count("agreeing") == 1, story
    assert f"{right} out" not in changes or env.stood_still("shard"), story
    assert f"{right} leaving" not in changes, story
    assert not any("divergent" in record for _, key, record in cluster.topology.history
                   if key.startswith("shard/") and key != cluster.key), "another shard is divergent"
    assert cluster.held()[wrong]["incarnation"] != cluster.incarnation
    wait_until(lambda: not cluster.directory(third).exists(), 60, f"{third} drops its replica")
    assert cluster.odd.seen["true"] > 0
    cluster.assert_counted({"divergent": 1, "joining": 1, "leaving": 1, "agreeing": 1})
    cluster.finish()
    cluster.assert_seals()
    cluster.assert_odd_is_true()
    cluster.assert_told(False)
    assert_replicas_are_fold(env, cluster.index, cluster.topology)


test_third_replica_decides.timeout_s = 1200


def test_two_replicas_wait_for_an_operator(env):
    cluster = Cluster(env, 2, 1)
    cluster.falsify()
    wait_until(cluster.is_divergent, 90, "the shard is divergent")
    cluster.assert_told(True)
    cluster.assert_honest()

    def both_in():
        held = cluster.held()
        return held if all(replica["in_sync"] for replica in held.values()) else None

    before = wait_until(both_in, 60, "both are in-sync")
    # Below a new seal most reports are of different offsets, and the seals that both have are from before: no
    # reason to take anything back.
    churn = Churn(env, cluster.index, WRITES_A_SECOND, 1)
    churn.start()
    wait_until(lambda: churn.sent >= 4 * WRITES_A_SECOND, 60, "writes have gone on")
    assert cluster.times_divergent() == 1 and cluster.is_divergent(), story_of(cluster.records())
    # Another controller knows no more than that the shard is divergent.
    assert env.programs["rebalance"].terminate() == 0
    env.start("rebalance")
    cluster.wait_told(True)
    written = churn.sent
    wait_until(lambda: churn.sent >= written + 4 * WRITES_A_SECOND, 60, "writes have gone on")
    wait_until(lambda: min(cluster.odd.seen.values()) > 0, 60, "both replicas go on answering")
    row = wait_until(lambda: cluster.row(cluster.right), 60, "the right node answers")
    assert row["received"] // SEAL == cluster.falsified_at // SEAL, "there is another seal already"
    assert cluster.times_divergent() == 1 and cluster.is_divergent(), story_of(cluster.records())
    cluster.pass_seal()
    churn.finish()
    cluster.wait_level()
    cluster.assert_told(True)
    wait_until(lambda: cluster.held() == before, 60, f"both are recorded as before: {before}")
    cluster.assert_honest()
    cluster.assert_seals()

    # The operator finds out who is wrong, and takes its files away: it is filled anew.
    assert env.programs[cluster.wrong].terminate() == 0
    shutil.rmtree(cluster.directory(cluster.wrong))
    env.start(cluster.wrong)
    wait_until(lambda: not cluster.is_divergent(), 120, "the replicas agree")
    wait_whole(env, cluster.index, cluster.topology, 180)
    assert cluster.times_divergent() == 1, story_of(cluster.records())
    cluster.finish()
    cluster.assert_odd_is_true()
    cluster.assert_told(False)
    assert_replicas_are_fold(env, cluster.index, cluster.topology)


test_two_replicas_wait_for_an_operator.timeout_s = 1200
