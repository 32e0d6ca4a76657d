"""The gateway with the real programs behind it: shapes, errors, keys, heads of requests, nodes that are away."""
import json
import re
import socket
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

from test_feeding import whole

DOCUMENTS = 60
LINK = "https://docs.meilisearch.com/errors#"
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
KEY = "0123456789abcdef-master"


def body_of(number):
    """A document whose bytes a JSON library would write differently."""
    return (b'{ "id":"book-%d" , "title":"%s volume %d","price": 1.10,"big":12345678901234567890123,'
            b'"nested":{"a": [1e2, {"b":2}]},"name":"\\u00c9tude" }'
            % (number, b"mill" if number % 2 else b"millrace", number))


def publish(env, topic, numbers):
    """A millisecond apart: within one, documents are ordered by id."""
    producer = env.producer()
    for number in numbers:
        producer.produce(topic, key=f"book-{number}", value=body_of(number), timestamp=1700000000000 + number)
    assert producer.flush(60) == 0


def topic_of(env, uid):
    rows = env.http("GET", env.programs["query"].admin_url + "/indexes").json()["results"]
    return next(row["topic"] for row in rows if row["uid"] == uid)


def count(env, uid="books", headers=None):
    answer = env.http("GET", f"/indexes/{uid}/stats", headers=headers)
    return answer.json()["numberOfDocuments"] if answer.status == 200 else -1


def books(env, extra_config=None, headers=None):
    """All programs, and an index `books` with DOCUMENTS documents in three shards, each of which answers for itself."""
    env.start_all({"query.timeout_ms": "10000", **(extra_config or {})})
    env.millrace("index", "create", "books", "--primary-key", "id", "--partitions", "3", "--wait")
    publish(env, topic_of(env, "books"), range(DOCUMENTS))
    env.wait_until(lambda: count(env, headers=headers) == DOCUMENTS, 60, f"{DOCUMENTS} documents are searchable")
    whole(env, "POST", "/indexes/books/search", {}, headers)


def search(env, body, uid="books"):
    return env.http("POST", f"/indexes/{uid}/search", body)


def found(env, body):
    """The answer of a search that lacks nothing."""
    return whole(env, "POST", "/indexes/books/search", body)


def ids(hits):
    return [hit["id"] for hit in hits]


def without_time(answer):
    return {key: value for key, value in answer.json().items() if key not in ("processingTimeMs", "requestUid")}


def check_error(answer, status, code, message=None):
    assert answer.status == status, f"{answer} instead of {status} {code}"
    error = answer.json()
    assert list(error) == ["message", "code", "type", "link"], error
    assert error["code"] == code, f"{error} instead of {code}"
    assert error["link"] == LINK + code, error
    if message is not None:
        assert error["message"] == message, f"{error['message']!r} instead of {message!r}"
    return error


