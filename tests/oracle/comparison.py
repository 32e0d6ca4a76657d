"""Comparison of an answer with a recorded one, and the reasons for which they may differ."""
import math

SCORE_TOLERANCE = 1e-9
ORDERED = ("facetDistribution", "_rankingScoreDetails")


def compare(case, status, answer):
    """(verdict, text): agree, explained, unexplained or skipped."""
    if status is None:
        return "skipped", ""
    differences = []
    if status != case["status"]:
        differences.append(("status", f"status {status} for {case['status']}: {str(answer)[:200]} for {str(case['answer'])[:300]}"))
    else:
        diff("", case["answer"], answer, differences)
    if not differences:
        return "agree", ""
    causes = explanations(case, differences)
    if causes is not None:
        return "explained", ",".join(sorted(causes))
    return "unexplained", "\n    ".join(text for _, text in differences[:4])


def diff(path, expected, actual, differences):
    """Adds (path, text) for every place where two JSON values differ."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        if set(expected) != set(actual):
            differences.append((path, f"{path}: keys {sorted(actual)} for {sorted(expected)}"))
        elif path.rsplit(".", 1)[-1] in ORDERED and list(expected) != list(actual):
            differences.append((path, f"{path}: order {list(actual)} for {list(expected)}"))
        for key in expected.keys() & actual.keys():
            diff(f"{path}.{key}", expected[key], actual[key], differences)
    elif isinstance(expected, list) and isinstance(actual, list):
        if path == ".hits" and [identity(h) for h in expected] != [identity(h) for h in actual]:
            shown = [identity(h) for h in actual], [identity(h) for h in expected]
            differences.append((".hits", f"hits {shown[0]}\n     for {shown[1]}"))
        elif len(expected) != len(actual):
            differences.append((path, f"{path}: {actual} for {expected}"))
        else:
            for number, (one, other) in enumerate(zip(expected, actual)):
                diff(f"{path}.{number}" if path != ".hits" else f".hits.{identity(one)}", one, other, differences)
    elif not same_scalar(expected, actual):
        differences.append((path, f"{path}: {actual!r} for {expected!r}"))


def identity(hit):
    return hit.get("id", hit.get("name")) if isinstance(hit, dict) else hit


def same_scalar(expected, actual):
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, (int, float)) and isinstance(actual, (int, float)):
        return math.isclose(expected, actual, rel_tol=SCORE_TOLERANCE, abs_tol=SCORE_TOLERANCE)
    return expected == actual


def explanations(case, differences):
    """The causes that cover all differences, or None."""
    causes = set()
    for path, _ in differences:
        cause = None
        if "C4" in case["depends"] and ("_rankingScore" in path):
            cause = "C4"
        if cause is None:
            return None
        causes.add(cause)
    return causes
