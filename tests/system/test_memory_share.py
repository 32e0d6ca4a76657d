"""One index is loaded faster than the node can store it: it waits, another index is received at once."""
from children import wait_until
from documents import Publisher
from replica_view import create_index, figures_of, wait_level
from steady_updates import Updates

MEMORY = 32 << 20
DOCUMENTS = 20000
ROUNDS = 5


def memory_of(env, index):
    """(bytes held, share, ranges that waited) of an index on the node."""
    rows = figures_of(env, index)
    memory = [row["figures"]["memory"] for row in rows]
    return (sum(row["memory_bytes"] for row in rows), max(one["share_bytes"] for one in memory),
            sum(one["busy_ranges"] for one in memory))


def test_share_of_memory(env):
    env.start_all({"shard.memory": str(MEMORY)})
    flood, quiet = (create_index(env, uid, 2) for uid in ("flood", "quiet"))
    wait_until(lambda: all(len(figures_of(env, index)) == 2 for index in (flood, quiet)), 60, "the node has their replicas")
    assert memory_of(env, flood) == (0, MEMORY // 2, 0)
    updates = Updates(env, flood, DOCUMENTS)
    publisher = Publisher(env, quiet.topic)
    for number in range(ROUNDS):
        busy = memory_of(env, flood)[2]
        wait_until(lambda busy=busy: memory_of(env, flood)[2] > busy, 120, "a range of the flood has to wait")
        publisher.send(f"q{number}", f'{{"id":"q{number}"}}'.encode())
        publisher.flush()
        wait_level(env, quiet, 60)
    updates.finish()
    assert memory_of(env, quiet)[2] == 0, "the quiet index had to wait"
    wait_level(env, flood, 240, "stored")
    wait_level(env, quiet, 60, "stored")
    assert memory_of(env, flood)[:2] == (0, MEMORY // 2)
    metrics = env.metrics("shard")
    assert metrics["millrace_node_memory_max_bytes"] == MEMORY
    waited = sum(metrics[f'millrace_replica_busy_ranges_total{{index="{flood.id:016x}",partition="{p}"}}'] for p in range(2))
    assert waited == memory_of(env, flood)[2] > 0


test_share_of_memory.timeout_s = 900