def test_shapes(env):
    books(env)
    answer = found(env, {"q": "mill", "limit": 7, "offset": 2})
    assert answer.status == 200, answer
    result = answer.json()
    assert list(result) == ["hits", "query", "processingTimeMs", "limit", "offset", "estimatedTotalHits", "requestUid"]
    assert (result["query"], result["limit"], result["offset"]) == ("mill", 7, 2), result
    assert result["estimatedTotalHits"] == DOCUMENTS, result  # `mill` begins `millrace` too
    assert UUID7.fullmatch(result["requestUid"]), result
    # exact words first, then the order of the log
    assert ids(result["hits"]) == [f"book-{n}" for n in range(1, DOCUMENTS, 2)][2:9], ids(result["hits"])
    assert found(env, {"limit": 5000}).json()["limit"] == 5000
    assert len(found(env, {"limit": 5000}).json()["hits"]) == DOCUMENTS
    assert found(env, {"q": "mill", "limit": 0}).json()["hits"] == []
    assert found(env, {"offset": 2000}).json()["hits"] == []
    # a page at a time is the whole in the same order
    every = ids(found(env, {"q": "mill", "limit": DOCUMENTS}).json()["hits"])
    pages = [i for at in range(0, DOCUMENTS, 7) for i in ids(found(env, {"q": "mill", "limit": 7, "offset": at}).json()["hits"])]
    assert pages == every and len(set(every)) == DOCUMENTS, pages

    # documents come as they were published, byte for byte
    one = env.http("GET", "/indexes/books/documents/book-3")
    assert one.status == 200 and one.body == body_of(3), one
    assert body_of(3) in found(env, {"q": "volume 3", "limit": DOCUMENTS}).body
    part = env.http("GET", "/indexes/books/documents/book-3?fields=price,nested.a")
    assert part.body == b'{"price":1.10,"nested":{"a":[1e2, {"b":2}]}}', part
    listing = env.http("GET", "/indexes/books/documents?offset=10&limit=4").json()
    assert ids(listing.pop("results")) == [f"book-{n}" for n in range(10, 14)]
    assert listing == {"offset": 10, "limit": 4, "total": DOCUMENTS}, listing
    everything = env.http("GET", f"/indexes/books/documents?limit={DOCUMENTS}&fields=id").json()["results"]
    assert everything == [{"id": f"book-{n}"} for n in range(DOCUMENTS)], everything

    index = env.http("GET", "/indexes/books").json()
    assert list(index) == ["uid", "createdAt", "updatedAt", "primaryKey"] and index["primaryKey"] == "id", index
    assert TIME.fullmatch(index["createdAt"]) and TIME.fullmatch(index["updatedAt"]), index
    assert env.http("GET", "/indexes").json() == {"results": [index], "offset": 0, "limit": 20, "total": 1}
    assert env.http("GET", "/indexes?offset=1&limit=3").json() == {"results": [], "offset": 1, "limit": 3, "total": 1}
    stats = env.http("GET", "/indexes/books/stats").json()
    assert stats["rawDocumentDbSize"] == sum(len(body_of(n)) for n in range(DOCUMENTS)), stats
    assert stats["isIndexing"] is False and stats["fieldDistribution"] == {}, stats
    assert env.http("GET", "/stats").json()["indexes"] == {"books": stats}
    assert env.http("GET", "/health").json() == {"status": "available"}
    assert "pkgVersion" in env.http("GET", "/version").json()
    task = env.http("GET", "/tasks/0").json()
    assert (task["uid"], task["indexUid"], task["status"], task["type"]) == (0, "books", "succeeded", "indexCreation"), task
    assert TIME.fullmatch(task["finishedAt"]) and task["duration"].startswith("PT") and task["error"] is None, task
    metrics = env.metrics("query")
    assert metrics["millrace_search_duration_seconds_count"] > 10, metrics
    lists = 'millrace_http_requests_total{route="/indexes/*/documents",status="200"}'
    env.wait_until(lambda: env.metrics("query").get(lists) == 2, 30, "two lists are counted")


def test_get_is_post(env):
    books(env)
    for body in ({}, {"q": "mill"}, {"q": "mill volume", "limit": 3}, {"q": "étude", "offset": 4, "limit": 2},
                 {"q": "no such words", "limit": 0}, {"q": 'quotes " and & = +'}):
        posted = found(env, body)
        got = whole(env, "GET", "/indexes/books/search?" + urllib.parse.urlencode(body))
        assert (posted.status, got.status) == (200, 200), (posted, got)
        assert without_time(posted) == without_time(got), (body, posted, got)
    # many at once get the answers that one gets
    expected = without_time(found(env, {"q": "mill", "limit": 9}))
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: found(env, {"q": "mill", "limit": 9}), range(400)))
    assert all(answer.status == 200 and without_time(answer) == expected for answer in answers)


