"""`index rebuild`: a new generation by other rules, searched once it has everything, whatever dies meanwhile."""
import threading

from test_import import CRC32, RULES, Shop, configure, import_shop, publish_shop
from test_feeding import index_of, publish


def documents(env, uid):
    """{id: document} as the public API gives them."""
    answer = env.http("GET", f"/indexes/{uid}/documents?limit=1000").json()
    return {document["id"]: document for document in answer["results"]}


def entry_of(env, uid):
    answer = env.http("GET", env.admin + "/indexes").json()
    return next(entry for entry in answer["results"] if entry["uid"] == uid)


def test_rebuild(env):
    index = import_shop(env)
    shop = Shop(11)
    publish_shop(env, index, shop, 2000)
    env.wait_until(lambda: documents(env, "orders") == shop.documents, 60, "the first generation is searched")
    configure(env, {"topic": index.source, "index": "orders", "partitions": 4, **RULES, "mask": {"price": "***"}})
    masked = {id: {**document, "price": "***"} for id, document in shop.documents.items()}

    failures = []

    def rebuild():
        try:
            env.millrace("index", "rebuild", "orders", "--partitions", "2", "--wait", timeout=120)
        except Exception as failure:
            failures.append(failure)

    waiting = threading.Thread(target=rebuild)
    waiting.start()
    seen = 0
    while waiting.is_alive():
        found = documents(env, "orders")  # one generation or the other, always all of it
        assert found in (shop.documents, masked), len(found)
        seen += 1
        if seen == 2:
            env.programs["rebalance"].kill9()
            env.programs["ingest"].kill9()
            env.start("rebalance")
            env.start("ingest")
    waiting.join()
    assert not failures, failures
    env.wait_until(lambda: documents(env, "orders") == masked, 10, "the second generation is searched")
    entry = entry_of(env, "orders")
    assert (entry["generation"], entry["partitions"], entry["sources"][0]["life"]) == (2, 2, 2), entry
    assert "rebuilding" not in entry
    assert int(entry["id"], 16) != index.id
    env.wait_until(lambda: index.topic not in env.producer().list_topics(timeout=10).topics, 30,
                   "the first generation's log is deleted")
    # and it goes on
    publish(env, index.source, [('{"order":"new"}', b'{"id":"new","price":1}', [], -1)], **CRC32)
    masked["new"] = {"id": "new", "price": "***"}
    env.wait_until(lambda: documents(env, "orders") == masked, 30, "what is published later is imported")


def test_refused_without_sources(env):
    env.start_all()
    env.millrace("index", "create", "plain", "--wait")
    answer = env.millrace("index", "rebuild", "plain", "--wait", check=False)
    assert answer.returncode == 1 and "index_without_sources" in answer.stderr, answer
    assert index_of(env, "plain").topic == f"{env.cluster}.docs.plain"
