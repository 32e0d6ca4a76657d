"""One id through the log lines of every hop: a search from gateway to node, a batch from ingest to node."""
import json
import re
from pathlib import Path

PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


def lines_of(path):
    """[{key: value}] of a log in either format."""
    found = []
    written = Path(path).read_text(errors="replace").rpartition("\n")[0]  # behind it a line is being written
    for line in written.splitlines():
        if line.startswith("{"):
            found.append({key: str(value) for key, value in json.loads(line).items()})
        elif line.startswith("ts="):
            found.append({key: value.strip('"') for key, value in PAIR.findall(line)})
    return found


def matching(env, program, **wanted):
    return [line for line in lines_of(env.programs[program].log) if all(line.get(key) == value for key, value in wanted.items())]


def test_one_id_through_every_hop(env):
    env.start("rebalance")
    env.start("shard", {"log.level": "debug", "log.format": "json"})
    env.start("ingest", {"log.level": "debug"})
    env.start("query", {"log.level": "debug"})
    env.millrace("index", "create", "books", "--primary-key", "id", "--partitions", "2", "--wait")
    topic = env.millrace("index", "ls", "-o", "json")["results"][0]["topic"]
    producer = env.producer()
    producer.produce(topic, key="d1", value=json.dumps({"id": "d1", "name": "one"}))
    assert producer.flush(30) == 0
    found = env.wait_until(lambda: answer_with_hits(env), 90, "the document is found")

    asked = found.headers["X-Request-Id"]
    # A program writes the line when the answer is out.
    at_gateway = env.wait_until(lambda: matching(env, "query", event="answered", request=asked), 30, "the gateway names the search")
    assert [(line["path"], line["status"]) for line in at_gateway] == [("/indexes/books/search", "200")]
    at_node = env.wait_until(lambda: matching(env, "shard", event="answered", request=asked), 30, "the node names the search")
    assert {line["path"] for line in at_node} == {"/search"} and {line["program"] for line in at_node} == {"shard"}

    sent = matching(env, "ingest", event="batch_sent")
    assert sent and all(line["node"] == "n1" for line in sent), sent
    for line in sent:
        taken = env.wait_until(lambda id=line["request"]: matching(env, "shard", event="answered", request=id), 30,
                               "the node names the batch")
        assert [(other["path"], other["status"]) for other in taken] == [("/batch", "200")], taken


def answer_with_hits(env):
    answer = env.http("GET", "/indexes/books/search?q=one")
    return answer if answer.status == 200 and answer.json()["hits"] else None