def test_errors(env):
    books(env)
    path = "/indexes/books/search"
    check_error(search(env, {}, "nothing"), 404, "index_not_found", "Index `nothing` not found.")
    check_error(search(env, {}, "no%20thing"), 400, "invalid_index_uid")
    check_error(search(env, {"q": ["doggo"]}), 400, "invalid_search_q",
                'Invalid value type at `.q`: expected a string, but found an array: `["doggo"]`')
    check_error(search(env, {"offset": "doggo"}), 400, "invalid_search_offset",
                'Invalid value type at `.offset`: expected a positive integer, but found a string: `"doggo"`')
    check_error(search(env, {"limit": -1}), 400, "invalid_search_limit",
                "Invalid value type at `.limit`: expected a positive integer, but found a negative integer: `-1`")
    check_error(env.http("GET", path + "?limit=doggo"), 400, "invalid_search_limit",
                "Invalid value in parameter `limit`: could not parse `doggo` as a positive integer")
    error = check_error(search(env, {"marin": "hello"}), 400, "bad_request")
    assert error["message"].startswith("Unknown field `marin`: expected one of `q`, `offset`, `limit`, "), error
    error = check_error(env.http("GET", path + "?marin=hello"), 400, "bad_request")
    assert error["message"].startswith("Unknown parameter `marin`: expected one of `q`, `offset`, `limit`, "), error
    check_error(search(env, {"filter": "price = 1.10"}), 400, "invalid_search_filter",
                "Index `books`: Attribute `price` is not filterable. This index does not have configured filterable attributes.")
    error = check_error(search(env, {"useNetwork": True}), 400, "bad_request")
    assert "not available in this version of Millrace" in error["message"], error
    assert search(env, {"filter": None, "attributesToRetrieve": ["*"], "matchingStrategy": "last"}).status == 200

    raw = {"Content-Type": "application/json"}
    check_error(env.http("POST", path, b"", raw), 400, "missing_payload", "A json payload is missing.")
    check_error(env.http("POST", path, b'{"q":', raw), 400, "malformed_payload")
    check_error(env.http("POST", path, b'{"q":' + b"[" * 5000, raw), 400, "malformed_payload")
    check_error(env.http("POST", path, b"{}", {"Content-Type": "text/plain"}), 415, "invalid_content_type",
                "The Content-Type `text/plain` is invalid. Accepted values for the Content-Type header are: "
                "`application/json`")
    check_error(env.http("POST", path, b'{"q":"' + b"x" * (1 << 20) + b'"}', raw), 413, "payload_too_large")
    check_error(env.http("GET", "/indexes/books/documents/absent"), 404, "document_not_found",
                "Document `absent` not found.")
    check_error(env.http("GET", "/indexes/books/documents/a%20b"), 404, "document_not_found")
    check_error(env.http("GET", "/indexes/books/documents/book-1?limit=1"), 400, "bad_request")
    check_error(env.http("GET", "/indexes/books/documents?limit=x"), 400, "invalid_document_limit")
    check_error(env.http("GET", "/indexes?offset=x"), 400, "invalid_index_offset")
    check_error(env.http("GET", "/tasks/123456"), 404, "task_not_found")
    check_error(env.http("GET", "/tasks/x"), 400, "invalid_task_uids")
    for method, place, status in (("GET", "/nothing", 404), ("GET", "/indexes/books/nothing", 404), ("GET", "/", 404),
                                  ("GET", "/indexes/", 404), ("PUT", "/indexes/books/search", 405),
                                  ("POST", "/health", 405), ("DELETE", "/indexes/books", 405)):
        answer = env.http(method, place)
        assert (answer.status, answer.body) == (status, b""), (method, place, answer)

    admin = env.programs["query"].admin_url
    check_error(env.http("POST", admin + "/indexes", {"uid": "a b"}), 400, "invalid_index_uid")
    check_error(env.http("POST", admin + "/indexes", {}), 400, "missing_index_uid", "Missing field `uid`")
    check_error(env.http("POST", admin + "/indexes", {"uid": "a", "partitions": 0}), 400, "bad_request")
    check_error(env.http("POST", admin + "/indexes", {"uid": "a", "partitioner": "x"}), 400, "bad_request")
    accepted = env.http("POST", admin + "/indexes", {"uid": "books"})
    assert accepted.status == 202 and accepted.json()["status"] == "enqueued", accepted
    task = env.wait_until(lambda: done(env, accepted.json()["taskUid"]), 60, "the second creation is final")
    assert task["status"] == "failed" and task["error"]["code"] == "index_already_exists", task


def done(env, task):
    answer = env.http("GET", f"/tasks/{task}")
    return answer.json() if answer.status == 200 and answer.json()["status"] in ("succeeded", "failed") else None


def test_deleted_and_created_again(env):
    books(env)
    env.millrace("index", "delete", "books", "--wait")
    env.wait_until(lambda: env.http("GET", "/indexes/books").status == 404, 30, "the index is gone")
    check_error(search(env, {}), 404, "index_not_found")
    env.millrace("index", "create", "books", "--primary-key", "id", "--partitions", "2", "--wait")
    env.wait_until(lambda: search(env, {}).status == 200, 60, "the new index answers")
    result = whole(env, "POST", "/indexes/books/search", {}).json()
    assert result["hits"] == [] and result["estimatedTotalHits"] == 0, result
    check_error(env.http("GET", "/indexes/books/documents/book-1"), 404, "document_not_found")


