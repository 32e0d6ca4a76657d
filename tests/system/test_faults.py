"""Faults of every kind under load: no search fails or is wrong, and everything comes back.

Three nodes, two replicas of each shard, two ingest workers, two controllers,
everybody behind the fault proxy. Writes and searches (traffic.py) go on
throughout; faults come one after another, most of them aimed at a batch in
flight, and each is over when every replica is in-sync again.

MILLRACE_FAULTS_SEED repeats the order of an earlier run.
"""
import functools
import os
import random
import shutil
import time

from children import wait_until
from documents import Publisher
from fleet import Topology, Watermarks, assert_replicas_are_fold, feeding, rows_of, slots_shared, wait_whole
from replica_view import create_index, log_ends
from searching import no_cutoff
from traffic import DEGRADED, Churn, Judge, Searches, Stable

NODES = ("n1", "n2", "n3")
INGESTS = ("ingest", "ingest2")
CONTROLLERS = ("rebalance", "rebalance2")
ROUND = 15
PARTITIONS = 6
WRITES_A_SECOND = 200
SEARCH_THREADS = 40
SEARCHES_UNDER_FAULT = 600
IN_S = 240  # no promise, but an end
SESSION_TIMEOUT_S = 6
AIM_MS = 300
OLD_COPY_S = 600  # with --full the last restored disks are at least that old

# (source, destination kind, fault, whether the node is taken out; None: either). What makes a node unreachable for the
# controller or for ingest takes it out; what only the gateway meets does not.
NETWORK = [
    ("rebalance", "node", {"kind": "black_hole"}, True),
    ("ingest", "node", {"kind": "black_hole", "direction": "down"}, True),
    ("query", "node", {"kind": "black_hole"}, False),
    ("ingest", "kafka", {"kind": "black_hole"}, None),
    ("query", "node", {"kind": "reset", "size": 300, "direction": "down"}, False),
    ("*", "node", {"kind": "half_open"}, True),
    ("query", "node", {"kind": "drip", "rate": 2000, "direction": "down"}, False),
    ("rebalance", "kafka", {"kind": "black_hole"}, None),
    ("ingest", "node", {"kind": "reset", "size": 900, "direction": "up"}, None),
    ("query", "node", {"kind": "delay", "ms": 1000}, False),
    ("*", "node", {"kind": "drop"}, True),
    ("query", "kafka", {"kind": "black_hole"}, None),
    ("ingest", "node", {"kind": "black_hole", "direction": "up"}, True),
    ("query", "node", {"kind": "drop"}, False),
    ("*", "node", {"kind": "delay", "ms": 200}, False),
    ("node", "kafka", {"kind": "black_hole"}, None),
    ("rebalance", "node", {"kind": "half_open", "direction": "down"}, None),
    ("query", "node", {"kind": "half_open", "direction": "down"}, False),
    ("ingest", "node", {"kind": "drip", "rate": 500, "direction": "up"}, None),
    ("ingest", "kafka", {"kind": "drop"}, None),
    ("query", "node", {"kind": "half_open"}, False),
    ("rebalance", "kafka", {"kind": "drop"}, None),
    ("ingest", "node", {"kind": "half_open"}, None),
    ("rebalance", "node", {"kind": "drop"}, True),
    ("node", "kafka", {"kind": "reset", "size": 100}, None),
    ("query", "kafka", {"kind": "drop"}, None),
]


class Promises:
    """What is promised in time. --full asks for that, on a machine of its own; else only who never comes is late."""

    def __init__(self, full):
        self.out_s = 15 if full else 60
        self.visible_s = SESSION_TIMEOUT_S + 2 if full else IN_S
        self.stale_s = 25 if full else 60
        self.asked_a_second = 260 if full else 100
        self.searches_a_second = 200 if full else 40  # must be reached
        self.query = {} if full else {"query.timeout_ms": 10000}


