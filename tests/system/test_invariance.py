"""The same records in 1, 4 and 16 shards, however they came and were kept, give the same answers byte for byte.

All records have one timestamp and no `seq`, so only the document's id breaks ties; a document that is sent again as it is
changes nothing. The layouts differ in shards, in batches, in when the settings came and in what was stored by then. All are asked
as they were fed, when all is stored, when segments were merged, when every node has started again, when the settings were taken
away and built anew, and when all nodes have lost their disks and the indexes came back from snapshots and what the log held
behind them. The oracle says besides that the answers are right.
"""
import json
import random
import re
import threading

from fleet import rows_of
from replica_view import log_ends
from searching import Asker, SearchedIndex, request_to, wait_task, without_changing
from test_restore import lose_nodes, taken, trim
from oracle.comparison import first_difference
from oracle.generate import answer_to
from oracle.index import Index
from oracle.random_corpus import Corpus
from oracle.random_request import Requests

SEEDS = (1, 2)
REQUESTS = 150  # of a seed
STORED_S = 120
STORES_MAX = 12  # after which segments must have been merged
PARTS = 3  # of the documents, sent again in turns, so that no segment is all dead when the next one comes
SHOWN = 12
CHANGES = 6
CUTTING = {"stopWords": [], "separatorTokens": [], "nonSeparatorTokens": [], "dictionary": []}
# shards, records in a batch, which part of them comes before the settings
LAYOUTS = ((1, 1000, 0), (4, 1, 1), (16, 7, 0.5))
TIME = re.compile(rb'"processingTimeMs":\d+')
UID = re.compile(rb'"requestUid":"[^"]*"')


class Layout:
    """An index of so many shards, fed in batches of a size, and set when so many of the records are there."""

    def __init__(self, env, asker, seed, layout):
        self.partitions, self.batch, self.share = layout
        self.env = env
        self.asker = asker
        self.index = SearchedIndex(env, f"seed-{seed}-shards-{self.partitions}", self.partitions)

    def feed(self, records, settings):
        """All records in their order; what comes before the settings, if it is a part, is stored by then."""
        first = int(len(records) * self.share)
        self.send(records[:first])
        if 0 < first < len(records):
            self.wait_stored()
        self.index.set(settings)
        self.send(records[first:])

    def send(self, records):
        """A batch at a time, each searchable before the next one comes."""
        for at in range(0, len(records), self.batch):
            self.send_all(records[at:at + self.batch])

    def send_all(self, records):
        """One batch, until it is searchable."""
        for id, document in records:
            self.index.send(id, document)
        self.index.flush()
        self.index.wait_searchable(self.asker)

    def wait_stored(self):
        """Until every replica has on disk what the log holds."""
        ends = log_ends(self.env, self.index.log)

        def stored():
            rows = {}
            for node in self.env.nodes:
                rows.update(rows_of(self.env, self.index.log, node))
            return all(p in rows and rows[p]["stored"] >= end for p, end in ends.items())

        self.env.wait_until(stored, STORED_S, f"all of {self.index.uid} is stored")

    def merged(self):
        """Whether half of the replicas have merged segments on disk; some of many shards have too few documents."""
        rows = self.env.millrace("index", "stats", self.index.uid, "-o", "json")["replicas"]
        return 2 * sum((row["merges"] or 0) > 0 for row in rows) >= len(rows)

    def build_anew(self, settings):
        """Without settings, and with the same ones again."""
        accepted = self.env.http("DELETE", f"/indexes/{self.index.uid}/settings")
        wait_task(self.env, accepted, f"the reset of {self.index.uid}")
        self.index.set(settings)

    @property
    def snapshot(self):
        """Where it is kept."""
        return self.env.directory / f"snapshot-{self.index.uid}"

    def keep(self):
        """A snapshot; the log begins where it ends."""
        self.env.millrace("index", "snapshot", self.index.uid, self.snapshot)
        trim(self.env, self.index.log, {p: row["stored"] for p, row in taken(self.env, self.snapshot).items() if row["stored"]})

    def restore(self):
        def restored():  # a shard without records needs no copy, and is refused one until it is known to serve
            told = self.env.millrace("index", "restore", self.snapshot, check=False)
            assert told.returncode == 0 or "has a replica in-sync that serves" in told.stderr, told
            return told.returncode == 0

        self.env.wait_until(restored, 240, f"{self.index.uid} is restored")

    def answers(self, requests):
        """(status, bytes) of each request, without what changes in each answer."""
        found = []
        for route, request in requests:
            status, body = self.asker.whole(*request_to(self.index.uid, route, request))
            found.append((status, UID.sub(b'"requestUid":""', TIME.sub(b'"processingTimeMs":0', body))))
        return found