def test_master_key(env):
    env.write_config({"auth": {"master_key": KEY}})
    bearer = {"Authorization": f"Bearer {KEY}"}
    books(env, headers=bearer)
    assert env.http("GET", "/health").status == 200
    for method, path, body in (("GET", "/indexes", None), ("GET", "/version", None), ("GET", "/stats", None),
                               ("POST", "/indexes/books/search", {"q": "mill"}), ("GET", "/indexes/books/search?q=mill", None),
                               ("GET", "/indexes/books/documents", None), ("GET", "/indexes/books/documents/book-1", None),
                               ("GET", "/indexes/books/stats", None), ("GET", "/indexes/books", None), ("GET", "/tasks/0", None)):
        check_error(env.http(method, path, body), 401, "missing_authorization_header",
                    "The Authorization header is missing. It must use the bearer authorization method.")
        check_error(env.http(method, path, body, {"Authorization": f"Basic {KEY}"}), 401, "missing_authorization_header")
        for wrong in (KEY[:-1], KEY + "x", KEY.upper(), "", "x"):
            check_error(env.http(method, path, body, {"Authorization": f"Bearer {wrong}"}), 403, "invalid_api_key",
                        "The provided API key is invalid.")
        assert env.http(method, path, body, bearer).status == 200, (method, path)
    # neither a wrong key nor its absence says what exists
    check_error(env.http("GET", "/indexes/nothing"), 401, "missing_authorization_header")


HEADS = {
    "Content-Length, then chunked": b"POST /indexes HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, then Content-Length": b"POST /indexes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths 0, 5": b"POST /indexes HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
    "two lengths 5, 0": b"POST /indexes HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
    "space before the colon": b"POST /indexes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "gzip, chunked": b"POST /indexes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "xchunked": b"POST /indexes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "bare LF": b"GET /health HTTP/1.1\nHost: x\n\n",
    "folded header": b"GET /health HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "NUL in a header": b"GET /health HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    "two Hosts": b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "two Authorizations": b"GET /health HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
    "HTTP/1.9": b"GET /health HTTP/1.9\r\nHost: x\r\n\r\n",
    "NUL in the path": b"GET /health%00x HTTP/1.1\r\nHost: x\r\n\r\n",
    "control character in the path": b"GET /health%0a HTTP/1.1\r\nHost: x\r\n\r\n",
    "dot segments": b"GET /indexes/../health HTTP/1.1\r\nHost: x\r\n\r\n",
    "encoded slash": b"GET /indexes%2fbooks HTTP/1.1\r\nHost: x\r\n\r\n",
    "length +5": b"POST /indexes HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
    "length 5x": b"POST /indexes HTTP/1.1\r\nHost: x\r\nContent-Length: 5x\r\n\r\nhello",
    "length -1": b"POST /indexes HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\nhello",
    "huge length": b"POST /indexes HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
    "chunk of -1": b"POST /indexes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n",
    "huge chunk": b"POST /indexes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "40 KB header": b"GET /health HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 40000 + b"\r\n\r\n",
    "2000 headers": b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(2000)) + b"\r\n",
    "unknown method": b"BREW /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "no Host": b"GET /health HTTP/1.1\r\n\r\n",
}
# What would be read as a second request if the first were cut in the wrong place.
SMUGGLED = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n"


