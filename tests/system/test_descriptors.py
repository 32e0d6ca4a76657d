"""A node that was started with few descriptors takes as many as it may have: every replica needs some."""
import resource

SOFT = 512


def test_descriptors(env):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard > SOFT, f"this machine allows {hard} descriptors"
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, hard))
    try:
        env.start_all()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    limits = open(f"/proc/{env.programs['shard'].pid}/limits").read().splitlines()
    opened = next(line.split()[3:5] for line in limits if line.startswith("Max open files"))
    assert opened == [str(hard), str(hard)], opened
    answer = env.http("GET", f"{env.programs['shard'].url}/shards")
    assert answer.json()["descriptors_max"] == hard, answer