def records_of(corpus, dice):
    """[(id, document or None)]: documents in any order, some sent again, some deleted, half of those there again."""
    last = {str(source["id"]): source for source in corpus.documents}
    records = [(str(source["id"]), source) for source in corpus.documents] + dice.sample(sorted(last.items()), 6)
    dice.shuffle(records)
    gone = dice.sample(sorted(last), 12)
    return records + [(id, None) for id in gone] + [(id, last[id]) for id in gone[::2]]


def live_documents(records):
    """What is left of them, in the order of ids."""
    live = dict(records)
    return [live[id] for id in sorted(live, key=str.encode) if live[id] is not None]


def differences_of(requests, expected, found, where):
    """What each request that is answered otherwise is, and where the answers differ first."""
    for (route, request), one, other in zip(requests, expected, found, strict=True):
        if one != other:
            difference = first_difference(parsed(one), parsed(other)) or f"the bytes {other[1]} for {one[1]}"
            yield f"{where}: {route} {json.dumps(request, ensure_ascii=False)}\n      {difference}"


def parsed(answer):
    """(status, bytes) as a value, without what changes."""
    status, body = answer
    return {"status": status, "answer": without_changing(json.loads(body))}


class Experiment:
    """One corpus in all layouts, with its requests and their answers."""

    def __init__(self, env, asker, seed):
        self.seed = seed
        dice = random.Random(f"invariance {seed}")
        corpus = Corpus(dice, "invariance")
        self.records = records_of(corpus, dice)
        self.settings = corpus.settings
        index = Index("invariance", corpus.settings, "id", live_documents(self.records))
        source = Requests(dice, corpus)
        asked = [(*case, *answer_to(index, *case)[:2]) for case in (source.search() for _ in range(REQUESTS))]
        asked = [case for case in asked if case[2] == 200]
        self.requests = [case[:2] for case in asked]
        self.answers = [case[3] for case in asked]
        self.layouts = [Layout(env, asker, seed, layout) for layout in LAYOUTS]

    def feed(self):
        for layout in self.layouts:
            layout.feed(self.records, self.settings)

    def check(self, when):
        """All layouts answer alike, and rightly; what they do otherwise."""
        where = f"seed {self.seed}, {when}"
        first = self.layouts[0].answers(self.requests)
        found = [(request, first_difference({"status": 200, "answer": answer}, parsed(one)))
                 for (_, request), answer, one in zip(self.requests, self.answers, first, strict=True)]
        wrong = [f"{where}, 1 shard: {json.dumps(request, ensure_ascii=False)}\n      {difference}"
                 for request, difference in found if difference]
        for layout in self.layouts[1:]:
            wrong += differences_of(self.requests, first, layout.answers(self.requests), f"{where}, {layout.partitions} shards")
        print(f"  {where}: {len(self.requests)} requests in {len(self.layouts)} layouts, {len(wrong)} differences")
        return wrong

    def wait_stored(self):
        for layout in self.layouts:
            layout.wait_stored()

    def build_anew(self):
        for layout in self.layouts:
            layout.build_anew(self.settings)

    def send_again(self, part):
        """Every third document as it is, which changes nothing."""
        last = dict(self.records)
        live = [(id, document) for id, document in last.items() if document is not None]
        for layout in self.layouts:
            layout.send_all(live[part % PARTS::PARTS])


def merge(env, experiments):
    """Stores the same documents again until replicas have merged what they have on disk."""
    for part in range(STORES_MAX):
        for experiment in experiments:
            experiment.send_again(part)
        for experiment in experiments:
            experiment.wait_stored()
        if all(layout.merged() for experiment in experiments for layout in experiment.layouts):
            return
    raise AssertionError(f"too few replicas have merged segments after {STORES_MAX} stores")


