"""Sums as people say them ("what is twelve times seven") or type them ("3.5 * (2 + 1)")."""

import re
from collections.abc import Iterator
from decimal import Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from typing import Final

UNITS: Final = {
    word: number
    for number, word in enumerate(
        (
            *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
            *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
            *("seventeen", "eighteen", "nineteen"),
        )
    )
}
TENS: Final = {
    word: 10 * (number + 2)
    for number, word in enumerate(
        ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
    )
}
_SCALES: Final = {
    "thousand": 1_000,
    "million": 1_000_000,
    "billion": 1_000_000_000,
    "trillion": 1_000_000_000_000,
}
_NUMBER_WORDS: Final = {*UNITS, *TENS, *_SCALES, "hundred"}
_PHRASES: Final = (
    (r"\bmultiplied by\b|\btimes\b|(?<=[\d)])\s*[x\u00d7]\s*(?=[\d(])|\u00d7", " * "),
    (r"\bdivided by\b|\bover\b|\u00f7", " / "),
    (r"\bto the power of\b|\braised to(?: the)?\b|\*\*", " ^ "),
    (r"\bplus\b|\badded to\b", " + "),
    (r"\bminus\b|\bless\b|\u2212", " - "),
    (r"\b(?:the )?square root of\b", " sqrt "),
    (r"\bsquared\b", " ^ 2 "),
    (r"\bcubed\b", " ^ 3 "),
    (r"\bper ?cent of\b|%\s*of\b", " % of "),
    (r"\bper ?cent\b", " % "),
    (r"\b(?:a |one |1 )?half of\b", " 0.5 * "),
    (r"\b(?:a |one |1 )?third of\b", " (1 / 3) * "),
    (r"\b(?:a |one |1 )?quarter of\b", " 0.25 * "),
    (r"\b(?:double|twice)\b", " 2 * "),
    (r"\bnegative\b", " - "),
)
_TOKEN: Final = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+|sqrt|of|[-+*/^%()])")
_LEAD: Final = re.compile(
    r"^(?:(?:ok|okay|so|and|please|hey|well|now|then|um|uh)\b[\s,]*)*"
    r"(?:(?:can|could|would) you\s+)?(?:please\s+)?"
    r"(?:tell me\s+)?(?:what(?:'s| is| are)|what do you get if you (?:take|have)"
    r"|how much (?:is|are)|calculate|compute|work out|solve)?\s+",
)
_SIGNS: Final = frozenset({*"+-*/^%", "sqrt"})
_LARGEST: Final = Decimal(10) ** 30


class Sum:
    """A sum that was found in a text, and what it comes to."""

    def __init__(self, value: Decimal | None, problem: str = "") -> None:
        self.value = value
        self.problem = problem
        """Why it has no value, as a sentence."""


def find_sum(text: str) -> Sum | None:
    """Return the sum that a text asks for, or None when it asks for something else."""
    expression = _as_expression(text)
    if expression is None:
        return None
    tokens = expression.split()
    if not _SIGNS.intersection(tokens):
        return None
    try:
        with localcontext() as context:
            context.prec = 40
            value = _Parser(tokens).whole()
            if abs(value) > _LARGEST:
                return Sum(None, "That number is too large for me to say.")
            return Sum(value)
    except (DivisionByZero, ZeroDivisionError):
        return Sum(None, "Nothing can be divided by zero.")
    except (InvalidOperation, Overflow, _TooLarge):
        return Sum(None, "I can't work that out: it has no answer that I could say.")
    except _NoSum:
        return None


def in_words(value: Decimal) -> str:
    """Return a number as it is read aloud: no exponent, at most four places, grouped by commas."""
    rounded = round(value, 4)
    text = f"{rounded:,f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    text = "0" if text == "-0" else text
    return text if rounded == value else f"about {text}"


def numbers_from_words(text: str) -> str:
    """Replace numbers in words ("two hundred and five point one") by digits."""
    words = re.findall(r"\d[\d,]*\.?\d*|\w+(?:'\w+)?|[^\w\s]", text.replace("-", " - "))
    return " ".join(_replaced(words))


def _replaced(words: list[str]) -> Iterator[str]:
    index = 0
    while index < len(words):
        taken, value = _number_at(words, index)
        if taken:
            index += taken
            if index + 1 < len(words) and words[index].lower() == "point":
                digits = ""
                while index + 1 < len(words) and words[index + 1].lower() in UNITS:
                    digits += str(UNITS[words[index + 1].lower()])
                    index += 1
                if digits:
                    index += 1
                    yield f"{value}.{digits}"
                    continue
            yield str(value)
        else:
            yield words[index]
            index += 1


