"""The tests' own fold against literal expectations: every other test believes it."""
import fold_filter
from fold import Index, Record, Shard, Verdict
from fold_json import merged, parse
from fold_record import Refused, decode
from history import History, accounts

INDEX = dict(id=7, topic="t", partitions=1, contract=2, dedup_window=10)


def shard(**settings):
    return Shard(Index(**{**INDEX, **settings}), 0)


def put(offset, key, value, *headers):
    return Record(offset, 1000 + offset, key, value, list(headers))


def bodies(fold):
    return {id: body for id, (body, _) in fold.documents.items()}


def test_fold_merges_bytes(_env):
    """(document, patch, outcome): places of the first, values of the last, tokens as they were."""
    for existing, patch, outcome in (
            (b'{"a":1,"b":2}', b'{"b":3}', b'{"a":1,"b":3}'),
            (b'{"b":1,"a":2}', b'{"c":0,"a":9}', b'{"b":1,"a":9,"c":0}'),
            (b'{}', b'{ "a" : [ 1 , {"x y" : " , }"} ] }', b'{"a":[1,{"x y":" , }"}]}'),
            (b'\n{"a":1.10,"a":-0}', b'{}', b'{"a":-0}'),
            (b'{"\\u0061":1}', b'{"a":2}', b'{"\\u0061":2}'),
            (b'{"a":1}', b'{"\\u0061":12345678901234567890123}', b'{"a":12345678901234567890123}'),
            (b'{"a":"\\"}"}', b'{"\xc3\xa4":"\\\\"}', b'{"a":"\\"}","\xc3\xa4":"\\\\"}'),
            (b'{"n":{"x":1}}', b'{"n":{"y":2}}', b'{"n":{"y":2}}')):
        assert merged(existing, patch) == outcome, (existing, patch, merged(existing, patch))


def test_fold_operations(_env):
    fold = shard(document_bytes_max=64)
    fold.apply(put(0, b"a", b'{"n":1}'))
    fold.apply(put(1, b"b", b'{"id":"b"}', ("op", b"put-if-exists")))
    fold.apply(put(2, b"a", b'{"m":2}', ("op", b"merge")))
    fold.apply(put(3, b"c", b'{"m":3}', ("op", b"merge"), ("seq", b"4")))
    fold.apply(put(4, b"d", b'{"m":4}', ("op", b"merge-if-exists")))
    assert fold.documents == {b"a": (b'{"id":"a","n":1,"m":2}', (1000, 0)), b"c": (b'{"id":"c","m":3}', (1003, 4))}
    fold.apply(put(5, b"a", b'{"long":"' + 40 * b"x" + b'"}', ("op", b"merge")))
    assert fold.merges_too_large == 1 and bodies(fold)[b"a"] == b'{"id":"a","n":1,"m":2}'
    fold.apply(put(6, b"a", b"", ("op", b"merge")))
    fold.apply(put(7, b"a", b'{"n":7}', ("created", b"5.6")))
    assert fold.documents[b"a"] == (b'{"id":"a","n":7}', (5, 6))
    fold.apply(put(8, None, b'"n > 6 OR m = 99"', ("op", b"delete-by-filter")))
    assert sorted(fold.documents) == [b"c"] and fold.affected == {8: [b"a"]}
    fold.apply(put(9, None, b"ignored", ("op", b"delete-all")))
    assert not fold.documents and fold.affected[9] == [b"c"]
    assert set(fold.verdicts.values()) == {Verdict("applied")} and fold.end == 10


def test_fold_deduplicates(_env):
    """A record is judged by the last occurrence of its identity in the window, whatever became of that."""
    fold = shard()
    key = ("idempotency-key", b"k")
    fold.apply(put(0, b"a", b'{"n":1}', key))
    fold.apply(put(1, b"a", None))
    fold.apply(put(2, b"a", b'{"n":1}', key))
    assert not fold.documents and fold.verdicts[2] == Verdict("duplicate", earlier=0)
    fold.apply(put(3, b"b", b'{"n":1}', key))
    assert fold.verdicts[3] == Verdict("applied"), "another document is another identity"
    fold.apply(put(4, b"a", b'{"n":2}', key))
    assert fold.verdicts[4] == Verdict("dead", "idempotency_key_reused", 2)
    fold.apply(put(5, b"a", b'{"n":2}', key))
    assert fold.verdicts[5] == Verdict("duplicate", earlier=4), "the last occurrence decides"
    fold.apply(put(15, b"a", b'{"n":1}', key))
    assert fold.verdicts[15] == Verdict("dead", "idempotency_key_reused", 5), "the window's first offset"
    fold.apply(put(26, b"a", b'{"n":9}', key))
    assert fold.verdicts[26] == Verdict("applied"), "beyond the window"
    fold.apply(put(27, b"c", b"{}", ("ce_source", b"s"), ("ce_id", b"1")))
    fold.apply(put(28, b"c", b'{"id":"c"}', ("ce_source", b"s"), ("ce_id", b"1"), ("op", b"put")))
    assert fold.verdicts[28] == Verdict("duplicate", earlier=27), "the decoded operation is compared"
    fold.apply(put(29, b"c", b"{}", ("ce_source", b"s")))
    assert fold.verdicts[29] == Verdict("applied")
    without = shard(dedup_window=0)
    for offset in (0, 1):
        without.apply(put(offset, b"a", b"{}", key))
    assert without.count("applied") == 2


