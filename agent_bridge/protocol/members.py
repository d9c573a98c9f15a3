"""Reading the members of a decoded JSON object with their types checked."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from .codes import CloseCode
from .limits import is_finite, is_key

T = TypeVar("T")
L = TypeVar("L", bound=str)

_NAMES: Final[dict[type, str]] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    type(None): "null",
}


class FrameError(ValueError):
    """The peer broke the protocol; the connection is to be closed with `close_code`.

    The message says what was expected, never what a member held: it ends up in logs.
    """

    def __init__(self, message: str, close_code: CloseCode = CloseCode.BAD_FRAME) -> None:
        super().__init__(message)
        self.close_code = close_code


class Members:
    """The members of one frame; a reader raises FrameError when a value is not what it says."""

    __slots__ = ("_members", "type")

    def __init__(self, frame_type: str, members: dict[str, Any]) -> None:
        self.type = frame_type
        self._members = members

    def _fault(self, name: str, expected: str, value: object) -> FrameError:
        if name not in self._members:
            return FrameError(f"{self.type}.{name} is missing; it must be {expected}")
        came = _NAMES.get(type(value), "something else")
        return FrameError(f"{self.type}.{name} must be {expected}, not this value ({came})")

    def has(self, name: str) -> bool:
        """Tell whether an optional member is there and not null."""
        return self._members.get(name) is not None

    def optional(self, name: str, read: Callable[[str], T]) -> T | None:
        """Read an optional member: one that is left out or null is None."""
        # Not through `has`: most of an interim's members are optional, and absent.
        return None if self._members.get(name) is None else read(name)

    def string(self, name: str) -> str:
        """Read a string of any contents."""
        value = self._members.get(name)
        if type(value) is not str:
            raise self._fault(name, "a string", value)
        return value

    def key(self, name: str, longest: int = 128) -> str:
        """Read a string of 1 to `longest` printable characters."""
        value = self._members.get(name)
        if type(value) is not str or not is_key(value, longest):
            raise self._fault(name, f"a string of 1 to {longest} printable characters", value)
        return value

    def keys(self, name: str, least: int, most: int) -> tuple[str, ...]:
        """Read an array of keys."""
        value = self._members.get(name)
        if (
            type(value) is not list
            or not least <= len(value) <= most
            or not all(type(item) is str and is_key(item) for item in value)
        ):
            raise self._fault(name, f"an array of {least} to {most} keys", value)
        return tuple(value)

    def integer(self, name: str, least: int, most: int) -> int:
        """Read an integer; `true` and `1.0` are none."""
        value = self._members.get(name)
        if type(value) is not int or not least <= value <= most:
            raise self._fault(name, f"an integer from {least} to {most}", value)
        return value

    def number(self, name: str) -> float:
        """Read a finite number; `true` is none."""
        value = self._members.get(name)
        if (type(value) is not int and type(value) is not float) or not is_finite(value):
            raise self._fault(name, "a finite number", value)
        return float(value)

    def boolean(self, name: str) -> bool:
        """Read a boolean."""
        value = self._members.get(name)
        if type(value) is not bool:
            raise self._fault(name, "a boolean", value)
        return value

    def choice(self, name: str, choices: dict[str, L]) -> L:
        """Read one of the given names."""
        value = self._members.get(name)
        chosen = choices.get(value) if type(value) is str else None
        if chosen is None:
            raise self._fault(name, "one of " + ", ".join(choices), value)
        return chosen
