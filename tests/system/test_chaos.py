"""Everything a log may hold, under faults of every kind: nothing is lost, double, stale or resurrected.

    tests/run chaos [--faults N]

MILLRACE_CHAOS_FAULTS is the number of faults; MILLRACE_CHAOS_SEED repeats the order of an earlier run.
"""
import os
import random

from chaos import CONTROLLERS, INGESTS, MOMENTS, NODES, PARTITIONS, WHOLE_S, Chaos
from fleet import wait_whole
from replica_view import assert_dead_letters, create_index

FAULTS = 30
FAULTS_FULL = 300
MET_FULL = 20
DEDUP_WINDOW = 3000  # offsets: short enough that records are repeated from beyond it


def test_chaos(env):
    seed = int(os.environ.get("MILLRACE_CHAOS_SEED") or random.SystemRandom().randrange(2**32))
    count = int(os.environ.get("MILLRACE_CHAOS_FAULTS") or (FAULTS_FULL if env.full else FAULTS))
    print(f"          chaos: seed {seed}", flush=True)
    with env.own_kafka(proxied=True):
        env.plan(nodes=len(NODES), rf=2, ingests=len(INGESTS), controllers=len(CONTROLLERS), proxied=True)
        env.write_config({"index_defaults": {"dedup_window": DEDUP_WINDOW}})
        env.start_all()
        chaos = Chaos(env, create_index(env, "busy", PARTITIONS), random.Random(seed))
        try:
            wait_whole(env, chaos.index, chaos.topology, WHOLE_S)
            chaos.calm()
            chaos.run(count)
        finally:
            chaos.finish()
        assert_dead_letters(env, chaos.verdict())
        if count >= FAULTS_FULL:
            too_few = {moment: chaos.met[moment] for moment in MOMENTS if chaos.met[moment] < MET_FULL}
            assert not too_few, f"met fewer than {MET_FULL} times: {too_few}"
        chaos.topology.finish()
        troubles = env.close(clean=True)
        assert not troubles, troubles


test_chaos.timeout_s = 5400
