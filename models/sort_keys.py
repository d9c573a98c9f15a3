"""Sort keys: where an utterance stands in its session, as text that is compared by code units.

A key is a number in hexadecimal digits: ten before the point (with an offset, so that none is
negative), then as many after it as are needed, without a zero at the end. The point is left out.
So there is always a key between two others, whatever was put there before, and one number has one
key. It is a fractional index, as editors use them for lists that several people reorder.
"""

from fractions import Fraction
from typing import Final

_WHOLE: Final = 10
"""Digits before the point."""
_BASE: Final = 16
_OFFSET: Final = _BASE**_WHOLE // 2


def after(left: str | None) -> str:
    """Return the next whole number's key; of an empty list, the key of 1."""
    return _key(1 if left is None else int(left[:_WHOLE], _BASE) - _OFFSET + 1)


def between(left: str | None, right: str | None, count: int = 1) -> list[str]:
    """Return keys for `count` new rows that go between two neighbours, in order.

    Into the same gap each insertion costs one bit: a key grows by a digit with every fourth.

    Args:
        left: the left neighbour's key; None where there is none.
        right: the right neighbour's, which is higher; None where there is none.
        count: how many rows go there.
    """
    if right is None:
        first = int(after(left)[:_WHOLE], _BASE) - _OFFSET
        return [_key(first + index) for index in range(count)]
    if left is None:
        whole = int(right[:_WHOLE], _BASE) - _OFFSET
        first = whole + (len(right) > _WHOLE) - count
        return [_key(first + index) for index in range(count)]
    digits = max(len(left), len(right))
    low = int(left.ljust(digits, "0"), _BASE)
    width = int(right.ljust(digits, "0"), _BASE) - low
    if width <= 0:
        raise ValueError("The right neighbour's key is not higher than the left one's.")
    # Above `count` there is a number for each, and none of them is a neighbour's.
    while width <= count:
        low, width, digits = low * _BASE, width * _BASE, digits + 1
    return [
        _trimmed(f"{low + width * index // (count + 1):0{digits}x}")
        for index in range(1, count + 1)
    ]


def number_of(key: str) -> float:
    """Return the number that a key stands for, rounded to a float: never out of order."""
    if len(key) == _WHOLE:
        return float(int(key, _BASE) - _OFFSET)
    scale = _BASE ** (len(key) - _WHOLE)
    # Python divides integers with one correct rounding, however long they are.
    return float((int(key, _BASE) - _OFFSET * scale) / scale)


def key_of(number: float) -> str:
    """Return the key of a number, exactly: `number_of` gives it back.

    Raises:
        ValueError: It is not between -2**39 and 2**39.
    """
    if not -_OFFSET <= number < _OFFSET:
        raise ValueError(f"{number} is outside the range of sort keys.")
    exact = Fraction(number)
    # The denominator is a power of two: so many digits hold it.
    digits = -(-(exact.denominator.bit_length() - 1) // 4)
    scaled = exact * _BASE**digits
    assert scaled.denominator == 1
    whole = scaled.numerator + _OFFSET * _BASE**digits
    return _trimmed(f"{whole:0{_WHOLE + digits}x}")


def _key(whole: int) -> str:
    return f"{whole + _OFFSET:0{_WHOLE}x}"


def _trimmed(digits: str) -> str:
    return digits[:_WHOLE] + digits[_WHOLE:].rstrip("0")
