"""Settings of an index through the gateway: shown, changed, reset, refused; what a task of them tells."""
import json

from test_gateway import check_error

DEFAULTS = {
    "displayedAttributes": ["*"],
    "searchableAttributes": ["*"],
    "filterableAttributes": [],
    "sortableAttributes": [],
    "rankingRules": ["words", "typo", "proximity", "attributeRank", "sort", "wordPosition", "exactness"],
    "stopWords": [],
    "nonSeparatorTokens": [],
    "separatorTokens": [],
    "dictionary": [],
    "synonyms": {},
    "distinctAttribute": None,
    "proximityPrecision": "byWord",
    "typoTolerance": {
        "enabled": True,
        "minWordSizeForTypos": {"oneTypo": 5, "twoTypos": 9},
        "disableOnWords": [],
        "disableOnAttributes": [],
        "disableOnNumbers": False,
    },
    "faceting": {"maxValuesPerFacet": 100, "sortFacetValuesBy": {"*": "alpha"}},
    "pagination": {"maxTotalHits": 1000},
    "embedders": {},
    "searchCutoffMs": None,
    "localizedAttributes": None,
    "facetSearch": True,
    "prefixSearch": "indexingTime",
}
# path, method, a value that asks replicas to build nothing
SUBS = [
    ("displayed-attributes", "PUT", ["id", "title"]),
    ("searchable-attributes", "PUT", ["title"]),
    ("synonyms", "PUT", {"mill": ["windmill"]}),
    ("proximity-precision", "PUT", "byAttribute"),
    ("typo-tolerance", "PATCH", {"minWordSizeForTypos": {"oneTypo": 4}}),
    ("faceting", "PATCH", {"maxValuesPerFacet": 7}),
    ("pagination", "PATCH", {"maxTotalHits": 70}),
    ("search-cutoff-ms", "PUT", 150),
    ("facet-search", "PUT", False),
    ("prefix-search", "PUT", "disabled"),
]


def name_of(path):
    first, *words = path.split("-")
    return first + "".join(word.capitalize() for word in words)


def settings(env, path="", uid="books"):
    answer = env.http("GET", f"/indexes/{uid}/settings{path}")
    assert answer.status == 200, answer
    return answer.json()


def ask(env, method, path="", body=None, uid="books"):
    """An accepted change; the number of its task."""
    answer = env.http(method, f"/indexes/{uid}/settings{path}", body)
    assert answer.status == 202, answer
    accepted = answer.json()
    assert list(accepted) == ["taskUid", "indexUid", "status", "type", "enqueuedAt"], accepted
    assert (accepted["indexUid"], accepted["status"], accepted["type"]) == (uid, "enqueued", "settingsUpdate"), accepted
    return accepted["taskUid"]


def task(env, uid):
    answer = env.http("GET", f"/tasks/{uid}")
    assert answer.status == 200, answer
    return answer.json()


def done(env, uid):
    env.wait_until(lambda: task(env, uid)["status"] != "enqueued", 30, f"task {uid} has ended")
    ended = task(env, uid)
    assert ended["status"] == "succeeded" and ended["type"] == "settingsUpdate", ended
    return ended


def create(env, uid="books"):
    env.millrace("index", "create", uid, "--primary-key", "id", "--partitions", "3", "--wait")


