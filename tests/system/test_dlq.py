"""`millrace dlq`: groups and single dead letters against what an independent client reads, and what the broker refuses."""
import subprocess
from datetime import datetime, timezone

import confluent_kafka
import xxhash

from documents import Publisher
from test_feeding import fed_to_the_end, index_of, publish, whole

OWN = "__connect.errors.topic"  # the first of the headers that a dead letter adds
TOPIC_BYTES_DEFAULT = 1048588   # Kafka's max.message.bytes

# (key, value, headers, code); of every kind more than one thing differs
POISON = [
    (None, b'{"id":"a"}', [], "missing_key"),
    (b"\xff\xfe", b'{"id":"a"}', [], "invalid_document_id"),
    (b"a\x1b[31m", b'{"id":"a"}', [("trace", b"\x00\x01"), ("none", None), ("empty", b"")], "invalid_document_id"),
    ("op", b'{"n":1}', [("op", b"explode")], "unknown_operation"),
    ("seq", b'{"n":1}', [("seq", b"-1")], "invalid_header"),
    ("json", b'{"text":"\xc3\xa4', [], "not_json"),
    ("latin", b'{"x":"\xe9\x1b[2J"}', [("op", b"put")], "not_json"),
    ("array", b'[{"n":12345678901234567890123,"t":"\xc3\xa9"}]', [], "not_an_object"),
    ("mine", b'{"id":"yours","n":1.10}', [("trace", b"5"), ("trace", b"6")], "id_mismatch"),
]


def dead_letter_topic(env):
    return f"{env.cluster}.dead-letter"


