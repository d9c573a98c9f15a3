"""Works out sums as people say them ("twelve times seven") or type them ("3.5 * (2 + 1)")."""

import re
from decimal import Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from typing import Final

from text_to_num import alpha2digit

_LONGEST: Final = 300
"""Most characters in a sum; a longer text is about something else."""
_LARGEST: Final = Decimal(10) ** 30
_EVERY_NUMBER: Final = 0.0
"""alpha2digit leaves isolated number words up to this value unconverted."""
_SCALES: Final = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
"""The number of zeros in each."""
_SCALE: Final = rf"({'|'.join(_SCALES)})\b"
_SCALED: Final = re.compile(rf"(?<![\d.])(\d+(?:\.\d+)?) {_SCALE}")

_LEAD: Final = re.compile(
    r"^(?:(?:ok|okay|so|and|please|hey|well|now|then|um|uh)\b[\s,]*)*"
    r"(?:(?:can|could|would) you\s+)?(?:please\s+)?(?:tell me\s+)?"
    r"(?:what(?:'s| is| are| does)?|what do you get if you (?:take|have)"
    r"|how much (?:is|are)|calculate|compute|work out|solve)?\s+",
)
_NO_SUM: Final = re.compile(r"24/7|\d{3,}-\d{3,}(?:-\d+)*|\d+([-/])\d+\1\d+")
"""Text with operators that is not a sum, such as telephone numbers and dates."""
_ORDERS: Final = (
    (r"^(?:the )?sum of (.+) and (.+)$", r"\1 + \2"),
    (r"^(?:the )?difference (?:between|of) (.+) and (.+)$", r"\1 - \2"),
    (r"^(?:the )?product of (.+) and (.+)$", r"\1 * \2"),
    (r"^add (.+) (?:and|to) (.+)$", r"\1 + \2"),
    (r"^subtract (.+) from (.+)$", r"\2 - \1"),
    (r"^multiply (.+) (?:by|and|with) (.+)$", r"\1 * \2"),
    (r"^divide (.+) by (.+)$", r"\1 / \2"),
    (r"\b(?:a |one |1 )?half of\b", " 0.5 * "),
    (r"\b(?:a |one |1 )?third of\b", " (1 / 3) * "),
    (r"\b(?:a |one |1 )?quarter of\b", " 0.25 * "),
    (r"\b(?:double|twice)\b", " 2 * "),
    (rf"\ba (?=hundred\b|{_SCALE})", "one "),
)
"""Replacements made while numbers are still words."""
_SIGNS: Final = (
    (r"\bmultiplied by\b|\btimes\b|(?<=[\d)])\s*[x\u00d7]\s*(?=[\d(])|\u00d7", " * "),
    (r"\bdivided by\b|\bover\b|\u00f7", " / "),
    (r"\bto the power of\b|\braised to(?: the)?\b|\*\*", " ^ "),
    (r"\bplus\b|\badded to\b", " + "),
    (r"\bminus\b|\bless\b|\u2212|\bnegative\b", " - "),
    (r"\b(?:the )?square root of\b", " sqrt "),
    (r"\bsquared\b", " ^ 2 "),
    (r"\bcubed\b", " ^ 3 "),
    (r"\bper ?cent of\b|%\s*of\b", " % of "),
    (r"\bper ?cent\b", " % "),
    # "200 plus 10 percent" is 220, as on a pocket calculator.
    (r"^(.+) ([-+])\s*(\d+(?:\.\d+)?)\s*%\s*$", r"(\1) * (1 \2 \3 / 100)"),
)
_TOKEN: Final = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+|sqrt|of|[-+*/^%()])")
_WORKS: Final = frozenset({*"+-*/^%", "sqrt"})
_MOST_TOKENS: Final = 100
"""The parser's recursion is as deep as the number of brackets and signs."""


class Sum:
    """A sum found in a text, and its result."""

    def __init__(self, value: Decimal | None, problem: str = "") -> None:
        self.value = value
        self.problem = problem
        """Why it has no value, as a sentence."""


def find_sum(text: str) -> Sum | None:
    """Return the sum that a text asks for; None if it asks for something else."""
    tokens = _tokens(_as_expression(text)) if len(text) <= _LONGEST else []
    if not _WORKS.intersection(tokens) or len(tokens) > _MOST_TOKENS:
        return None
    try:
        with localcontext() as context:
            context.prec = 40
            value = _Parser(tokens).whole()
            if abs(value) > _LARGEST:
                raise _TooLarge
            return Sum(value)
    except (DivisionByZero, ZeroDivisionError):
        return Sum(None, "I can't divide by zero.")
    except (Overflow, _TooLarge):
        return Sum(None, "That number is too big for me.")
    except InvalidOperation:
        return Sum(None, "That sum has no answer.")
    except _NoSum:
        return None


def in_digits(value: Decimal) -> str:
    """Format a number to be read aloud: no exponent, at most four decimals, grouped by commas."""
    rounded = round(value, 4)
    text = f"{rounded:,f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    text = "0" if text == "-0" else text
    return text if rounded == value else f"about {text}"


def numbers_from_words(text: str) -> str:
    """Replace number words ("two hundred and five point one") with digits."""
    # alpha2digit would turn "two point five million" into 2.5000000; it ignores "xmillion".
    text = re.sub(rf"(\bpoint (?:\w+ )+?){_SCALE}", r"\1x\2", text)
    text = alpha2digit(_SCALED.sub(_unscaled, text), "en", _EVERY_NUMBER)
    text = _SCALED.sub(_unscaled, re.sub(rf"\bx(?={_SCALE})", "", text))
    return re.sub(r"(?<!\d )\bpoint (?=\d)", "0.", text)


def _unscaled(found: re.Match[str]) -> str:
    """Write out "3 million"; also "2 trillion", a word that alpha2digit does not know."""
    return f"{Decimal(found[1]).scaleb(_SCALES[found[2]]):f}"


def _as_expression(text: str) -> str:
    text = text.lower().replace("\u2019", "'").strip().rstrip("?.!= ")
    text = re.sub(r"\s+(?:is|equals?|equal to)$", "", text)
    if _NO_SUM.fullmatch(text):
        return ""
    text = _LEAD.sub("", f"{text} ", count=1).strip()
    for pattern, order in _ORDERS:
        text = re.sub(pattern, order, text)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = numbers_from_words(text)
    for pattern, sign in _SIGNS:
        text = re.sub(pattern, sign, text)
    return text.strip()


def _tokens(expression: str) -> list[str]:
    """Split an expression into tokens; return none if it contains anything else."""
    tokens, at = [], 0
    while at < len(expression):
        token = _TOKEN.match(expression, at)
        if token is None:
            return []
        tokens.append(token[1])
        at = token.end()
    return tokens


class _NoSum(Exception):
    """The text is not a sum after all."""


class _TooLarge(Exception):
    """An exponent or the result is too large."""


class _Parser:
    """A recursive descent parser: sums of products of powers."""

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
