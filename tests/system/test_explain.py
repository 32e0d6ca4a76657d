"""How a search went, with the real programs: what was planned, which node did not answer and why."""
from replica_view import create_index
from test_feeding import whole
from test_gateway import check_error, publish, topic_of

PARTITIONS = 4
DOCUMENTS = 40


def explain(env, body):
    return env.http("POST", "/indexes/books/explain", body)


def legs_of(explained):
    return [leg for round in explained["rounds"] for leg in round["shards"]]


def stood(explained):
    """{node: {(status, reason)}} of all legs."""
    ends = {}
    for leg in legs_of(explained):
        ends.setdefault(leg["node"], set()).add((leg["status"], leg.get("reason")))
    return ends


def planned(explained):
    """{partition: {node: replica}} of the last round."""
    return {shard["partition"]: {replica["node"]: replica for replica in shard["replicas"]}
            for shard in explained["rounds"][-1]["plan"]}


def check_healthy(env):
    found = whole(env, "POST", "/indexes/books/search", {"q": "mill"}).json()["estimatedTotalHits"]
    answer = explain(env, {"q": "mill"})
    assert answer.status == 200, answer
    explained = answer.json()
    assert list(explained) == ["indexUid", "index", "generation", "settings", "rounds", "missing", "error", "totalHits",
                               "terms", "processingTimeMs"], explained
    assert (explained["indexUid"], explained["generation"], explained["terms"]) == ("books", 1, 1), explained
    assert (explained["missing"], explained["error"]) == ([], None), explained
    assert explained["totalHits"] == found == DOCUMENTS, explained
    assert explained["rounds"][0]["reason"] == "search", explained
    for round in explained["rounds"]:
        answered = sorted(leg["partition"] for leg in round["shards"] if leg["status"] == "answered")
        assert answered == list(range(PARTITIONS)), explained
    assert all(0 < leg["tookMs"] <= explained["processingTimeMs"] for leg in legs_of(explained)), explained
    plan = planned(explained)
    assert sorted(plan) == list(range(PARTITIONS)), explained
    return plan


def check_refused(env):
    """As a search is."""
    for path, body in (("/indexes/books", {"q": 7}), ("/indexes/books", {"filter": "title = x"}), ("/indexes/nobody", {})):
        explained, searched = (env.http("POST", f"{path}/{route}", body) for route in ("explain", "search"))
        check_error(explained, searched.status, searched.json()["code"], searched.json()["message"])
        assert searched.status in (400, 404), searched
    assert env.http("GET", "/indexes/books/explain").status == 405


def test_one_node_stopped(env):
    env.plan(nodes=2, rf=1)
    env.start_all({"query.timeout_ms": "20000", "query.degraded": "error"})
    create_index(env, "books", partitions=PARTITIONS)
    publish(env, topic_of(env, "books"), range(DOCUMENTS))
    env.wait_until(lambda: env.http("POST", "/indexes/books/search", {}).json().get("estimatedTotalHits") == DOCUMENTS,
                   60, f"{DOCUMENTS} documents are searchable")
    plan = check_healthy(env)
    check_refused(env)
    # where the shards are is chance: all of them may be on one
    away = next(iter(plan[0]))
    lost = sorted(partition for partition, replicas in plan.items() if away in replicas)

    env.programs[away].kill9()
    explained = explain(env, {"q": "mill"}).json()
    ends = stood(explained)
    assert {status for status, _ in ends.pop(away)} == {"failed"}, explained
    assert all(end == {("answered", None)} for end in ends.values()), explained
    assert all("/search: " in leg["reason"] for leg in legs_of(explained) if leg["node"] == away), explained
    assert explained["missing"] == lost and explained["totalHits"] is None, explained
    searched = env.http("POST", "/indexes/books/search", {"q": "mill"})
    assert searched.status == 503 and explained["error"] == searched.json(), (explained, searched)
    # that it has failed is known then before it is asked: for a while, which is longer the oftener it fails
    def known():
        again = {partition: next(iter(replicas.values()))
                 for partition, replicas in planned(explain(env, {"q": "mill"}).json()).items()}
        return all(replica["asked"] and (replica["costMs"] is None) == (partition in lost) for partition, replica in again.items())

    env.wait_until(known, 30, "the failed node costs nothing that is known, the other one does")