def exchange(address, payload, deadline_s=30):
    """Everything the server says until it closes; None if it leaves the connection open."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=deadline_s) as connection:
        received = b""
        try:
            connection.sendall(payload)
            while piece := connection.recv(65536):
                received += piece
        except TimeoutError:
            return None
        except (ConnectionResetError, BrokenPipeError):
            pass
        return received


def test_heads_are_audited(env):
    env.start("rebalance", wait=False)
    env.start("query")
    for place in (env.programs["query"].listen, env.programs["query"].admin):
        for name, head in HEADS.items():
            received = exchange(place, head + SMUGGLED)
            assert received is not None, f"{name}: the connection stays open"
            assert re.match(rb"HTTP/1\.[01] 4\d\d ", received) or received == b"", (name, received[:200])
            # libmicrohttpd's own refusals may repeat their head; nothing but refusals may come
            assert b"pkgVersion" not in received and not re.search(rb"^HTTP/1\.[01] [1235]", received, re.M), (name, received)
    # a head that never ends is cut off within its deadline, drop by drop or not at all
    listen = env.programs["query"].listen
    for beginning in (b"", b"GET /health HTTP/1.1\r\nHost: x\r\nA: "):
        received = exchange(listen, beginning)
        assert received is not None, "a head without an end keeps its connection"
    assert env.http("GET", "/health").status == 200


def test_nodes_away(env):
    books(env, {"query.timeout_ms": "500"})
    expected = without_time(found(env, {"q": "mill", "limit": 9}))
    shard = env.programs["shard"]
    shard.stop()
    # no shard answers: an error within the deadline, never "no hits"
    error = check_error(search(env, {"q": "mill"}), 503, "unavailable")
    assert "shards=books/0,books/1,books/2" in error["message"], error
    check_error(env.http("GET", "/indexes/books/documents/book-1"), 503, "unavailable")
    shard.cont()
    env.wait_until(lambda: search(env, {}).status == 200, 60, "the node answers again")
    shard.kill9()
    check_error(search(env, {"q": "mill"}), 503, "unavailable")
    stats = env.http("GET", "/indexes/books/stats")
    assert stats.headers["X-Millrace-Degraded"] == "shards=books/0,+2", stats.headers
    assert env.http("GET", "/indexes/books").status == 200
    env.start("shard")

    def whole_again():
        answer = search(env, {"q": "mill", "limit": 9})
        # a recovering shard may answer, flagged; an unflagged answer is the whole one
        if answer.status == 200 and answer.headers["X-Millrace-Degraded"] is None:
            assert without_time(answer) == expected, answer
            return True
        return False

    env.wait_until(whole_again, 60, "the restarted node serves")
    metrics = env.metrics("query")
    assert metrics['millrace_search_degraded_total{reason="refused"}'] >= 2, metrics


def test_kafka_away(env):
    """What is indexed stays searchable; what needs Kafka waits for it."""
    books(env)
    expected = without_time(found(env, {"q": "mill", "limit": 9}))
    env.kafka.pause()
    for _ in range(50):
        if env.stood_still("shard"):
            break  # with the machine, and it is not level again before Kafka is there
        answer = search(env, {"q": "mill", "limit": 9})
        assert answer.status == 200 and without_time(answer) == expected, answer
        assert answer.headers["X-Millrace-Degraded"] is None, answer.headers
    assert env.http("GET", "/indexes/books/documents/book-7").body == body_of(7)
    assert count(env) == DOCUMENTS
    env.kafka.resume()
    env.millrace("index", "create", "more", "--partitions", "1", "--wait")
    env.wait_until(lambda: search(env, {}, "more").status == 200, 60, "an index created afterwards answers")


def test_before_kafka_is_there(env):
    """A gateway without Kafka is alive, not ready, and ends when told to."""
    nowhere = f"127.0.0.1:{env.ports.free()}"
    config = env.write_config({"kafka": {"bootstrap.servers": nowhere}}, name="nowhere.yaml")
    env.start("query", config=config, wait=False)
    public, admin = (f"http://127.0.0.1:{env.places[name]}" for name in ("query", "admin"))

    def answers():
        try:
            return env.http("GET", public + "/health").status == 200
        except OSError:
            return False

    env.wait_until(answers, 60, "the gateway listens")
    for address in (public + "/indexes", public + "/indexes/books/search", public + "/tasks/0", admin + "/indexes",
                    admin + "/ready"):
        check_error(env.http("GET", address), 503, "not_ready")
    check_error(env.http("POST", public + "/indexes/books/search", {"q": "x"}), 503, "not_ready")
    check_error(env.http("POST", admin + "/indexes", {"uid": "x"}), 503, "not_ready")
    assert env.http("GET", admin + "/health").status == 200
    assert not env.programs["query"].ready_file.exists()
    assert json.loads(env.http("GET", public + "/health").body) == {"status": "available"}