class Campaign:
    def __init__(self, env, dice, promises):
        self.env = env
        self.promises = promises
        self.dice = dice
        self.index = create_index(env, "busy", PARTITIONS)
        no_cutoff(env, "busy")
        self.topology = Topology(env)
        self.topology.start()
        stable = Stable()
        publisher = Publisher(env, self.index.topic)
        stable.publish(publisher)
        publisher.flush()
        wait_whole(env, self.index, self.topology, IN_S)
        self.churn = Churn(env, self.index, WRITES_A_SECOND, dice.randrange(2**32))
        self.churn.start()
        self.watermarks = Watermarks(env, self.index, self.topology)
        self.watermarks.start()
        self.judge = Judge(self.churn, promises.stale_s)
        self.start = time.monotonic()
        self.searches = Searches(env, stable, promises.asked_a_second, SEARCH_THREADS)
        self.copies = {}  # node → (when, directory)
        self.restored_s = []  # how old the restored copies were
        self.with_batch_in_flight = 0
        self.count = 0
        self.troubles = []
        self.stopped = 0  # nodes, by a fault

    # -- one fault ----------------------------------------------------------

    def meet(self, title, strike):
        """strike() brings the fault about and ends it; afterwards everything is in-sync again."""
        self.judge_searches("before")
        start = time.monotonic()
        notes = strike()
        healed = time.monotonic()
        self.env.proxy.clear()
        wait_whole(self.env, self.index, self.topology, IN_S)
        self.wait_all_used()
        wait_until(lambda: slots_shared(self.env, INGESTS), IN_S, "every ingest worker owns slots again")
        self.watermarks.excused = None
        wait_until(self.watermarks.caught_up, IN_S, "as much is committed as ever was")
        self.count += 1
        seconds = sorted(entry["to"] - entry["from"] for entry in self.judge_searches(title))
        p99, worst = seconds[len(seconds) * 99 // 100], seconds[-1]
        print(f"          fault {self.count}: {title}: {notes}in after {time.monotonic() - healed:.1f} s; "
              f"{len(seconds)} searches in {time.monotonic() - start:.1f} s, "
              f"p99 {p99 * 1000:.0f} ms, worst {worst * 1000:.0f} ms", flush=True)

    def judge_searches(self, when, last=False):
        new = self.searches.finish() if last else self.searches.take()
        for trouble in self.judge.troubles(new, last):
            incomplete = f" 200 {DEGRADED}=" in trouble or f": 503 {DEGRADED}=" in trouble
            if incomplete and self.env.stood_still("shard") > self.stopped:
                continue  # nodes stood still that no fault had stopped; what is wrong is wrong all the same
            self.troubles.append(f"{when}: {trouble}")
            if len(self.troubles) <= 20:
                print(f"          trouble: {self.troubles[-1][:600]}", flush=True)
        return new

    def aim(self, node, worker=None):
        """Until a batch to the node is in flight (of that worker): what ingest sends it, or its answers, are late."""
        direction = self.dice.choice(("up", "down"))
        for source in INGESTS:
            self.env.proxy.set(node, "delay", source=source, ms=AIM_MS, direction=direction)
        wait_until(lambda: self.in_flight(node, worker) >= 1, 60, f"a batch to {node} is in flight")
        self.with_batch_in_flight += 1

    def in_flight(self, node, worker=None):
        names = [worker] if worker else [name for name in INGESTS if self.env.programs[name].running()]
        return sum(self.env.metrics(name).get(f'millrace_ingest_batches_in_flight{{node="{node}"}}', 0) for name in names)

    def out_of_sync(self, node):
        held = self.topology.held_by(self.index, node)
        assert held, f"{node} holds no replica"
        return not any(replica["in_sync"] for replica in held.values())

    def wait_out(self, node, since):
        wait_until(lambda: self.out_of_sync(node), self.promises.out_s - (time.monotonic() - since), f"{node} is out of sync")
        seconds = time.monotonic() - since
        wait_until(lambda: not any(self.told_in_sync(node)), IN_S, f"the status says that {node} is out")
        return f"out after {seconds:.1f} s; "

    def told_in_sync(self, node):
        """What the gateway's status says of each replica of the node."""
        answer = self.env.http("GET", self.env.programs["query"].admin_url + "/status", timeout=30).json()
        return [replica["in_sync"] for shard in answer["shards"] if shard["uid"] == "busy"
                for replica in shard["replicas"] if replica["node"] == node]

    def wait_all_used(self):
        """Until the status says that all are in, and every node is asked."""
        before = {node: self.searched(node) for node in NODES}
        for node in NODES:
            wait_until(lambda: all(self.told_in_sync(node)), IN_S, f"the status says that {node} is in")
            wait_until(lambda: self.searched(node) > before[node], IN_S, f"{node} is asked again")

    def searched(self, node):
        return self.env.metrics(node)["millrace_node_search_duration_seconds_count"]

    def wait_not_asked(self, node):
        """Until SEARCHES_UNDER_FAULT searches were answered without that node."""
        def apart():
            before = self.searched(node)
            self.searches.wait_more(SEARCHES_UNDER_FAULT)
            return self.searched(node) == before

        wait_until(apart, IN_S, f"{node} is not asked while it is out")

    # -- programs -----------------------------------------------------------

    def kill_node(self, node):
        self.aim(node)
        start = time.monotonic()
        self.env.programs[node].kill9()
        self.env.proxy.clear()
        note = self.wait_out(node, start)
        if node not in self.copies:
            copy = self.env.directory / f"{node}.copy"
            shutil.copytree(self.env.directory / node, copy)
            self.copies[node] = (time.monotonic(), copy)
        self.searches.wait_more(SEARCHES_UNDER_FAULT)
        self.env.start(node)
        return note

    def stop_node(self, node):
        self.aim(node)
        start = time.monotonic()
        self.env.programs[node].stop()
        self.stopped += 1
        self.env.proxy.clear()
        note = self.wait_out(node, start)
        self.searches.wait_more(SEARCHES_UNDER_FAULT)
        self.env.programs[node].cont()
        return note

    def empty_disk(self, node):
        self.aim(node)
        before = self.topology.held_by(self.index, node)
        self.watermarks.excused = node
        self.env.programs[node].kill9()
        self.env.proxy.clear()
        shutil.rmtree(self.env.directory / node)
        self.env.start(node)

        def others():
            held = self.topology.held_by(self.index, node)
            return all(held[p]["incarnation"] not in ("", replica["incarnation"]) for p, replica in before.items())

        wait_until(others, IN_S, f"the new incarnations of {node} are recorded")
        return ""

    def copy_age(self, node):
        return time.monotonic() - self.copies[node][0]

    def restore_disk(self, node):
        _, copy = self.copies[node]
        self.aim(node)
        self.watermarks.excused = node
        self.env.programs[node].kill9()
        self.env.proxy.clear()
        shutil.rmtree(self.env.directory / node)
        shutil.copytree(copy, self.env.directory / node)
        self.restored_s.append(self.copy_age(node))
        self.env.start(node)
        return f"a copy {self.restored_s[-1]:.0f} s old; "

    def kill_ingest(self):
        fed = wait_until(self.fed_whole, IN_S, "every partition is fed")
        worker = self.dice.choice([row["worker"] for row in fed.values()])
        mine = [partition for (_, partition), row in fed.items() if row["worker"] == worker]
        node = self.dice.choice([node for node in NODES if any(p in self.topology.held_by(self.index, node) for p in mine)])
        self.aim(node, worker)
        start = time.monotonic()
        self.env.programs[worker].kill9()
        ends = log_ends(self.env, self.index)
        self.env.proxy.clear()

        def visible():
            return all(rows_of(self.env, self.index, node).get(p, {"received": -1})["received"] > ends[p]
                       for p in mine for node in self.topology.replicas(self.index)[p])

        what = f"writes are visible again on partitions {mine}, which {worker} fed"
        wait_until(visible, IN_S, what)
        seconds = time.monotonic() - start
        if seconds > self.promises.visible_s:
            self.troubles.append(f"{what}, only after {seconds:.1f} s")
        note = f"{worker} fed {len(mine)} shards; visible again after {seconds:.1f} s; "
        self.env.start(worker)
        return note

    def fed_whole(self):
        fed = feeding(self.env)
        return fed if {partition for _, partition in fed} == set(range(PARTITIONS)) else None

    def in_office(self):
        for name in CONTROLLERS:
            program = self.env.programs[name]
            if program.running() and self.env.http("GET", program.url + "/office").json()["in_office"]:
                return name
        return None

    def wait_in_office(self):
        return wait_until(self.in_office, IN_S, "a controller is in office")

    def kill_controller(self):
        self.aim(self.dice.choice(NODES))
        name = self.wait_in_office()
        start = time.monotonic()
        self.env.programs[name].kill9()
        self.env.proxy.clear()
        wait_until(lambda: self.in_office() not in (None, name), IN_S, "another controller is in office")
        note = f"{name}'s office is taken after {time.monotonic() - start:.1f} s; "
        self.env.start(name)
        return note

    # -- the network --------------------------------------------------------

    def sources(self, source, destination, node):
        """Whom a fault meets: of workers and controllers all on their way to a node, one on its way to Kafka."""
        if source == "node":
            return [node]
        if destination == "kafka" and source == "rebalance":
            return [self.wait_in_office()]
        if destination == "kafka" and source == "ingest":
            return [self.dice.choice(INGESTS)]
        return {"rebalance": CONTROLLERS, "ingest": INGESTS}.get(source, [source])

    def network(self, source, destination, fault, is_out, node):
        self.aim(node)
        start = time.monotonic()
        sources = self.sources(source, destination, node)
        self.env.proxy.clear()
        for name in sources:
            self.env.proxy.set(node if destination == "node" else "kafka", source=name, **fault)
        note = ""
        if is_out:
            note = self.wait_out(node, start)
            if source == "rebalance":
                self.wait_not_asked(node)
        if destination == "kafka" and source == "rebalance":
            wait_until(lambda: self.in_office() not in (None, *sources), IN_S, f"another one takes the office of {sources}")
        if destination == "kafka" and source == "ingest":
            wait_until(lambda: self.fed_by_others(sources), IN_S, f"others feed what {sources} fed")
        self.searches.wait_more(SEARCHES_UNDER_FAULT)
        if is_out is False:
            # A machine that stands still may take it out for a moment; whom the fault takes out stays out until it ends.
            wait_until(lambda: not self.out_of_sync(node), IN_S, f"{node} is not taken out")
        return note

    def fed_by_others(self, workers):
        rows = feeding(self.env).values()
        return {row["partition"] for row in rows if row["worker"] not in workers} == set(range(PARTITIONS))

    # -- the end ------------------------------------------------------------

    def finish(self):
        self.churn.finish()
        self.judge_searches("at the end", last=True)
        self.watermarks.finish()
        self.seconds = time.monotonic() - self.start

    def verdict(self):
        rate = self.searches.count / self.seconds
        print(f"          faults: {self.count}, {self.with_batch_in_flight} with a batch in flight; "
              f"{self.churn.sent} writes, {rate:.0f} searches a second over {self.seconds:.0f} s, {len(self.troubles)} failed, wrong or late; "
              f"{self.watermarks.samples} samples of watermarks, {self.watermarks.late_commits} late commits", flush=True)
        assert not self.troubles, f"{len(self.troubles)} failed, wrong or late, e.g.\n" + "\n".join(self.troubles[:10])
        assert self.with_batch_in_flight * 2 >= self.count
        assert rate >= self.promises.searches_a_second, f"{rate:.0f} searches a second are too few to prove anything"


def network_faults(campaign, first, count, dice):
    for place in range(first, first + count):
        source, destination, fault, is_out = NETWORK[place % len(NETWORK)]
        node = dice.choice(NODES)
        ends = f"{node if source == 'node' else source} to {node if destination == 'node' else destination}"
        title = f"{ends}: {' '.join(str(value) for value in fault.values())}"
        yield title, functools.partial(campaign.network, source, destination, fault, is_out, node)


def faults_of(campaign, count, dice):
    """[(title, strike)], of each kind in every ROUND of them; the copies to restore are taken at the first kills."""
    chosen = []
    for number in range(count // ROUND):
        a, b, c = dice.sample(NODES, 3)
        others = [(f"stop {node}", functools.partial(campaign.stop_node, node)) for node in (a, b)]
        others += [(f"empty the disk of {c}", functools.partial(campaign.empty_disk, c))]
        others += [(f"restore an older disk of {node}", functools.partial(campaign.restore_disk, node)) for node in (a, b)]
        others += [("kill an ingest worker", campaign.kill_ingest)] * 2 + [("kill the controller", campaign.kill_controller)]
        others += network_faults(campaign, number * 4, 4, dice)
        dice.shuffle(others)
        chosen += [(f"kill {node}", functools.partial(campaign.kill_node, node)) for node in (a, b, c)] + others
    assert len(chosen) == count
    return chosen


def old_copies_last(campaign, faults, dice):
    """The same ones; those that restore a disk in the last ROUND come last, after more faults until the copies are old."""
    last = [fault for fault in faults[-ROUND:] if fault[0].startswith("restore")]
    yield from (fault for fault in faults if fault not in last)
    place = len(faults)
    for title, strike in last:
        while campaign.copy_age(*strike.args) < OLD_COPY_S:
            yield from network_faults(campaign, place, 1, dice)
            place += 1
        yield title, strike


def test_faults(env):
    seed = int(os.environ.get("MILLRACE_FAULTS_SEED") or random.SystemRandom().randrange(2**32))
    print(f"          faults: seed {seed}", flush=True)
    dice = random.Random(seed)
    with env.own_kafka(proxied=True):
        env.plan(nodes=len(NODES), rf=2, ingests=len(INGESTS), controllers=len(CONTROLLERS), proxied=True)
        promises = Promises(env.full)
        env.start_all(promises.query)
        campaign = Campaign(env, dice, promises)
        try:
            faults = faults_of(campaign, ROUND * 4 if env.full else ROUND, dice)
            for title, strike in old_copies_last(campaign, faults, dice) if env.full else faults:
                campaign.meet(title, strike)
        finally:
            campaign.finish()
        campaign.verdict()
        assert not env.full or all(seconds >= OLD_COPY_S for seconds in campaign.restored_s[-2:]), campaign.restored_s
        assert_replicas_are_fold(env, campaign.index, campaign.topology)
        campaign.topology.finish()
        troubles = env.close(clean=True)
        assert not troubles, troubles


test_faults.timeout_s = 3600
test_faults.alone = True  # so many searches a second need all of the machine
