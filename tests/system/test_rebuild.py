"""`index rebuild`: a new generation by other rules, searched once it has everything, whatever dies meanwhile."""
import json
import threading

from confluent_kafka import TopicPartition

from test_import import CRC32, RULES, Shop, configure, import_shop, publish_shop, said
from test_feeding import index_of, publish, whole


def documents(env, uid):
    """{id: document} as the public API gives them."""
    answer = whole(env, "GET", f"/indexes/{uid}/documents?limit=1000").json()
    return {document["id"]: document for document in answer["results"]}


def entry_of(env, uid):
    answer = env.http("GET", env.programs["query"].admin_url + "/indexes").json()
    return next(entry for entry in answer["results"] if entry["uid"] == uid)


def rebuilds(env):
    return env.http("GET", env.programs["rebalance"].admin_url + "/status").json()["rebuilds"]


def topics(env):
    return env.producer().list_topics(timeout=60).topics


def masked(found):
    return {id: {**document, "price": "***"} for id, document in found.items()}


class Background(threading.Thread):
    """Runs a function; the test's own thread raises what it raised."""

    def __init__(self, function, *arguments, **settings):
        super().__init__()
        self.call = lambda: function(*arguments, **settings)
        self.trouble = None
        self.start()

    def run(self):
        try:
            self.call()
        except BaseException as trouble:
            self.trouble = trouble

    def finish(self):
        self.join()
        if self.trouble:
            raise self.trouble


def test_rebuild(env):
    index = import_shop(env)
    shop = Shop(11)
    publish_shop(env, index, shop, 2000)
    env.wait_until(lambda: documents(env, "orders") == shop.documents, 60, "the first generation is searched")
    configure(env, {"topic": index.source, "index": "orders", "partitions": 4, **RULES, "mask": {"price": "***"}})

    waiting = Background(env.millrace, "index", "rebuild", "orders", "--partitions", "2", "--wait", timeout=400)
    seen = 0
    while waiting.is_alive():
        found = documents(env, "orders")  # one generation or the other, always all of it
        assert found in (shop.documents, masked(shop.documents)), len(found)
        seen += 1
        if seen == 2:
            env.programs["rebalance"].kill9()
            env.programs["ingest"].kill9()
            env.start("rebalance")
            env.start("ingest")
    waiting.finish()
    env.wait_until(lambda: documents(env, "orders") == masked(shop.documents), 60, "the second generation is searched")
    entry = entry_of(env, "orders")
    assert (entry["generation"], entry["partitions"], entry["sources"][0]["life"]) == (2, 2, 1), entry
    assert "rebuilding" not in entry
    assert int(entry["id"], 16) != index.id
    env.wait_until(lambda: index.topic not in topics(env), 60, "the first generation's log is deleted")
    # and it goes on
    publish(env, index.source, [('{"order":"new"}', b'{"id":"new","price":1}', [], -1)], **CRC32)
    wanted = {**masked(shop.documents), "new": {"id": "new", "price": "***"}}
    env.wait_until(lambda: documents(env, "orders") == wanted, 60, "what is published later is imported")


test_rebuild.timeout_s = 600


def line(number):
    return {"id": f"l{number}", "level": "info" if number % 3 else "debug", "text": f"line {number}"}


def publish_lines(env, topic, numbers):
    publish(env, topic, [(None, json.dumps(line(number)).encode(), [], -1) for number in numbers])


def old_line(number):
    return line(number)


def new_line(number):
    return {"id": f"l{number}", "level": line(number)["level"], "message": f"line {number}"}


def all_of_one(found):
    """True if every document is by the rules of one generation."""
    marks = {"message" in document if id[0] == "l" else document["price"] == "***" for id, document in found.items()}
    return len(marks) <= 1


def test_other_rules_while_writes_go_on(env):
    lines, later = f"{env.cluster}-a.lines", f"{env.cluster}-b.lines"
    pattern = {"pattern": f"^{env.cluster}-.*\\.lines$", "index": "orders", "primary_key": "id", "id": "id",
               "dead_letter_topic": f"{env.cluster}-dead.lines"}
    shop_topic = f"{env.cluster}-shop.orders"
    for topic, partitions in ((lines, 2), (f"{env.cluster}-dead.lines", 1), (shop_topic, 3)):
        env.create_topic(topic, partitions)
    configure(env, {"topic": shop_topic, "index": "orders", "partitions": 2, **RULES}, pattern)
    env.start_all()
    env.wait_until(lambda: sum(len(entry["partitions"]) for entry in said(env).values()) == 5, 60, "both are imported")
    index = index_of(env, "orders")
    index.source, index.ends = shop_topic, {}
    shop = Shop(12)
    publish_shop(env, index, shop, 600)
    publish_lines(env, lines, range(100))
    publish(env, lines, [(None, b"[]", [], 0)])
    wanted = {**shop.documents, **{f"l{number}": old_line(number) for number in range(100)}}
    env.wait_until(lambda: documents(env, "orders") == wanted, 60, "the first generation is searched")
    token = whole(env, "GET", "/indexes/orders/documents").headers["X-Millrace-Token"]

    # a paused source holds the new generation where it is, so that everything below is in the middle of it
    name = next(name for name in said(env) if name != shop_topic)
    env.millrace("source", "pause", shop_topic, "--index", "orders", "--wait")
    configure(env, {"topic": shop_topic, "index": "orders", "partitions": 2, **RULES, "mask": {"price": "***"}},
              {**pattern, "rename": {"text": "message"},
               "where": [{"field": "level", "op": "!=", "value": "debug"}]})
    waiting = Background(env.millrace, "index", "rebuild", "orders", "--wait", timeout=500)
    env.wait_until(lambda: "rebuilding" in entry_of(env, "orders"), 60, "it is being rebuilt")
    refused = env.millrace("index", "rebuild", "orders", "--wait", check=False)
    assert refused.returncode == 1 and "index_is_rebuilding" in refused.stderr, refused
    publish_lines(env, lines, range(100, 200))
    env.create_topic(later, 2)
    publish_lines(env, later, range(200, 300))
    wanted.update({f"l{number}": old_line(number) for number in range(100, 300)})
    env.wait_until(lambda: documents(env, "orders") == wanted, 120, "the first generation goes on by its own rules")
    assert entry_of(env, "orders")["generation"] == 1 and waiting.is_alive()
    env.programs["ingest"].kill9()
    env.start("ingest")
    publishing = Background(publish_shop, env, index, shop, 400)
    env.millrace("source", "resume", shop_topic, "--index", "orders", "--wait")
    while waiting.is_alive():
        found = documents(env, "orders")
        assert all_of_one(found), found
        assert len(found) >= 200 + 100, len(found)
        publish_lines(env, lines, [300])
    waiting.finish()
    publishing.finish()
    kept = [number for number in range(301) if line(number)["level"] != "debug"]
    wanted = {**masked(shop.documents), **{f"l{number}": new_line(number) for number in kept}}
    env.wait_until(lambda: documents(env, "orders") == wanted, 120, "the second generation has everything")
    assert {source["name"] for source in entry_of(env, "orders")["sources"]} == {shop_topic, name}
    answer = env.http("GET", "/indexes/orders/documents", headers={"X-Millrace-Token": token})
    assert answer.status == 409 and answer.json()["code"] == "consistency_token_outdated", answer


