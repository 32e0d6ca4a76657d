"""Cropping: the stretch of a text around its best matches."""

DISTANCE_MAX = 7


def interval_score(matches):
    """Different words first, then nearness, then the order of the query."""
    ids = {i for match in matches for i in match.node_ids}
    pairs = list(zip(matches, matches[1:]))
    distance = sum(min(right.first_word - left.last_word, DISTANCE_MAX) for left, right in pairs)
    ordered = sum(min(right.node_ids) > min(left.node_ids) for left, right in pairs)
    return len(ids), -distance, ordered


def best_interval(matches, crop_words):
    """Of the runs of matches that fit and cannot be longer, the one that scores best; the earlier one if equal."""
    best, first = None, 0
    for index, match in enumerate(matches):
        if match.last_word - matches[first].first_word >= crop_words and first < index:
            best = better(best, matches[first:index])
            while match.last_word - matches[first].first_word >= crop_words and first < index:
                first += 1
    return better(best, matches[first:]) if matches else []


def better(best, candidate):
    return candidate if best is None or interval_score(candidate) > interval_score(best) else best


def crop_bounds(tokens, matches, crop_words):
    """First and last character of the stretch, grown word by word to both sides."""
    interval = best_interval(matches, crop_words)
    if interval:
        before, after = interval[0].first_token - 1, interval[-1].last_token + 1
        remaining = crop_words - (interval[-1].last_word - interval[0].first_word) - 1
    else:
        before, after, remaining = -1, 0, crop_words
    while remaining > 0 and (before >= 0 or after < len(tokens)):
        left = tokens[before] if before >= 0 else None
        right = tokens[after] if after < len(tokens) else None
        steps = growth(left, right, remaining)
        for step in steps:
            token = left if step < 0 else right
            remaining -= token.is_word
        before -= -1 in steps
        after += 1 in steps
    start = tokens[before].end if before >= 0 else 0
    end = tokens[after].start if after < len(tokens) else tokens[-1].end if tokens else 0
    return start, end


def growth(left, right, remaining):
    """Which sides grow by a token, as -1 and 1: words first, then both separators if alike, else the softer one."""
    if left is None or right is None:
        return [1] if left is None else [-1]
    if left.is_word and right.is_word:
        return [-1, 1] if remaining > 1 else [-1]
    if left.is_word or right.is_word:
        return [-1] if left.is_word else [1]
    if left.kind == right.kind:
        return [-1, 1] if remaining > 1 else [-1]
    return [1] if left.kind == "hard" else [-1]
