"""Searches that would take longer than they may: what is ranked by then comes first, and all of it is counted."""
from searching import Asker, SearchedIndex

PARTITIONS = 3
DOCUMENTS = 3000
WORDS = ("mill", "race", "water", "wheel", "stream")
PATIENCE = {"query.timeout_ms": 30000}
SEARCH = "/indexes/books/search"
RANKED = {"q": "mill race water", "limit": 30, "showRankingScore": True, "showRankingScoreDetails": True,
          "facets": ["shelf"]}


def document(number):
    """Each has the first of the words, and most of them several."""
    text = " ".join(WORDS[at] for at in range(len(WORDS)) if at == 0 or number >> at & 1)
    return {"id": str(number), "text": f"the {text} {'and ' * (number % 9)} the {text}", "shelf": number % 4}


def library(env):
    env.plan(nodes=2, rf=1)
    env.start_all(PATIENCE)
    index = SearchedIndex(env, "books", PARTITIONS)
    index.set({"filterableAttributes": ["shelf"], "sortableAttributes": ["shelf"]})
    index.publish([document(number) for number in range(DOCUMENTS)])
    asker = Asker(env)
    index.wait_searchable(asker)
    asker.close()
    return index


def searched(env, body):
    """The answer, which is whole, and what X-Millrace-Degraded says."""
    answer = env.http("POST", SEARCH, body, timeout=60)
    assert answer.status == 200, answer
    return answer.json(), answer.headers["X-Millrace-Degraded"]


def unhurried(env, body):
    """The answer of a search that is ranked to its end, once the machine lets it."""
    def ranked():
        answer, degraded = searched(env, body)
        return answer if degraded is None else None

    return env.wait_until(ranked, 60, "a search is ranked to its end")


def check_cut(whole, cut, limit=30):
    """Hits as many as may be, each once and with what is asked for; what is counted does not depend on ranking."""
    assert cut["estimatedTotalHits"] == whole["estimatedTotalHits"] == DOCUMENTS, cut["estimatedTotalHits"]
    assert cut["facetDistribution"] == whole["facetDistribution"], cut["facetDistribution"]
    assert sorted(cut) == sorted(whole), cut
    assert len({hit["id"] for hit in cut["hits"]}) == len(cut["hits"]) == limit, cut["hits"]
    kept = []
    for hit in cut["hits"]:
        given = {name: value for name, value in hit.items() if not name.startswith("_")}
        assert given == document(int(hit["id"])), hit
        details = hit["_rankingScoreDetails"]
        assert 0 <= hit["_rankingScore"] <= 1 and details["words"]["order"] == 0, hit
        assert list(details)[-1] in ("skipped", "exactness"), hit
        kept.append(details["words"]["matchingWords"])
    assert kept == sorted(kept, reverse=True), kept


def check_cut_off(env, index, whole):
    for cutoff_ms in (0, 1):
        index.set({"searchCutoffMs": cutoff_ms})
        cut, degraded = searched(env, RANKED)
        check_cut(whole, cut)
        assert cutoff_ms > 0 or degraded == "cutoff", degraded
        if cutoff_ms == 0:
            assert all(list(hit["_rankingScoreDetails"]) == ["words", "skipped"] for hit in cut["hits"]), cut["hits"]
    index.set({"searchCutoffMs": 0})
    explained = env.http("POST", "/indexes/books/explain", RANKED).json()
    assert all(leg["reason"] == "cutoff" for round in explained["rounds"] for leg in round["shards"]), explained
    assert explained["totalHits"] == DOCUMENTS and explained["error"] is None, explained
    assert env.metrics("query")['millrace_search_degraded_total{reason="cutoff"}'] > 0


def check_nothing_to_rank(env):
    """Listings have no cutoff, nor has a search that ranks by nothing."""
    listed = env.http("POST", "/indexes/books/documents/fetch", {"sort": ["shelf:desc"], "limit": 3})
    assert [row["shelf"] for row in listed.json()["results"]] == [3, 3, 3], listed
    assert listed.headers["X-Millrace-Degraded"] is None, listed
    _, degraded = searched(env, {"limit": 3})
    assert degraded is None, degraded


def check_federated(env):
    body = {"federation": {"limit": 10}, "queries": [{"indexUid": "books", "q": "mill race"}]}
    answer = env.http("POST", "/multi-search", body)
    assert answer.status == 200 and answer.headers["X-Millrace-Degraded"] == "cutoff", answer
    scores = [hit["_federation"]["weightedRankingScore"] for hit in answer.json()["hits"]]
    assert len(scores) == 10 and scores == sorted(scores, reverse=True) and max(scores) < 1, answer


def check_deadline(env, index):
    """A node says that it is late; a client is told that nobody answers."""
    question = {"settings": -1, "q": "mill race", "limit": 30,
                "shards": [{"index": f"{index.log.id:016x}", "partitions": [0]}]}
    for node in env.nodes:
        answer = env.http("POST", f"{env.programs[node].url}/search", question, {"X-Millrace-Deadline-Ms": "0"})
        assert (answer.status, answer.json()["code"]) == (503, "deadline"), answer
    env.programs["query"].kill9()
    env.start("query", {"query.timeout_ms": 1})
    answer = env.http("POST", SEARCH, RANKED)
    assert (answer.status, answer.json()["code"]) == (503, "unavailable"), answer


def test_searches_that_take_too_long(env):
    index = library(env)
    whole = unhurried(env, RANKED)
    check_cut_off(env, index, whole)
    check_nothing_to_rank(env)
    check_federated(env)
    index.set({"searchCutoffMs": None})
    assert unhurried(env, RANKED)["hits"] == whole["hits"]
    check_deadline(env, index)