def lose_and_restore(env, experiments):
    """All from snapshots, and the log behind them."""
    layouts = [layout for experiment in experiments for layout in experiment.layouts]
    for layout in layouts:
        layout.keep()
    for experiment in experiments:
        experiment.send_again(0)
    lose_nodes(env, *env.nodes)
    for layout in layouts:
        layout.restore()


def start_again(env):
    for node in env.nodes:
        assert env.programs[node].terminate() == 0, f"{node} ends"
        env.start(node)


def check_all(experiments, when):
    return [difference for experiment in experiments for difference in experiment.check(when)]


def test_layouts(env):
    env.plan(nodes=2)
    env.start_all({"query.timeout_ms": "15000"})
    asker, wrong = Asker(env), []
    experiments = [Experiment(env, asker, seed) for seed in SEEDS]
    for experiment in experiments:
        experiment.feed()
        wrong += experiment.check("as fed")
    for experiment in experiments:
        experiment.wait_stored()
        wrong += experiment.check("stored")
    merge(env, experiments)
    wrong += check_all(experiments, "merged")
    start_again(env)
    wrong += check_all(experiments, "started again")
    for experiment in experiments:
        experiment.build_anew()
    wrong += check_all(experiments, "set anew")
    lose_and_restore(env, experiments)
    wrong += check_all(experiments, "restored")
    asker.close()
    for difference in wrong[:SHOWN]:
        print("  " + difference)
    assert not wrong, f"{len(wrong)} answers are not those of one shard, or not the oracle's"


test_layouts.timeout_s = 900


def cutting_otherwise(corpus, dice):
    """Settings that cut every text otherwise than the corpus's own."""
    return {**CUTTING, **corpus.settings, "stopWords": sorted(dice.sample(sorted(set(corpus.words)), 3)),
            "separatorTokens": ["e"]}


def ask_while(layout, requests, allowed, change):
    """All requests over and over while `change` goes on: how many answers there were, and those that are not allowed."""
    changing = threading.Thread(target=change)
    changing.start()
    asked, wrong = 0, []
    while changing.is_alive():
        for at, answer in enumerate(layout.answers(requests)):
            if answer not in [answers[at] for answers in allowed]:
                wrong += differences_of(requests[at:at + 1], allowed[0][at:at + 1], [answer], "while it changes")
        asked += len(requests)
    changing.join()
    return asked, wrong


def test_settings_change_under_searches(env):
    """While settings that cut texts otherwise are built and put in force, each answer is wholly by the ones or by the others."""
    env.plan(nodes=2, rf=2)
    env.start_all({"query.timeout_ms": "15000"})
    asker, wrong, asked = Asker(env), [], 0
    dice = random.Random("settings change")
    corpus = Corpus(dice, "invariance")
    records = records_of(corpus, dice)
    both = [{**CUTTING, **corpus.settings}, cutting_otherwise(corpus, dice)]
    source = Requests(dice, corpus)
    requests = [source.search() for _ in range(40)]
    expected = []
    for i, settings in enumerate(both):
        alone = Layout(env, asker, f"alone-{i}", (4, 50, 0))
        alone.feed(records, settings)
        expected.append(alone.answers(requests))
    assert expected[0] != expected[1], "the settings make no difference"
    changed = Layout(env, asker, "changed", (4, 50, 0))
    changed.feed(records, both[0])
    changed.wait_stored()
    for turn in range(1, CHANGES + 1):
        found, others = ask_while(changed, requests, expected, lambda: changed.index.set(both[turn % 2]))
        asked += found
        wrong += others + list(differences_of(requests, expected[turn % 2], changed.answers(requests), f"after change {turn}"))
    print(f"  {asked} answers during {CHANGES} changes, {len(wrong)} by neither")
    asker.close()
    for difference in wrong[:SHOWN]:
        print("  " + difference)
    assert not wrong, f"{len(wrong)} answers are by a mixture of settings"


test_settings_change_under_searches.timeout_s = 600