test_other_rules_while_writes_go_on.timeout_s = 900


def test_nothing_is_lost_unnoticed(env):
    index = import_shop(env)
    shop = Shop(13)
    publish_shop(env, index, shop, 300)
    publish(env, index.topic, [("mine", b'{"id":"mine","price":1}', [], -1)], partitioner="murmur2_random")
    wanted = {**shop.documents, "mine": {"id": "mine", "price": 1}}
    env.wait_until(lambda: documents(env, "orders") == wanted, 60, "the first generation is searched")
    refused = env.millrace("index", "rebuild", "orders", "--wait", check=False, timeout=300)
    assert refused.returncode == 1 and "1 were published to it directly" in refused.stderr, refused
    assert entry_of(env, "orders")["generation"] == 1 and documents(env, "orders") == wanted
    log = f"{index.topic}.1"
    assert log in topics(env)
    cancelled = [entry["id"] for entry in rebuilds(env)]
    env.millrace("index", "rebuild", "orders", "--cancel", "--wait")
    assert documents(env, "orders") == wanted and "rebuilding" not in entry_of(env, "orders")
    env.wait_until(lambda: log not in topics(env), 60, "what was begun is deleted")
    # the sources' topic forgets its beginning
    env.millrace("source", "pause", index.source, "--index", "orders", "--wait")
    gone = [TopicPartition(index.source, partition, 5) for partition in range(3)]
    for done in env.admin().delete_records(gone).values():
        done.result()
    env.millrace("index", "rebuild", "orders")
    refused = env.millrace("index", "rebuild", "orders", "--wait", check=False, timeout=300)
    assert refused.returncode == 1 and "index_is_rebuilding" in refused.stderr, refused
    judged = env.wait_until(lambda: [entry for entry in rebuilds(env) if entry["judged"] and entry["id"] not in cancelled], 120,
                            "it is judged")  # the status may still tell of the one before
    lost = judged[0]["lost"]
    assert lost["published"] == 1 and 0 < lost["expired"] <= 15 and lost["unsourced"] == 0, lost
    env.millrace("source", "resume", index.source, "--index", "orders", "--wait")
    env.millrace("index", "rebuild", "orders", "--accept-loss", "--wait", timeout=300)
    found = documents(env, "orders")
    assert "mine" not in found and entry_of(env, "orders")["generation"] == 2
    assert all(shop.documents[id] == document for id, document in found.items())
    assert len(found) >= len(shop.documents) - 15


test_nothing_is_lost_unnoticed.timeout_s = 900


def test_deleted_in_the_middle(env):
    index = import_shop(env)
    publish_shop(env, index, Shop(14), 100)
    env.millrace("source", "pause", index.source, "--index", "orders", "--wait")
    env.millrace("index", "rebuild", "orders")
    env.wait_until(lambda: "rebuilding" in entry_of(env, "orders"), 60, "it is being rebuilt")

    def of_both():
        found = {name for name in topics(env) if name.startswith(index.topic)}
        return found if len(found) == 2 else None

    logs = env.wait_until(of_both, 60, "each generation has a log")
    env.programs["rebalance"].kill9()
    env.start("rebalance")
    env.millrace("index", "delete", "orders", "--wait", timeout=180)
    # the configuration asks for the index again, which is another one with a log of its own
    env.wait_until(lambda: not logs & set(topics(env)), 120, "both logs are deleted")


test_deleted_in_the_middle.timeout_s = 600


def test_refused_without_sources(env):
    env.start_all()
    env.millrace("index", "create", "plain", "--wait")
    answer = env.millrace("index", "rebuild", "plain", "--wait", check=False)
    assert answer.returncode == 1 and "index_without_sources" in answer.stderr, answer
    answer = env.millrace("index", "rebuild", "plain", "--cancel", "--wait", check=False)
    assert answer.returncode == 1 and "index_is_not_rebuilding" in answer.stderr, answer
    assert index_of(env, "plain").topic == f"{env.cluster}.docs.plain"