def _number_at(words: list[str], start: int) -> tuple[int, int]:
    """Return how many words from `start` are one number, and which."""
    total = group = 0
    index, last = start, 10_000_000
    while index < len(words):
        word = words[index].lower()
        follows = words[index + 1].lower() if index + 1 < len(words) else ""
        if word in UNITS and last >= 20:
            group, last = group + UNITS[word], UNITS[word]
        elif word in TENS and last >= 100:
            group, last = group + TENS[word], TENS[word]
        elif word == "hundred" and 0 < group < 100:
            group, last = group * 100, 100
        elif word in _SCALES and group:
            total, group, last = total + group * _SCALES[word], 0, _SCALES[word]
        elif word == "-" and last in TENS.values() and 0 < UNITS.get(follows, 0) < 10:
            pass  # "twenty-one"
        elif not (word == "and" and last >= 100 and index > start and follows in _NUMBER_WORDS):
            break
        index += 1
    return index - start, total + group


def _as_expression(text: str) -> str | None:
    text = text.lower().replace("\u2019", "'").strip().rstrip("?.!= ")
    text = numbers_from_words(text)
    text = _LEAD.sub("", f" {text}".replace(" ' ", "'").lstrip() + " ", count=1).strip()
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"^(?:the )?sum of (.+) and (.+)$", r"\1 + \2", text)
    text = re.sub(
        r"^(?:the )?(?:difference between|difference of) (.+) and (.+)$", r"\1 - \2", text
    )
    text = re.sub(r"^(?:the )?product of (.+) and (.+)$", r"\1 * \2", text)
    text = re.sub(r"^add (.+) (?:and|to) (.+)$", r"\1 + \2", text)
    text = re.sub(r"^subtract (.+) from (.+)$", r"\2 - \1", text)
    text = re.sub(r"^multiply (.+) (?:by|and|with) (.+)$", r"\1 * \2", text)
    text = re.sub(r"^divide (.+) by (.+)$", r"\1 / \2", text)
    for pattern, sign in _PHRASES:
        text = re.sub(pattern, sign, text)
    # "%" as percent, not as a remainder: people who say it mean the former.
    tokens, at = [], 0
    while at < len(text.rstrip()):
        token = _TOKEN.match(text, at)
        if token is None:
            return None
        tokens.append(token[1])
        at = token.end()
    return " ".join(tokens) if tokens else None


class _NoSum(Exception):
    """What was said is no sum after all."""


class _TooLarge(Exception):
    """Working it out would take too long."""


class _Parser:
    """Recursive descent: sums of products of powers."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def whole(self) -> Decimal:
        value = self._sum()
        if self._at != len(self._tokens):
            raise _NoSum
        return value

    def _sum(self) -> Decimal:
        value = self._product()
        while (sign := self._take("+", "-")) is not None:
            right = self._product()
            value = value + right if sign == "+" else value - right
        return value

    def _product(self) -> Decimal:
        value = self._signed()
        while (sign := self._take("*", "/")) is not None:
            right = self._signed()
            if sign == "/" and not right:
                raise ZeroDivisionError
            value = value * right if sign == "*" else value / right
        return value

    def _signed(self) -> Decimal:
        if self._take("-") is not None:
            return -self._signed()
        if self._take("sqrt") is not None:
            return self._signed().sqrt()
        return self._power()

    def _power(self) -> Decimal:
        base = self._percent()
        if self._take("^") is None:
            return base
        exponent = self._signed()
        if abs(exponent) > 1_000:
            raise _TooLarge
        return base**exponent

    def _percent(self) -> Decimal:
        value = self._atom()
        if self._take("%") is not None:
            value /= 100
            if self._take("of") is not None:
                return value * self._signed()
        return value

    def _atom(self) -> Decimal:
        if self._take("(") is not None:
            value = self._sum()
            if self._take(")") is None:
                raise _NoSum
            return value
        if self._at < len(self._tokens) and re.fullmatch(r"[\d.]+", self._tokens[self._at]):
            self._at += 1
            return Decimal(self._tokens[self._at - 1])
        raise _NoSum

    def _take(self, *expected: str) -> str | None:
        if self._at < len(self._tokens) and self._tokens[self._at] in expected:
            self._at += 1
            return self._tokens[self._at - 1]
        return None
