#!/usr/bin/env python3
"""Compares the cutting of text and documents with the oracle, over texts and settings drawn from a seed.

    tests/oracle/text_cases.py --program build/dev/bin/oracle_text [--cases 20000] [--seed 1]

Scripts written without spaces are left out: the oracle does not cut them. Prints how many cases there were and what
they had in them; the exit code is 1 if the program says otherwise anywhere.
"""
import argparse
import json
import random
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oracle.documents import Document  # noqa: E402
from oracle.highlighting import characters_for  # noqa: E402
from oracle.settings import complete  # noqa: E402
from oracle.tokenizer import HARD, SOFT, STOP_WORD, WORD, Tokenizer  # noqa: E402

DIFFERENCES_SHOWN = 5
CASES_OF_SETTINGS = 40
HEADS = 6
KINDS = {1: WORD, 2: STOP_WORD, 3: SOFT, 4: HARD}
FIELD_WORDS_MAX = 30
# one of a row is drawn, then one of what is in it
ALPHABETS = [
    "abcdefgh", "ABCXYZ", "0123456789", "abcàéîõüçñßøłđıİŒœÆæ", "ǅḀṩẛὰﬁﬂ",
    "αβγςσΣΆήἀὧῼΩϐ", "абвёйЁЙѣҐґ", "אבגשׁלוֹבּ", "ابتأإآٱىةـكِتَابﻻﷺ", "აბგႠႡᲐ", "ԱԲաբև",
    "①②½¾Ⅷ²µªº", "ＡＢｃ１２", "한국어", "𝐀𝐁𝟏𐐀𐐨", "\u0301\u0308\u0323\u05b7\u064e\u0345", "\u200d\u00ad\ufeff\u0001\u007f\u0085",
]
SEPARATORS = [
    " ", " ", " ", ". ", ", ", ".", ",", "!", ";", "?", "-", "'", "\"", "/", "_", "\n", "\t", "\0", "`", "  ", "@", "#", "%", "&", "*",
    "+", "(", ")", "[", "]", "{", "}", ":", "\\", "…", "¡", "¿", "§", "¶", "·", "\u037e", "\u0387", "«", "»", "—", "’", "‘", "‛", "؟", "؛", "،",
    "։", "՞", "׃", "\u2028", "\u3000", "\u2009", "。", "、", "！", "．", "﹐", "‼", "⁄", "×", "≠", "∑",
]
SIGNS = ["$", "^", "|", "~", "<", ">", "=", "°", "€", "\u00a0", "¨", "©", "¬", "\u0001", "\u007f", "😀", "\u0085"]
SETTINGS_WORDS = ["the", "à", "THE", "a", "ab", "no.1", "no.12", "abc", "l'a", "C++", "Ａ", "½", "é", "e\u0301", "абв", "ёа", "12", "a b", "1A", ""]
SETTINGS_SIGNS = ["-", ".", ". ", ", ", " ", "&", "|", "$", "::", "<br>", "--", "...", "…", "é", "A", "\n", "’", "ß", "\u0001", "ab", "¡", "€"]
KEYS = ["a", "b", "a.b", "c", "", "title"]


class Dice(random.Random):
    """What is drawn."""

    def word(self):
        """Mostly of one script, sometimes of several."""
        rows = self.choices(ALPHABETS, k=self.choice([1, 1, 1, 2, 3]))
        return "".join(self.choice(self.choice(rows)) for _ in range(self.choice([1, 2, 3, 5, 9])))

    def text(self, settings):
        """Words, separators, signs, and what the settings name, in any order."""
        own = [item for name in ("separatorTokens", "nonSeparatorTokens", "dictionary", "stopWords") for item in settings[name]]
        pieces = []
        for _ in range(self.choice([0, 1, 2, 5, 12])):
            draw = self.random()
            if draw < 0.45:
                pieces.append(self.word())
            elif draw < 0.8:
                pieces.append(self.choice(SEPARATORS))
            elif draw < 0.86 or not own:
                pieces.append(self.choice(SIGNS))
            else:
                pieces.append(self.choice(own))
        return "".join(pieces)

    def settings(self):
        """Half of them the defaults."""
        lists = {"separatorTokens": SETTINGS_SIGNS, "nonSeparatorTokens": SETTINGS_SIGNS,
                 "dictionary": SETTINGS_WORDS + SETTINGS_SIGNS, "stopWords": SETTINGS_WORDS + [".", "-"]}
        if self.random() < 0.5:
            return complete({})
        return complete({name: self.sample(items, self.choice([0, 1, 4, 20])) for name, items in lists.items()})

    def number(self):
        """Integers, and floats as they are written here and there."""
        return self.choice([
            str(self.randrange(-9999, 10**self.choice([1, 4, 18]))), repr(self.uniform(-100, 100)),
            f"{self.randrange(999)}.{self.randrange(10**6)}", f"{self.randrange(1, 99)}e{self.randrange(-12, 25)}",
            f"{self.uniform(0, 10):.{self.randrange(1, 20)}f}E{self.randrange(-310, 300)}", "1.0", "-0.0", "1.50", "0.0001", "0.00001",
            "123456789012345.6", "1e16", "1e15", "5e-324", "100.0", "0e5", "9007199254740993.0",
        ])

    def value(self, settings, depth):
        """A value as JSON text: texts, numbers, arrays with objects among them."""
        draw = self.random()
        if depth > 0 and draw < 0.2:
            return "{" + ",".join(f"{json.dumps(key)}:{self.value(settings, depth - 1)}" for key in self.keys()) + "}"
        if depth > 0 and draw < 0.45:
            return "[" + ",".join(self.value(settings, depth - 1) for _ in range(self.randrange(5))) + "]"
        if draw < 0.6:
            return self.number()
        if draw < 0.65:
            return self.choice(["true", "false", "null"])
        if draw < 0.67:
            return json.dumps(self.choice(["a ", "é! "]) * self.choice([29, 30, 31, 8200, 66000]) + "b")
        if draw < 0.7:
            return json.dumps(self.choice("aé") * self.choice([124, 125, 126, 249, 250, 251]) + " c")
        return json.dumps(self.text(settings))

    def keys(self):
        return self.sample(KEYS, self.randrange(4))

    def document(self, settings):
        return "{" + ",".join(f"{json.dumps(key)}:{self.value(settings, 3)}" for key in self.keys()) + "}"