def test_changes(env):
    env.start_all()
    create(env)
    assert settings(env) == DEFAULTS, settings(env)
    wanted = json.loads(json.dumps(DEFAULTS))
    for path, method, value in SUBS:
        name = name_of(path)
        assert settings(env, "/" + path) == DEFAULTS[name]
        ended = done(env, ask(env, method, "/" + path, value))
        assert ended["details"] == {name: value}, ended
        if path == "typo-tolerance":
            wanted[name]["minWordSizeForTypos"]["oneTypo"] = 4
        elif isinstance(value, dict):
            wanted[name].update(value)
        else:
            wanted[name] = value
        # a task that has succeeded is what is read from then on
        assert settings(env, "/" + path) == wanted[name], settings(env, "/" + path)
        assert settings(env) == wanted, settings(env)

    ended = done(env, ask(env, "DELETE", "/synonyms"))
    assert ended["details"] == {"synonyms": None}, ended
    wanted["synonyms"] = {}
    assert settings(env) == wanted
    sent = {"pagination": None, "faceting": {"sortFacetValuesBy": {"genre": "count"}}, "searchableAttributes": ["a", "b.c"]}
    ended = done(env, ask(env, "PATCH", "", sent))
    assert ended["details"] == sent, ended
    wanted["pagination"] = dict(DEFAULTS["pagination"])
    wanted["faceting"]["sortFacetValuesBy"] = {"*": "alpha", "genre": "count"}
    wanted["searchableAttributes"] = ["a", "b.c"]
    assert settings(env) == wanted, settings(env)
    # what was shown, sent again, changes nothing
    done(env, ask(env, "PATCH", "", wanted))
    assert settings(env) == wanted

    # another process reads them again, and another controller goes on from them
    env.programs["rebalance"].kill9()
    env.start("rebalance")
    env.programs["query"].kill9()
    env.start("query")
    env.wait_until(lambda: env.http("GET", "/indexes/books").status == 200, 30, "the gateway has read its topics")
    assert settings(env) == wanted
    assert task(env, 1)["details"] == {"displayedAttributes": ["id", "title"]}
    done(env, ask(env, "PATCH", "/pagination", {"maxTotalHits": 5}))
    wanted["pagination"]["maxTotalHits"] = 5
    assert settings(env) == wanted
    ended = done(env, ask(env, "DELETE"))
    assert ended["details"] == dict.fromkeys(DEFAULTS), ended
    assert settings(env) == DEFAULTS

    # a name has them as long as its index lives
    done(env, ask(env, "PATCH", "/pagination", {"maxTotalHits": 5}))
    env.millrace("index", "delete", "books", "--wait")
    check_error(env.http("GET", "/indexes/books/settings"), 404, "index_not_found", "Index `books` not found.")
    create(env)
    assert settings(env) == DEFAULTS


def test_refusals(env):
    env.start_all()
    create(env)
    url = "/indexes/books/settings"
    as_json = {"Content-Type": "application/json"}
    check_error(env.http("PUT", url + "/stop-words", 7), 400, "invalid_settings_stop_words",
                "Invalid value type: expected an array, but found a positive integer: `7`")
    check_error(env.http("PATCH", url, {"typoTolerance": {"enabled": "x"}}), 400, "invalid_settings_typo_tolerance",
                'Invalid value type at `.typoTolerance.enabled`: expected a boolean, but found a string: `"x"`')
    check_error(env.http("PATCH", url, {"rankingRules": ["wurds"]}), 400, "invalid_settings_ranking_rules")
    check_error(env.http("PATCH", url, {"wurds": 1}), 400, "bad_request")
    check_error(env.http("PATCH", url + "/chat", {}), 400, "feature_not_enabled")
    check_error(env.http("PATCH", url, b"{", as_json), 400, "malformed_payload")
    check_error(env.http("PATCH", url, b"", as_json), 400, "missing_payload", "A json payload is missing.")
    check_error(env.http("PATCH", url, b"{}", {"Content-Type": "text/plain"}), 415, "invalid_content_type")
    check_error(env.http("PATCH", url, {"stopWords": ["x" * 600000]}), 413, "payload_too_large")
    check_error(env.http("PATCH", "/indexes/other/settings", {}), 404, "index_not_found", "Index `other` not found.")
    check_error(env.http("PATCH", "/indexes/other/settings", {"stopWords": 7}), 400, "invalid_settings_stop_words")
    check_error(env.http("DELETE", "/indexes/other/settings/synonyms"), 404, "index_not_found")
    check_error(env.http("GET", "/indexes/oth%20er/settings"), 400, "invalid_index_uid")
    for method, path, status in [("GET", "/wurds", 404), ("PATCH", "/stop-words", 405), ("PUT", "/pagination", 405),
                                 ("POST", "", 405), ("PUT", "", 405)]:
        answer = env.http(method, url + path, None if method == "GET" else {})
        assert (answer.status, answer.body) == (status, b""), (method, path, answer)
    assert settings(env) == DEFAULTS
