"""Comparison of an answer with a recorded one, and the reasons for which they may differ."""
import math

SCORE_TOLERANCE = 1e-9
SCORE_DIFFERENCE_MAX = 0.1
TOTALS = (".estimatedTotalHits", ".totalHits", ".totalPages")
UID_BYTES_MAX = 200
REFERENCE_UID_BYTES_MAX = 512
ORDERED = ("facetDistribution", "_rankingScoreDetails")


def compare(case, status, answer):
    """(verdict, text): agree, explained, unexplained or skipped; the text names the causes or shows the differences."""
    if status is None:
        return "skipped", ""
    differences = []
    if status != case["status"]:
        differences.append(("status", f"{status} {str(answer)[:200]}\n    for {case['status']} {str(case['answer'])[:300]}"))
    else:
        diff("", case["answer"], answer, differences)
    if not differences:
        return "agree", ""
    causes = [cause_of(case, path, answer) for path, _ in differences]
    if all(causes):
        return "explained", ",".join(sorted(set(causes)))
    shown = [text for cause, (_, text) in zip(causes, differences) if not cause]
    return "unexplained", "\n    ".join(shown[:4])


def diff(path, expected, actual, differences):
    """Adds (path, text) for every place where two JSON values differ."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        if set(expected) != set(actual):
            differences.append((path, f"{path}: keys {sorted(actual)} for {sorted(expected)}"))
        elif path.rsplit(".", 1)[-1] in ORDERED and list(expected) != list(actual):
            differences.append((path, f"{path}: order {list(actual)} for {list(expected)}"))
        for key in sorted(expected.keys() & actual.keys()):
            diff(f"{path}.{key}", expected[key], actual[key], differences)
    elif path == ".hits" and isinstance(actual, list):
        diff_hits(expected, actual, differences)
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for number, (one, other) in enumerate(zip(expected, actual)):
            diff(f"{path}.{number}", one, other, differences)
    elif path == ".message" and "malformed" in str(expected):
        pass
    elif path == ".message" and isinstance(actual, str):
        if first_line(expected) != first_line(actual):
            differences.append((path, f"message {actual!r}\n     for {expected!r}"))
    elif not same_scalar(expected, actual):
        differences.append((path, f"{path}: {actual!r} for {expected!r}"))


def diff_hits(expected, actual, differences):
    """The order of the hits, and what is said of each hit that is in both lists."""
    one, other = identities(expected), identities(actual)
    if one != other:
        differences.append((".hits", f"hits {other}\n     for {one}"))
    found = dict(zip(other, actual))
    for name, hit in zip(one, expected):
        if name in found:
            diff(f".hits.{name}", hit, found[name], differences)


def identities(hits):
    """What tells hits apart: index, id or else name, or their number where they show neither."""
    names = []
    for number, hit in enumerate(hits):
        uid = (hit.get("_federation") or {}).get("indexUid", "")
        names.append(f"{uid}{hit.get('id', hit.get('name', number))}")
    return names


def first_line(message):
    """What an error says; the lines that follow only quote the request."""
    return message.split("\n")[0]


def same_scalar(expected, actual):
    """Numbers are equal up to the last digits of a float, everything else exactly."""
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, (int, float)) and isinstance(actual, (int, float)):
        return math.isclose(expected, actual, rel_tol=SCORE_TOLERANCE, abs_tol=SCORE_TOLERANCE)
    return expected == actual


def cause_of(case, path, answer):
    """The difference on purpose that may make this place differ, or None.

    C2 every split counts, C4 denominators come from the query alone, C7 marks are as long as what was typed, C8 the smallest
    spelling is shown, C9 totals with distinct are exact, C12 distances are compared in whole metres; uid: uids are shorter.
    """
    depends, expected = case["depends"], case["answer"]
    if path == ".message":
        return "uid" if is_shorter_uid(expected, answer) else None
    if path == ".hits":
        return cause_of_order(case, identities(expected["hits"]), identities(answer["hits"]))
    if "C4" in depends and "_rankingScore" in path:
        return "C4" if near(expected, answer, path) else None
    if "._geoPoint(" in path and ".value." in path:
        return same_distance(expected, answer, path)
    if "._formatted." in path and marks_start_alike(expected, answer, path):
        return "C7"
    if "C8" in depends and path.startswith(".facetDistribution."):
        return "C8"
    distinct_federation = "distinct" in (case["request"].get("federation") or {})
    if ("C9" in depends or distinct_federation) and (path in TOTALS or path.startswith(".facet")):
        return "C9"
    if path in TOTALS and "C2" in depends and answer[path[1:]] > expected[path[1:]]:
        return "C2"
    return None


def is_shorter_uid(expected, answer):
    """A refused uid: the same text, but for the bytes that one may have."""
    here, there = f"{UID_BYTES_MAX} bytes.", f"{REFERENCE_UID_BYTES_MAX} bytes."
    message = expected["message"]
    return (expected["code"] == answer["code"] == "invalid_index_uid" and message.endswith(there)
            and answer["message"] == message.removesuffix(there) + here)


def cause_of_order(case, expected, actual):
    """Other hits or another order: hits that only other splits find, and hits whose rank other documents have changed."""
    ranked_by_others = set(map(str, case.get("c4", ()))) if "C4" in case["depends"] else set()
    found_besides = set(actual) - set(expected) if "C2" in case["depends"] else set()
    if set(expected) == set(actual) and ranked_by_others and same_order(expected, actual, ranked_by_others):
        return "C4"
    if found_besides and same_order(expected, actual, found_besides | ranked_by_others):
        return "C2"
    return None


def near(expected, answer, path):
    """Scores may differ by a little; the details with them."""
    if not path.endswith("._rankingScore"):
        return True
    name = path.split(".")[2]
    one, other = (dict(zip(identities(a["hits"]), a["hits"]))[name]["_rankingScore"] for a in (expected, answer))
    return abs(one - other) <= SCORE_DIFFERENCE_MAX


def same_distance(expected, answer, path):
    """Among neighbours within a metre the reference shows the place of the first; here each hit shows its own."""
    name, rule = path.split(".")[2], path[path.index("_geoPoint("):path.index(".value.")]
    rows = [dict(zip(identities(a["hits"]), a["hits"]))[name]["_rankingScoreDetails"][rule] for a in (expected, answer)]
    return "C12" if abs(rows[0]["distance"] - rows[1]["distance"]) <= 1 else None


def marks_start_alike(expected, answer, path):
    """Where a mark ends in a word that was typed only nearly depends on the words of the index; here on what was typed."""
    name, *keys = path.split(".")[2:]
    texts = []
    for side in (expected, answer):
        value = dict(zip(identities(side["hits"]), side["hits"]))[name]
        for key in keys:
            value = value[int(key)] if isinstance(value, list) else value[key]
        texts.append(value)
    return all(isinstance(text, str) for text in texts) and texts[0].replace("</em>", "") == texts[1].replace("</em>", "")


def same_order(expected, actual, movable):
    """Equal lists but for the hits that may stand anywhere, as far as both pages reach."""
    one = [name for name in expected if name not in movable]
    other = [name for name in actual if name not in movable]
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def first_difference(expected, actual, path=""):
    """Where two answers first differ, the order of keys included; None if they are the same.

    Floats may differ in the last digits.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        if list(expected) != list(actual):
            return f"{path}: keys {list(actual)} for {list(expected)}"
        rows = [(f"{path}.{key}", expected[key], actual[key]) for key in expected]
    elif isinstance(expected, list) and isinstance(actual, list):
        if path.endswith(".hits") and identities(expected) != identities(actual):
            return f"{path}: {identities(actual)} for {identities(expected)}"
        if len(expected) != len(actual):
            return f"{path}: {len(actual)} items for {len(expected)}"
        rows = [(f"{path}.{number}", one, other) for number, (one, other) in enumerate(zip(expected, actual))]
    elif type(expected) is type(actual) and same_scalar(expected, actual):
        return None
    else:
        return f"{path}: {actual!r} for {expected!r}"
    return next((found for place, one, other in rows if (found := first_difference(one, other, place))), None)