def tokens_wanted(tokenizer, text):
    """As the program says it: kind, first byte, byte behind, form, bytes of heads."""
    at, wanted = 0, []
    for token in tokenizer.tokens(text):
        end = at + len(token.text.encode())
        heads = [len(token.text[:characters_for(token, count)].encode()) for count in range(HEADS)]
        wanted.append([token.kind, at, end, token.lemma, heads])
        at = end
    return wanted


def words_wanted(settings, tokenizer, source):
    """{path: [(position, word), …]} and {path: number of words} of the short fields."""
    fields = Document(source, 0, settings, tokenizer).fields
    words = {field.path: field.words for field in fields if field.words}
    return words, {field.path: field.word_count for field in fields if 1 <= field.word_count <= FIELD_WORDS_MAX}


class Comparison:
    """The program, and what was different."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.counts = Counter()
        self.different = 0

    def ask(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"the program ended at {line}")
        return json.loads(answer)

    def judge(self, case, settings, wanted, got):
        if wanted == got:
            return
        self.different += 1
        if self.different > DIFFERENCES_SHOWN:
            return
        shown = {name: settings[name] for name in ("separatorTokens", "nonSeparatorTokens", "dictionary", "stopWords")}
        print(f"{case[:600]}\n  settings {json.dumps(shown, ensure_ascii=False)}")
        if isinstance(wanted, list):
            print(f"  {ascii(got)}\n  for {ascii(wanted)}")
            return
        for part in range(2):
            for path in sorted(set(wanted[part]) | set(got[part])):
                if wanted[part].get(path) != got[part].get(path):
                    print(f"  {path!r}: {str(got[part].get(path))[:600]}\n  for {str(wanted[part].get(path))[:600]}")

    def text(self, settings, tokenizer, text):
        got = [[KINDS[kind], *rest] for kind, *rest in self.ask(json.dumps({"text": text}))["tokens"]]
        wanted = tokens_wanted(tokenizer, text)
        self.counts["texts"] += 1
        self.counts.update(f"tokens: {token[0]}" for token in wanted)
        self.counts["words of another form"] += sum(token.is_word and token.lemma != token.text for token in tokenizer.tokens(text))
        self.counts["heads of more or fewer characters"] += sum(
            token.is_word and len(token.text) != len(token.lemma) for token in tokenizer.tokens(text))
        self.counts["words of several scripts"] += any(
            left.is_word and right.is_word for left, right in zip(tokenizer.tokens(text), tokenizer.tokens(text)[1:]))
        self.judge(json.dumps(text), settings, wanted, got)

    def document(self, settings, tokenizer, document):
        answer = self.ask('{"document":' + document + "}")
        words = {}
        for path, position, word in answer["words"]:
            words.setdefault(path, []).append((position, word))
        wanted = words_wanted(settings, tokenizer, json.loads(document))
        self.counts["documents"] += 1
        self.counts["words of documents"] += sum(map(len, wanted[0].values()))
        self.counts["short fields"] += len(wanted[1])
        self.judge(document, settings, wanted, (words, answer["lengths"]))


def check_alphabets():
    """All known to this Unicode: what later versions add would be told apart."""
    for character in "".join(ALPHABETS):
        assert unicodedata.category(character) != "Cn", ascii(character)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--cases", type=int, default=20000, help="texts; a tenth as many documents")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    check_alphabets()
    dice, comparison = Dice(options.seed), Comparison(options.program)
    while comparison.counts["texts"] < options.cases:
        settings = dice.settings()
        tokenizer = Tokenizer(settings)
        comparison.ask(json.dumps({"settings": settings}))
        comparison.counts["settings"] += 1
        for number in range(CASES_OF_SETTINGS):
            comparison.text(settings, tokenizer, dice.text(settings))
            if number % 10 == 0:
                comparison.document(settings, tokenizer, dice.document(settings))
    comparison.process.stdin.close()
    comparison.process.wait()
    for name, count in sorted(comparison.counts.items()):
        print(f"{name}: {count}")
    cases = comparison.counts["texts"] + comparison.counts["documents"]
    print(f"{cases - comparison.different} agree, {comparison.different} differ")
    return 1 if comparison.different or comparison.process.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