def test_fold_origins_and_skips(_env):
    fold = shard()
    fold.skips = frozenset({4})

    def imported(offset, origin):
        fold.apply(put(offset, b"a", b"{}", ("origin", origin)))
        return fold.verdicts[offset]

    assert imported(0, b"shop.db.1/0/10.0") == Verdict("applied")
    assert imported(1, b"shop.db.1/0/10.0") == Verdict("duplicate")
    assert imported(2, b"shop.db.1/0/10.1") == Verdict("applied")
    assert imported(3, b"shop.db.1/0/9.7") == Verdict("duplicate")
    assert imported(4, b"shop.db.1/0/99.0") == Verdict("skipped", "skipped")
    assert imported(5, b"shop.db.1/0/11.0") == Verdict("applied"), "what is skipped is not looked at"
    assert imported(6, b"shop.db.1/1/1.0") == Verdict("applied"), "another partition"
    assert imported(7, b"shop.db.2/0/1.0") == Verdict("applied"), "a higher life"
    assert imported(8, b"shop.db.1/0/12.0") == Verdict("duplicate"), "a lower life"
    fold.origins = {(b"other", n): (1, 1, 1) for n in range(4096)}
    assert imported(9, b"new.1/0/1.0") == Verdict("dead", "too_many_sources")
    assert imported(10, b"other.1/5/1.2") == Verdict("applied")


def test_fold_refusals(_env):
    """(headers, value, code) under contract 2; key "a", or none for barriers."""
    barrier = [("op", b"delete-by-filter")]
    for key, headers, value, code in (
            (b"a", [("op", b"upsert")], b"{}", "unknown_operation"),
            (b"a", [("seq", b"01")], b"{}", "invalid_header"),
            (b"a", [("created", b"1/2")], b"{}", "invalid_header"),
            (b"a", [("created", b"01.2")], b"{}", "invalid_header"),
            (b"a", [("if-offset", b"3")], b"{}", "invalid_header"),
            (b"a", [("origin", b"s.1/0/0")], b"{}", "invalid_header"),
            (b"a", [("origin", b"s/1.1/0/0.0")], b"{}", "invalid_header"),
            (b"a", [("origin", b".1/0/0.0")], b"{}", "invalid_header"),
            (b"a", [("origin", b"s.1/2147483648/0.0")], b"{}", "invalid_header"),
            (b"a", [("idempotency-key", b"")], b"{}", "invalid_header"),
            (b"a", [("idempotency-key", 1025 * b"x")], b"{}", "invalid_header"),
            (b"a", [("ce_source", b"s"), ("ce_id", None)], b"{}", "invalid_header"),
            (b"a", barrier, b'"a = 1"', "unexpected_key"),
            (None, barrier, b"", "invalid_filter"),
            (None, barrier, b'""', "invalid_filter"),
            (None, barrier, b"[]", "invalid_filter"),
            (None, barrier, b'[" "]', "invalid_filter"),
            (None, barrier, b'{"a":1}', "invalid_filter"),
            (None, barrier, b"7", "invalid_filter"),
            (None, barrier, b'"a ="', "invalid_filter"),
            (None, barrier, b'"a = 1', "not_json"),
            (None, [("op", b"put")], b"{}", "missing_key"),
            (b"a", [], b'{"id":5}', "id_mismatch"),
            (b"a", [], 129 * b"[" + 129 * b"]", "too_deep")):
        try:
            decode(Index(**INDEX), 0, Record(0, 0, key, value, headers))
            found = None
        except Refused as refused:
            found = refused.args[0]
        assert found == code, (headers, value, found, code)