def time_of(ms):
    """As Millrace prints times."""
    return datetime.fromtimestamp(ms // 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{ms % 1000:03d}Z"


def last_headers(message):
    return {name: value for name, value in message.headers() or []}


def is_text(value):
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def told(value):
    """What `-o json` says of bytes."""
    if value is None:
        return None
    return {"bytes": len(value), **({"text": value.decode()} if is_text(value) else {"hex": value.hex()})}


def number(text):
    return None if text is None else int(text)


def expected_letter(message):
    """What `dlq show -o json` must say of a message, out of its headers."""
    headers = last_headers(message)

    def text(name):
        return None if headers.get(name) is None else headers[name].decode(errors="replace")

    return {
        "partition": message.partition(), "offset": message.offset(), "time": time_of(message.timestamp()[1]),
        "record_time": time_of(int(headers["millrace.timestamp"])) if "millrace.timestamp" in headers else None,
        "index": text("millrace.index"), "code": text("millrace.error.code"),
        "reason": text("__connect.errors.exception.message"), "stage": text("__connect.errors.stage"),
        "document_id": text("millrace.document_id"), "attempts": number(text("millrace.attempts")),
        "log": text(OWN), "log_partition": number(text("__connect.errors.partition")),
        "log_offset": number(text("__connect.errors.offset")), "truncated": number(text("millrace.truncated")),
        "checksum": text("millrace.checksum"), "headers_omitted": number(text("millrace.headers_omitted")),
        "key_truncated": number(text("millrace.key_truncated")),
        "headers": [{"name": name, "value": told(value)} for name, value in message.headers() or []],
        "key": told(message.key()), "value": told(message.value()),
    }


def expected_groups(messages):
    """{(index, code): (letters, first, last)} of what an independent client has read."""
    groups = {}
    for message in messages:
        headers = last_headers(message)
        key = tuple(headers[name].decode() if name in headers else None for name in ("millrace.index", "millrace.error.code"))
        time = time_of(message.timestamp()[1])
        letters, first, last = groups.get(key, (0, time, time))
        groups[key] = (letters + 1, min(first, time), max(last, time))
    return groups


def place_of(message):
    return f"{message.partition()}@{message.offset()}"


def check_groups(env, messages, *words):
    """`dlq ls` says what the messages say."""
    said = env.millrace("dlq", "ls", *words, "-o", "json")
    assert sorted(said) == ["groups", "letters", "not_grouped", "topic"], said
    assert said["topic"] == dead_letter_topic(env) and said["letters"] == len(messages) and said["not_grouped"] == 0
    by_place = {place_of(message): message for message in messages}
    for group in said["groups"]:
        assert sorted(group) == ["code", "document_id", "example", "first", "index", "last", "letters", "reason"], group
        example = expected_letter(by_place[group["example"]])
        assert (example["index"], example["code"], example["time"]) == (group["index"], group["code"], group["last"])
        assert group["document_id"] == example["document_id"], group
        assert group["reason"] == (None if example["reason"] is None else example["reason"][:80]), group
    assert {(g["index"], g["code"]): (g["letters"], g["first"], g["last"]) for g in said["groups"]} == expected_groups(messages)
    assert [g["last"] for g in said["groups"]] == sorted((g["last"] for g in said["groups"]), reverse=True), "newest first"
    return said["groups"]


def refuse(env, *words):
    """What the command says when it ends with 1."""
    result = env.millrace("dlq", *words, check=False)
    assert result.returncode == 1 and "anitizer" not in result.stderr, (words, result)
    return result.stderr.strip()


def test_letters_of_bad_records(env):
    """Every kind of bad record, in two indexes: ls, show, filters and raw bytes against an independent client."""
    env.start_all()
    for uid in ("books", "films"):
        env.millrace("index", "create", uid, "--primary-key", "id", "--partitions", "1", "--wait")
    for uid, repeat in (("books", 2), ("films", 1)):
        publish(env, index_of(env, uid).topic, [(*record[:3], 0) for record in POISON * repeat])
    env.wait_until(lambda: len(env.read_topic(dead_letter_topic(env))) >= 3 * len(POISON), 90, "every bad record is a letter")
    messages = env.read_topic(dead_letter_topic(env))
    assert len(messages) == 3 * len(POISON)

    groups = check_groups(env, messages)
    codes = {code for _, _, _, code in POISON}
    assert len(codes) >= 5 and {(g["index"], g["code"]) for g in groups} == {(u, c) for u in ("books", "films") for c in codes}
    films = [m for m in messages if last_headers(m)["millrace.index"] == b"films"]
    check_groups(env, films, "--index", "films")
    check_groups(env, [m for m in films if last_headers(m)["millrace.error.code"] == b"not_json"],
                 "--index", "films", "--code", "not_json")

    table = env.millrace("dlq", "ls").stdout
    lines = table.splitlines()
    assert lines[0].split() == ["INDEX", "CODE", "LETTERS", "FIRST", "LAST", "EXAMPLE", "DOCUMENT", "ID", "REASON"], table
    assert [line.split()[:2] for line in lines[1:1 + len(groups)]] == [[g["index"], g["code"]] for g in groups], table
    assert lines[-2] == (f"{len(messages)} dead letters in {dead_letter_topic(env)}; "
                         f"`millrace dlq show {groups[0]['example']}` shows the newest,"), table
    assert lines[-1].startswith("`millrace dlq replay --reason CODE` puts "), table
    assert "\x1b" not in table

    for message in messages:
        place = place_of(message)
        assert env.millrace("dlq", "show", place, "-o", "json") == [expected_letter(message)], place
    check_text(env, messages)
    # the newest of a group, newest first
    said = env.millrace("dlq", "show", "--index", "books", "--code", "invalid_document_id", "--limit", "3", "-o", "json")
    wanted = [m for m in messages if last_headers(m)["millrace.index"] == b"books"
              and last_headers(m)["millrace.error.code"] == b"invalid_document_id"]
    wanted.sort(key=lambda m: (m.timestamp()[1], m.offset()), reverse=True)
    assert len(wanted) == 4 and said == [expected_letter(m) for m in wanted[:3]]
    assert len(env.millrace("dlq", "show", "--index", "books", "-o", "json")) == 10, "the default limit"
    nothing = refuse(env, "show", "--index", "books", "--code", "too_large")
    assert nothing.endswith("has no dead letter of index books with code too_large"), nothing


test_letters_of_bad_records.timeout_s = 600  # the command is run more than a hundred times


def check_text(env, messages):
    """What people and pipes get: everything named, nothing that a terminal would obey, raw bytes unchanged."""
    for message in messages:
        letter = expected_letter(message)
        place = place_of(message)
        text = env.millrace("dlq", "show", place).stdout
        first, *rest = text.splitlines()
        assert first == f"{place} of {dead_letter_topic(env)}"
        fields = dict(line.strip().split("  ", 1) for line in rest[:8] if "  " in line.strip())
        assert {"index", "code", "reason", "stage"} <= set(fields), text
        assert fields["index"].strip() == letter["index"] and fields["code"].strip() == letter["code"]
        assert fields["reason"].strip() == letter["reason"] and fields["time"].strip() == letter["time"]
        assert fields["record"].strip() == f"{letter['log']} {letter['log_partition']}@{letter['log_offset']}"
        assert not [c for c in text if c < " " and c != "\n"], f"control characters in {text!r}"
        for name, value in message.headers()[:[n for n, _ in message.headers()].index(OWN)]:
            assert f"\n  {name}: " in text, (name, text)
        raw = subprocess.run([*env.command("millrace"), "dlq", "show", place, "--raw"], capture_output=True, timeout=60)
        assert (raw.returncode, raw.stdout) == (0, message.value() or b""), (place, raw)
    by_key = {m.key(): env.millrace("dlq", "show", place_of(m)).stdout for m in messages}
    assert '\nvalue, 23 bytes of JSON\n{\n  "id": "yours",\n  "n": 1.10\n}\n' in by_key[b"mine"]
    assert '"n": 12345678901234567890123,\n' in by_key[b"array"] and '"t": "é"' in by_key[b"array"]
    assert '\nvalue, 11 bytes of text\n{"text":"ä\n' in by_key[b"json"]
    assert "\n00000000  7b 22 78 22 3a 22 e9 1b  5b 32 4a 22 7d".replace("  5b", " 5b") in by_key[b"latin"]
    assert "|{\"x\":\"..[2J\"}|\n" in by_key[b"latin"] and "\nkey null\n" in by_key[None]
    assert "\nkey, 2 bytes\nfffe\n" in by_key[b"\xff\xfe"]
    assert '\nkey, 6 bytes\n"a\\u001b[31m"\n' in by_key[b"a\x1b[31m"] and "  none: null\n" in by_key[b"a\x1b[31m"]


def test_without_letters(env):
    """No topic, no Kafka, an empty topic: each is said, and only the last is well."""
    absent = refuse(env, "ls")
    assert f"there is no topic {dead_letter_topic(env)}" in absent, absent
    env.create_topic(dead_letter_topic(env), 1)
    assert env.millrace("dlq", "ls").stdout == "no dead letters\n"
    assert env.millrace("dlq", "ls", "-o", "json") == {
        "topic": dead_letter_topic(env), "letters": 0, "not_grouped": 0, "groups": []}
    assert "has no dead letter of index books" in refuse(env, "show", "--index", "books")
    assert "there is no 0@0 yet: the next dead letter will be 0@0" in refuse(env, "show", "0@0")
    env.write_config({"kafka": {"bootstrap.servers": f"127.0.0.1:{env.ports.free()}"}})
    assert refuse(env, "ls").splitlines()[-1].startswith("millrace dlq: "), "Kafka is away"


def test_places_without_letter(env):
    """A place that is not there yet, is no longer there, never was a record, or is none."""
    topic = dead_letter_topic(env)
    env.create_topic(topic, 1)
    producer = env.producer(transactional_id=f"{env.cluster}.t")
    producer.init_transactions(60)
    for number in range(3):  # offsets 0, 2 and 4; the odd ones are the transactions' markers
        producer.begin_transaction()
        producer.produce(topic, key=f"k{number}", value=b"{}", headers=[(OWN, b"t"), ("millrace.index", b"books")])
        producer.commit_transaction(60)
    # Kafka writes a transaction's marker a moment after it has promised that.
    env.wait_until(lambda: len(env.read_topic(topic)) == 3, 30, "three letters are committed")
    assert [m.offset() for m in env.read_topic(topic)] == [0, 2, 4]
    assert env.millrace("dlq", "ls", "-o", "json")["letters"] == 3
    assert env.millrace("dlq", "show", "0@2", "-o", "json")[0]["key"] == {"bytes": 2, "text": "k1"}
    assert refuse(env, "show", "0@1").endswith("0@1 is no dead letter: Kafka has no record at that offset")
    assert refuse(env, "show", "0@6").endswith("there is no 0@6 yet: the next dead letter will be 0@6")
    assert refuse(env, "show", "7@0").endswith(f"{topic} has 1 partition, and none with number 7")

    gone = confluent_kafka.TopicPartition(topic, 0, 4)
    env.admin().delete_records([gone])[gone].result()
    assert f"0@2 has left {topic}, whose oldest dead letter is 0@4 (its retention.ms is 604800000)" in refuse(env, "show", "0@2")
    assert env.millrace("dlq", "ls", "-o", "json")["letters"] == 1
    gone = confluent_kafka.TopicPartition(topic, 0, 6)
    env.admin().delete_records([gone])[gone].result()
    assert f"0@4 has left {topic}, which is empty now" in refuse(env, "show", "0@4")
    assert env.millrace("dlq", "ls", "-o", "json")["letters"] == 0


def test_letters_of_others(env):
    """Several partitions, letters of Kafka Connect, of nobody, of a letter that failed again; more groups than are listed."""
    topic = dead_letter_topic(env)
    env.create_topic(topic, 3, retention_ms=-1)  # the letters' times are old
    now = 1_700_000_000_000
    own = [(OWN, b"t"), ("__connect.errors.partition", b"0"), ("__connect.errors.offset", b"8")]
    connect = [(OWN, b"shop"), ("__connect.errors.partition", b"4"), ("__connect.errors.offset", b"12"),
               ("__connect.errors.exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
               ("__connect.errors.exception.message", "Ä".encode() * 100)]
    again = [(OWN, b"old"), ("millrace.error.code", b"not_json"), ("millrace.index", b"books")]
    renewed = [*own, ("millrace.error.code", b"id_mismatch"), ("millrace.index", b"books")]
    sent = [
        (0, b"nobody's", None, now), (1, b"from connect", connect, now + 2), (2, b"\xff", again + renewed, now + 1),
        (2, b"odd", [(OWN, b"t"), ("__connect.errors.offset", b"twelve"), ("millrace.index", b"\xff\x00x")], now + 3),
        (2, b"older", renewed, now - 1),
    ]
    publisher = Publisher(env, topic)
    for partition, value, headers, time in sent:
        publisher.send(None, value, headers, partition=partition, timestamp=time)
    publisher.flush()
    said = env.millrace("dlq", "ls", "-o", "json")
    assert [(g["index"], g["code"], g["example"], g["last"]) for g in said["groups"]] == [
        ("\ufffd\x00x", None, "2@1", "2023-11-14T22:13:20.003Z"),
        (None, "org.apache.kafka.connect.errors.DataException", "1@0", "2023-11-14T22:13:20.002Z"),
        ("books", "id_mismatch", "2@0", "2023-11-14T22:13:20.001Z"), (None, None, "0@0", "2023-11-14T22:13:20.000Z")]
    assert said["groups"][1]["reason"] == "Ä" * 80
    assert (said["groups"][2]["letters"], said["groups"][2]["first"]) == (2, "2023-11-14T22:13:19.999Z")
    table = env.millrace("dlq", "ls").stdout
    assert "Ä" * 80 + "\n" in table, table
    again = env.millrace("dlq", "show", "2@0", "-o", "json")[0]
    assert (again["log"], again["log_offset"], again["code"], again["value"]) == ("t", 8, "id_mismatch", {"bytes": 1, "hex": "ff"})
    assert len(again["headers"]) == 8
    assert env.millrace("dlq", "show", "2@1", "-o", "json")[0]["log_offset"] is None
    text = env.millrace("dlq", "show", "2@0").stdout
    assert "\nheaders\n  __connect.errors.topic: old\n  millrace.error.code: not_json\n" in text, text
    nobody = env.millrace("dlq", "show", "0@0").stdout
    assert nobody.endswith("key null\nvalue, 8 bytes of text\nnobody's\n") and "index" not in nobody, nobody
    places = [letter["offset"] for letter in env.millrace("dlq", "show", "--code", "id_mismatch", "-o", "json")]
    assert places == [0, 2], "newest first, by time"

    for number in range(1200):
        publisher.send(None, b"", [(OWN, b"t"), ("millrace.index", b"many-%d" % number)], partition=1, timestamp=now + 10)
    publisher.flush()
    said = env.millrace("dlq", "ls", "-o", "json")
    assert (said["letters"], len(said["groups"]), said["not_grouped"]) == (1205, 1000, 205)
    assert "205 of them are in none of the 1000 groups that can be listed" in env.millrace("dlq", "ls").stdout
    assert env.millrace("dlq", "ls", "--index", "many-1199", "-o", "json")["letters"] == 1


def check_cut(letter, record):
    """The letter holds as much as fits of the record, and says what is missing and how to know the rest."""
    message, headers = letter, last_headers(letter)
    key, value, sent = record
    assert message.key() == key.encode() and value.startswith(message.value())
    assert "millrace.key_truncated" not in headers
    if message.value() == value:
        assert "millrace.truncated" not in headers and "millrace.checksum" not in headers
    else:
        assert int(headers["millrace.truncated"]) == len(value)
        assert headers["millrace.checksum"].decode() == xxhash.xxh3_64_hexdigest(value)
    if "millrace.headers_omitted" in headers:
        assert int(headers["millrace.headers_omitted"]) == len(sent) and message.headers()[0][0] == OWN
    else:
        assert message.headers()[:len(sent)] == sent
    assert headers["__connect.errors.exception.class.name"] == headers["millrace.error.code"]


def letters_of_oversized(env, records):
    """Publishes them between good ones; their letters, once everything behind them is fed."""
    env.start_all()
    env.millrace("index", "create", "books", "--primary-key", "id", "--partitions", "1", "--wait")
    topic = index_of(env, "books").topic
    places = publish(env, topic, [(*record, 0) for record in records] + [("good", b'{"n":1}', [], 0)])
    env.wait_until(lambda: fed_to_the_end(env, {0: places[-1][1] + 1}), 120, "the partition goes on behind them")
    assert whole(env, "GET", "/indexes/books/documents/good").status == 200
    letters = {int(last_headers(m)["__connect.errors.offset"]): m for m in env.read_topic(dead_letter_topic(env))}
    assert sorted(letters) == [offset for _, offset in places[:-1]]
    for record, (_, offset) in zip(records, places):
        check_cut(letters[offset], record)
        shown = env.millrace("dlq", "show", place_of(letters[offset]), "-o", "json")
        assert shown == [expected_letter(letters[offset])]
    return [letters[offset] for _, offset in places[:-1]]


def test_letters_larger_than_the_topic_takes(env):
    """A dead-letter topic with Kafka's default of 1 MB: letters are cut to just below it, and nothing waits."""
    env.create_topic(dead_letter_topic(env), 1, max_message_bytes=TOPIC_BYTES_DEFAULT)
    large, huge = [("trace", b"t" * 900_000)], [("trace", b"t" * 1_100_000), ("op", b"put")]
    records = [
        ("value", b"[" + b"v" * 4_000_000, []), ("value-and-headers", b"[" + b"v" * 4_000_000, large),
        ("headers", b"[not json", huge), ("all", b"[" + b"v" * 4_000_000, huge), ("small", b"[", [("trace", b"1")]),
        *[(f"many-{number}", b"[" + b"v" * 400_000, []) for number in range(20)],
    ]
    letters = letters_of_oversized(env, records)
    wire = [len(m.value()) + sum(len(n) + len(v or b"") for n, v in m.headers()) for m in letters[:4]]
    for bytes_left in (wire[0], wire[1], wire[3]):
        assert TOPIC_BYTES_DEFAULT - 2000 < bytes_left < TOPIC_BYTES_DEFAULT, wire
    assert letters[2].value() == b"[not json", "headers that do not fit leave their room to the value"
    assert len(letters[4].headers()) > 10 and all(m.value() == r[1] for m, r in zip(letters[4:], records[4:]))
    text = env.millrace("dlq", "show", place_of(letters[3])).stdout
    assert f"the value, here {len(letters[3].value())} bytes of 4000001; XXH3 of all of it " in text
    assert "\n  left out     2 headers of the record\n" in text and "further bytes; --raw writes the value as it is" in text
    raw = env.millrace("dlq", "show", place_of(letters[0]), "--raw")
    assert raw.stdout.encode() == letters[0].value()
    assert raw.stderr.strip() == f"millrace dlq: the value was cut: {len(letters[0].value())} bytes are left of 4000001"


def test_letters_larger_than_the_producer_sends(env):
    """A configuration that lets nobody send more than 100 kB: the letters are cut further until they go."""
    env.write_config({"kafka": {"bootstrap.servers": env.kafka.bootstrap_of_programs, "message.max.bytes": "100000"}})
    letters = letters_of_oversized(env, [("value", b"[" + b"v" * 4_000_000, []), ("small", b"[", [])])
    assert 20_000 < len(letters[0].value()) < 100_000


def test_words(env):
    for words, expected in [
        ([], "expected ls, show or replay (see --help)"),
        (["resend"], "expected ls, show or replay (see --help)"),
        (["ls", "0@1"], "`ls` takes --index, --code and -o (see --help)"),
        (["ls", "--limit", "3"], "`ls` takes --index, --code and -o (see --help)"),
        (["ls", "-o", "xml"], "-o is `xml`, expected table or json"),
        (["show"], "expected PARTITION@OFFSET, or --index or --code (see --help)"),
        (["show", "0@1", "0@2"], "`show` takes one PARTITION@OFFSET (see --help)"),
        (["show", "0@1", "--index", "books"], "PARTITION@OFFSET stands alone, without --index, --code and --limit"),
        (["show", "--index", "books", "--raw"], "--raw writes one value as it is: give its PARTITION@OFFSET, and no -o"),
        (["show", "0@1", "--raw", "-o", "json"], "--raw writes one value as it is: give its PARTITION@OFFSET, and no -o"),
        (["show", "--code", "x", "--limit", "0"], "--limit is `0`, expected 1 to 1000"),
        (["show", "--code", "x", "--limit", "1001"], "--limit is `1001`, expected 1 to 1000"),
        *[(["show", place], f"`{place}` is no PARTITION@OFFSET, such as 0@42")
          for place in ("", "5", "0@", "@5", "0@-1", "+0@1", "0@1x", "0@ 1", "2147483648@0", "0@9223372036854775807",
                        "0@99999999999999999999")],
    ]:
        assert refuse(env, *words) == f"millrace dlq: {expected}", words
    help = env.millrace("--help").stdout
    assert "dlq ls" in help and "dlq show PARTITION@OFFSET" in help and "dlq replay [PARTITION@OFFSET" in help
