"""Compares spoken and transcribed words, whatever their spelling."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import jiwer

MOST_LINES: Final = 3
"""Lines in which one sentence may be heard."""
MOST_DIFFERENT: Final = 0.4
"""The part of a sentence's letters that may be wrong when it is heard in real time."""
_SPELT: Final = {
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "ok": "okay",
    "pm": "p m",
    "am": "a m",
    "i'm": "i am",
    "it's": "it is",
    "that's": "that is",
    "you're": "you are",
    "i've": "i have",
    "i'll": "i will",
    "can't": "can not",
    "cannot": "can not",
    "don't": "do not",
}
_ONES: Final = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS: Final = [
    "_",
    "_",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
]
_ORDINALS: Final = {
    "first": "one",
    "second": "two",
    "third": "three",
    "fifth": "five",
    "eighth": "eight",
    "ninth": "nine",
    "twelfth": "twelve",
    "twentieth": "twenty",
    "thirtieth": "thirty",
}


def normal(text: str) -> str:
    """Return a text as plain words: no case, no punctuation, numbers and ordinals spelt out."""
    text = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    text = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", text)
    text = re.sub(r"(\d)(st|nd|rd|th)\b", r"\1", text)
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    words = re.findall(r"[a-z]+(?:'[a-z]+)?|\d+", text)
    return " ".join(spelt for word in words for spelt in _spelt(word))


def error_rate(spoken: Iterable[str], understood: Iterable[str]) -> float:
    """Return the word error rate, pooled over all pairs."""
    return float(
        jiwer.wer([normal(text) for text in spoken], [normal(text) for text in understood])
    )


def letter_error_rate(spoken: str, understood: str) -> float:
    """Return the letter error rate, ignoring word boundaries.

    Without context, "letter" may be heard as "let our": one word becomes two wrong ones.
    """
    return float(jiwer.cer(_letters(spoken), _letters(understood)))


def _letters(text: str) -> str:
    return normal(text).replace(" ", "").replace("'", "")


def _spelt(word: str) -> list[str]:
    if word.isdigit():
        return _number(word)
    if word in _ORDINALS:
        return [_ORDINALS[word]]
    stem = word.removesuffix("th")
    if stem != word and stem in _ONES:
        return [stem]
    return _SPELT.get(word, word).split()


def is_beginning(said: str, heard: str) -> bool:
    """Return whether `heard` starts like `said`: of 3 words or more, at most 40 % are wrong.

    More may follow: without a gap in the sound, the next sentence belongs to the same text.
    """
    whole, words = normal(said).split(), normal(heard).split()
    return any(
        error_rate([" ".join(whole[:said_words])], [" ".join(words[:count])]) <= 0.4
        for count in range(3, len(words) + 1)
        for said_words in range(max(3, count - 1), count + 2)
    )


def starts_with(heard: str, said: str) -> bool:
    """Return whether `heard` starts with all that was said: at most 40 % of its letters are wrong.

    Sound that arrives in real time may be damaged on the way, as WebRTC repeats and skips parts of
    it when the processor is busy. It then sounds like other words ("self-push" for "selfish"), but
    most letters stay. Exact recognition is tested on the sample clock. More may follow, as in
    `is_beginning`.
    """
    return _difference(heard, said) <= MOST_DIFFERENT


def places(said: str, lines: Sequence[str]) -> list[int]:
    """Return where this was heard: the index of the first line, each time.

    A gap in the sound may end a line, so it may take several lines in a row.
    """

    def difference(first: int, end: int) -> float:
        return _difference(" ".join(lines[first:end]), said)

    found, at = [], 0
    while at < len(lines):
        ends = range(at + 1, min(at + MOST_LINES, len(lines)) + 1)
        end = next((end for end in ends if difference(at, end) <= MOST_DIFFERENT), None)
        # A short line before the sentence is not a part of it: it makes more of it wrong.
        if end is None or min(range(at, end), key=lambda first: difference(first, end)) > at:
            at += 1
        else:
            found.append(at)
            at = end
    return found


def _difference(heard: str, said: str) -> float:
    """Return how much of what was said is different in the beginning of what was heard."""
    letters, wanted = _letters(heard), _letters(said)
    slack = max(1, len(wanted) // 10)
    starts = {letters[: len(wanted) + more] for more in (-slack, 0, slack)}
    return min((float(jiwer.cer(wanted, start)) for start in starts if start), default=1.0)


def _number(digits: str) -> list[str]:
    value = int(digits)
    if len(digits) == 4 and 1100 <= value <= 2099 and value % 1000:
        # As years are read aloud.
        return _number(digits[:2]) + _number(digits[2:])
    if value >= 1000:
        rest = _number(str(value % 1000)) if value % 1000 else []
        return [*_number(str(value // 1000)), "thousand", *rest]
    if value >= 100:
        rest = _number(str(value % 100)) if value % 100 else []
        return [*_number(str(value // 100)), "hundred", *rest]
    if value >= 20:
        return [_TENS[value // 10], *([_ONES[value % 10]] if value % 10 else [])]
    return [_ONES[value]]