def test_history_names_what_is_wrong(_env):
    """Every way in which a replica can differ from the fold has its name."""
    fold, history = shard(), History()
    key = ("idempotency-key", b"k")
    for record in (put(0, b"a", b'{"id":"a","n":1}', key), put(1, b"a", b'{"x":1}', ("op", b"merge")),
                   put(2, b"a", b'{"y":1}', ("op", b"merge")), put(3, b"b", b'{"id":"b"} ', key), put(4, b"b", None),
                   put(5, b"b", b'{"id":"b"} ', key), put(6, b"a", b'{"id":"a","n":2}', key), put(7, b"c", b'{"id":"c"}'),
                   put(8, None, b'"id = c"', ("op", b"delete-by-filter")), put(9, b"d", b'{"id":"d"}\n'), put(10, b"e", b"{")):
        history.watch(fold, record, fold.apply(record))
    a, d = (b'{"id":"a","n":1,"x":1,"y":1}', (1000, 0)), (b'{"id":"d"}', (1009, 0))

    def wrong(**changes):
        listed = {b"a": a, b"d": d, **{id.encode(): entry for id, entry in changes.items()}}
        found = history.findings(fold, [(id, *entry) for id, entry in listed.items() if entry], "n1")
        return [(finding.wrong, finding.id) for finding in found]

    assert wrong() == []
    assert wrong(a=None) == [("lost", b"a")]
    assert wrong(a=(b'{"id":"a","n":1,"x":1}', (1000, 0))) == [("stale", b"a")]
    assert wrong(a=(b'{"id":"a","n":1,"y":1}', (1000, 0))) == [("lost", b"a")], "a merge is lost"
    assert wrong(a=(b'{"id":"a","n":1,"x":1,"y":1,"z":1}', (1000, 0))) == [("double", b"a")]
    assert wrong(a=(b'{"id":"a","n":2}', (1000, 0))) == [("double", b"a")], "what was refused was applied"
    assert wrong(a=(a[0], (1001, 0))) == [("misplaced", b"a")]
    assert wrong(b=(b'{"id":"b"}', (1003, 0))) == [("resurrected", b"b")]
    assert wrong(c=(b'{"id":"c"}', (1007, 0))) == [("resurrected", b"c")]
    assert [f.wrong for f in history.findings(fold, [(b"a", *a), (b"a", *a), (b"d", *d)], "n1")] == ["double"]
    assert accounts(fold) == {"applied": 8, "duplicate": 1, "dead": 2, "skipped": 0, "control": 0}
    assert (0, 10) in history and history.key_at(0, 8) is None and (0, 11) not in history


def test_fold_filters(_env):
    document = parse('{"id":"x","n":5,"s":" Ärger ","t":"5","e":null,"l":[1,"zwei",[3.5]],"o":{"p":{"q":[{"r":7}]}},'
                     '"a.b":{"c":1},"leer":"","b":true,"n2":1e999,"hol":[],"d":1,"d":2}'.encode())
    for expression, expected in (
            ("n = 5", True), ("n = 5.0", True), ("n = '5'", True), ("t = 5", True), ("n = 6", False), ("n != 6", True),
            ("nix != 6", True), ("NOT nix = 6", True), ("s = 'ärger'", True), ("s = arger", False), ("n > 4", True),
            ("s > 4", True), ("t > 40", True), ("n >= 5 AND n <= 5", True), ("n 4 TO 6", True), ("n 6 TO 9", False),
            ("n IN [1, 5,]", True), ("n NOT IN [1, 5]", False), ("nix NOT IN [1]", True), ("n IN []", False),
            ("e EXISTS", True), ("e IS NULL", True), ("nix EXISTS", False), ("nix NOT EXISTS", True), ("e IS NOT NULL", False),
            ("leer IS EMPTY", True), ("hol IS EMPTY", True), ("leer = ''", False), ("leer EXISTS", True), ("l = zwei", True),
            ("l = 3.5", True), ("l = 2", False), ("o.p.q.r = 7", True), ("a.b.c = 1", True), ("a EXISTS", False),
            ("o.p EXISTS", True), ("b = true", True), ("n2 > 0", False), ("n2 EXISTS", True), ("d = 1", False), ("d = 2", True),
            ("n = 1 OR n = 5 AND t = 6", False), ("(n = 1 OR n = 5) AND t = 5", True), ("NOT (n = 5)", False),
            (["n = 5", ["t = 1", "t = 5"]], True), (["n = 5", ["t = 1", "t = 2"]], False)):
        assert fold_filter.matches(fold_filter.read(expression), document) == expected, expression
    for malformed in ("n", "n =", "= 5", "n = 5 AND", "(n = 5", "n = 5)", "n IN 5", "n IN [1 2]", "AND = 5", "n = 5 t = 5", "n TO 5"):
        try:
            fold_filter.read(malformed)
        except fold_filter.Malformed:
            continue
        raise AssertionError(f"{malformed} was read")
