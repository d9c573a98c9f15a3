"""Sort keys: an utterance's place in its session, as text that sorts by code unit.

A key is a hexadecimal number: ten digits before the point (with an offset, so that none is
negative), then as many as needed, without trailing zeros. The point is omitted. So there is always
a key between two others, and each number has exactly one key. This is a fractional index, as
editors use for lists that several people reorder.
"""

from fractions import Fraction
from typing import Final

_WHOLE: Final = 10
"""Digits before the point."""
_BASE: Final = 16
_OFFSET: Final = _BASE**_WHOLE // 2


def after(left: str | None) -> str:
    """Return the key of the next whole number; for an empty list, the key of 1."""
    return _key(1 if left is None else int(left[:_WHOLE], _BASE) - _OFFSET + 1)


def between(left: str | None, right: str | None, count: int = 1) -> list[str]:
    """Return keys for `count` new rows between two neighbours, in order.

    Each insertion into the same gap costs one bit: a key grows by a digit every fourth time.

    Args:
        left: The left neighbour's key; None if there is none.
        right: The right neighbour's key, which is higher; None if there is none.
        count: The number of new rows.
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
    # If the width exceeds `count`, each row gets its own number, and none equals a neighbour's.
    while width <= count:
        low, width, digits = low * _BASE, width * _BASE, digits + 1
    return [
        _trimmed(f"{low + width * index // (count + 1):0{digits}x}")
        for index in range(1, count + 1)
    ]


def number_of(key: str) -> float:
    """Return a key's number, rounded to a float; rounding never reverses the order."""
    if len(key) == _WHOLE:
        return float(int(key, _BASE) - _OFFSET)
    scale = _BASE ** (len(key) - _WHOLE)
    # Python rounds an integer division once and correctly, however long the operands are.
    return float((int(key, _BASE) - _OFFSET * scale) / scale)


def key_of(number: float) -> str:
    """Return the exact key of a number: `number_of` returns the same number.

    Raises:
        ValueError: The number is not between -2**39 and 2**39.
    """
    if not -_OFFSET <= number < _OFFSET:
        raise ValueError(f"{number} is outside the range of sort keys.")
    exact = Fraction(number)
    # The denominator is a power of two; this many hex digits represent it exactly.
    digits = -(-(exact.denominator.bit_length() - 1) // 4)
    scaled = exact * _BASE**digits
    assert scaled.denominator == 1
    whole = scaled.numerator + _OFFSET * _BASE**digits
    return _trimmed(f"{whole:0{_WHOLE + digits}x}")


def _key(whole: int) -> str:
    return f"{whole + _OFFSET:0{_WHOLE}x}"


def _trimmed(digits: str) -> str:
    return digits[:_WHOLE] + digits[_WHOLE:].rstrip("0")
