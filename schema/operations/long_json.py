"""Reads and writes the JSON of requests and responses, yielding to the event loop in between.

`json` does either in one go and holds the GIL meanwhile, so a thread would not help: a save of
8 MiB would block everybody for 40 ms, and nested lists for a second.
"""

import json
import re
from collections.abc import Iterable
from itertools import islice, takewhile
from json import JSONDecoder, JSONEncoder
from typing import Any, Final, Never

from models.turns import Turns

WINDOW: Final = 32 * 1024
"""Characters that are parsed in one go; this takes 4 ms in the worst case."""
VALUES: Final = 100_000
"""Values in one request; the largest save has 60,010."""
TOGETHER: Final = 16
"""Objects of a list, without lists in them, that are written in one go."""
_CONTAINERS: Final = (dict, list)
LEVELS: Final = 8
"""Nesting levels of values longer than a window. A save by `startNewChat` has six."""


class TooManyValues(Exception):
    """The JSON has more than `VALUES` values; the rest was not read."""


def _refuse_constant(name: str) -> Never:
    raise ValueError(name)


_BROKEN: Final = "surrogatepass"
"""Lone surrogates are refused later, where the error can name their field."""
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_decoder: Final = JSONDecoder(parse_constant=_refuse_constant)
encode: Final = JSONEncoder(separators=(",", ":")).encode


def read_short(text: str) -> object:
    """Decode a text of at most `WINDOW` characters in one go.

    Raises:
        ValueError: see `read`.
        RecursionError: see `read`.
    """
    return _decoder.decode(text)


async def read(data: str | bytes) -> object:
    """Decode JSON like `json.loads`, but refuse NaN and the infinities.

    Raises:
        ValueError: when it isn't JSON, or has numbers of thousands of digits.
        RecursionError: when it nests too deeply.
        TooManyValues: when it has more than `VALUES` values.
    """
    turns = Turns()
    # Decode bytes as `json.loads` does.
    text = data if isinstance(data, str) else data.decode(json.detect_encoding(data), _BROKEN)
    if len(text) <= WINDOW:
        return read_short(text)
    if turns.is_over():
        await turns.next()
    reader = _Reader(text, turns)
    value, end = await reader.value(reader.after_space(0), 0)
    if reader.after_space(end) != len(text):
        raise ValueError("Something follows the value.")
    return value


class _Reader:
    """Reads short values with `json`, and the outer levels of long values itself."""

    def __init__(self, text: str, turns: Turns) -> None:
        self._text = text
        self._begin = 0
        self._window = ""
        self._values = 0
        self._turns = turns

    async def value(self, at: int, level: int) -> tuple[object, int]:
        """Return the value that begins at this index, and the index where it ends."""
        kind = self._text[at : at + 1]
        if kind not in ("{", "["):
            value, end = _decoder.raw_decode(self._text, at)
            self._count(value)
        elif (short := self._short(at)) is not None:
            value, end = short
        elif level == LEVELS:
            raise RecursionError
        else:
            read = self._object if kind == "{" else self._array
            value, end = await read(at + 1, level + 1)
        if self._turns.is_over():
            await self._turns.next()
        return value, end

    def _short(self, at: int) -> tuple[object, int] | None:
        """Return the object or array at this index; None if it is longer than a window."""
        while True:
            is_fresh = at >= self._begin + len(self._window) or at == self._begin
            if is_fresh:
                self._begin, self._window = at, self._text[at : at + WINDOW]
            try:
                value, end = _decoder.raw_decode(self._window, at - self._begin)
            except ValueError:
                # Not JSON, or cut off by the end of the window.
                if is_fresh:
                    return None
                self._window = ""
            else:
                self._count(value)
                return value, self._begin + end

    async def _object(self, at: int, level: int) -> tuple[dict[str, object], int]:
        found: dict[str, object] = {}
        at = self.after_space(at)
        if self._text.startswith("}", at):
            return found, at + 1
        while True:
            if not self._text.startswith('"', at):
                raise ValueError("A name was expected.")
            name, at = _decoder.raw_decode(self._text, at)
            at = self._after(":", self.after_space(at))
            found[name], at = await self.value(at, level)
            at = self.after_space(at)
            if self._text.startswith("}", at):
                return found, at + 1
            at = self._after(",", at)

    async def _array(self, at: int, level: int) -> tuple[list[object], int]:
        found: list[object] = []
        at = self.after_space(at)
        if self._text.startswith("]", at):
            return found, at + 1
        while True:
            value, at = await self.value(at, level)
            found.append(value)
            at = self.after_space(at)
            if self._text.startswith("]", at):
                return found, at + 1
            at = self._after(",", at)

    def after_space(self, at: int) -> int:
        """Return where the next token begins."""
        found = _SPACE.match(self._text, at)
        assert found is not None, "It matches nothing, too."
        return found.end()

    def _after(self, mark: str, at: int) -> int:
        if not self._text.startswith(mark, at):
            raise ValueError(f"{mark!r} was expected.")
        return self.after_space(at + 1)

    def _count(self, value: object) -> None:
        self._values += _values(value)
        if self._values > VALUES:
            raise TooManyValues


def _values(value: object) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_values, value.values()))
    if isinstance(value, list):
        return 1 + sum(map(_values, value))
    return 1


async def write(value: object) -> str:
    """Encode as JSON."""
    pieces: list[str] = []
    await _write(value, pieces, Turns())
    return "".join(pieces)


async def _write(value: Any, pieces: list[str], turns: Turns) -> None:
    """Write containers that hold containers item by item, and all other values in one go.

    A list's small objects are written some at a time.
    """
    if isinstance(value, dict) and _is_outer(value.values()):
        pieces.append("{")
        for name, inner in value.items():
            pieces.append(f"{encode(name)}:")
            await _write(inner, pieces, turns)
            pieces.append(",")
        pieces[-1] = "}"
    elif isinstance(value, list) and _is_outer(value):
        pieces.append("[")
        at = 0
        while at < len(value):
            some = list(takewhile(_is_small, islice(value, at, at + TOGETHER)))
            if some:
                pieces.append(encode(some)[1:-1])
                if turns.is_over():
                    await turns.next()
            else:
                await _write(value[at], pieces, turns)
            pieces.append(",")
            at += len(some) or 1
        pieces[-1] = "]"
    else:
        pieces.append(encode(value))
    if turns.is_over():
        await turns.next()


def _is_outer(values: Iterable[object]) -> bool:
    return any(isinstance(each, _CONTAINERS) for each in values)


def _is_small(value: object) -> bool:
    """Whether this is an object without lists: its size depends on the selection alone."""
    if not isinstance(value, dict):
        return False
    return all(not isinstance(each, _CONTAINERS) or _is_small(each) for each in value.values())
