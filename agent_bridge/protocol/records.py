"""Defines frames as records: one definition gives a frame's decoding, its limits and its schema.

A frame is a `msgspec.Struct` whose `type` is the struct's tag. Members have camel-case names on the
wire. Their types say what they may hold, with a description for error messages.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from msgspec import Meta, Struct, ValidationError

F = TypeVar("F", bound="Record")

_CAME: Final[dict[type, str]] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    type(None): "null",
}
_EXPECTED: Final[dict[Any, str]] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a finite number",
    datetime: "a string",
}
_NAMED: Final = re.compile(r"required field `(\w+)`|`\$\.(\w+)")
"""Finds the member at fault in an error message of msgspec."""


def text(longest: int) -> Meta:
    """Limit a string to 1 to `longest` printable characters."""
    description = f"a string of 1 to {longest} printable characters"
    return Meta(min_length=1, max_length=longest, description=description, extra={PRINTABLE: True})


def schema(**keywords: int) -> Meta:
    """Add a limit to the JSON Schema only: other code checks it, and answers without closing."""
    return Meta(extra_json_schema=keywords)


def length(longest: int) -> Meta:
    """Limit a string to 1 to `longest` characters."""
    description = f"a string of 1 to {longest} characters"
    return Meta(min_length=1, max_length=longest, description=description)


def number(least: int, most: int) -> Meta:
    """Limit an integer; `true` and `1.0` are not integers."""
    return Meta(ge=least, le=most, description=f"an integer from {least} to {most}")


def texts(least: int, most: int) -> Meta:
    """Limit how many printable strings an array has."""
    description = f"an array of {least} to {most} keys"
    return Meta(min_length=least, max_length=most, description=description, extra={PRINTABLE: True})


UNSHOWN: Final = "unshown"
PRINTABLE: Final = "printable"
OWED: Final = "owed"
SENT: Final = Meta(extra={OWED: True})
"""Marks a member that must be in the frame, although code may leave it out of a record."""
SECRET: Final = Meta(extra={UNSHOWN: True})
"""Marks a member that must not be logged: a token, a key, or words."""


class Record(Struct, frozen=True, rename="camel", tag_field="type"):
    """A frame. Its `repr` leaves out secrets."""

    def __repr__(self) -> str:
        shown = (
            f"{name}={getattr(self, name)!r}"
            for name in self.__struct_fields__
            if name not in _members(type(self)).secret
        )
        return f"{type(self).__name__}({', '.join(shown)})"


class MemberFault(ValueError):
    """A member of a frame is missing, or not what it must be.

    The message says what was expected, never what the member held, because it may be logged.
    """

    def __init__(self, frame_type: str, name: str, message: str) -> None:
        super().__init__(f"{frame_type}.{name} {message}")
        self.name = name


class _Members:
    """What the definition of a frame says about its members."""

    def __init__(self, kind: type[Record]) -> None:
        hints = get_type_hints(kind, include_extras=True)
        names = dict(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))
        self.wire: Final = tuple(names.items())
        self.type = str(kind.__struct_config__.tag)
        self.secret = {name for name in names if _has(hints[name], UNSHOWN)}
        self.expected = {wire: _expected(hints[name]) for name, wire in names.items()}
        self.optional = {
            wire
            for wire, field in zip(names.values(), msgspec.structs.fields(kind), strict=True)
            if not field.required
        }
        self.texts = {wire for name, wire in names.items() if _is_text(hints[name])}
        self.owed = [wire for name, wire in names.items() if _has(hints[name], OWED)]
        self.printable = [
            (wire, attrgetter(name)) for name, wire in names.items() if _has(hints[name], PRINTABLE)
        ]

    def fault(self, name: str, given: Mapping[str, Any]) -> MemberFault:
        """Return what is wrong with a member."""
        expected = self.expected.get(name, "something else")
        if name not in given:
            return MemberFault(self.type, name, f"is missing; it must be {expected}")
        came = _CAME.get(type(given[name]), "something else")
        return MemberFault(self.type, name, f"must be {expected}, not this value ({came})")


@cache
def _members(kind: type[Record]) -> _Members:
    return _Members(kind)


def _has(hint: Any, mark: str) -> bool:
    return any(isinstance(one, Meta) and mark in (one.extra or {}) for one in _notes(hint))


def _notes(hint: Any) -> tuple[Any, ...]:
    notes: tuple[Any, ...] = getattr(hint, "__metadata__", ())
    return notes


def _is_text(hint: Any) -> bool:
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return bare is str or str in get_args(bare)


def _expected(hint: Any) -> str:
    for one in _notes(hint):
        if isinstance(one, Meta) and one.description:
            return one.description
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    options = [one for one in get_args(bare) if one is not type(None)]
    if get_origin(bare) is Literal:
        return "one of " + ", ".join(map(str, options))
    if isinstance(bare, type) and issubclass(bare, Enum):
        return "one of " + ", ".join(member.value for member in bare)
    return _expected(options[0]) if type(None) in get_args(bare) else _EXPECTED[bare]


def fault_of(kind: type[Record], name: str, given: Mapping[str, Any]) -> MemberFault:
    """Return what is wrong with a member, by its name on the wire."""
    return _members(kind).fault(name, given)


def schema_of(kind: type[Record]) -> dict[str, Any]:
    """Return the JSON Schema of a frame."""
    [reference], components = msgspec.json.schema_components([kind], ref_template="{name}")
    schema: dict[str, Any] = _resolved(components.pop(reference["$ref"]), components)
    for name in _members(kind).owed:
        schema["properties"][name].pop("default")
        schema["required"].append(name)
    return schema


def _resolved(schema: Any, components: Mapping[str, Any]) -> Any:
    """Return a schema with its references replaced by what they refer to."""
    if isinstance(schema, list):
        return [_resolved(one, components) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return components[schema["$ref"]]
    return {name: _resolved(value, components) for name, value in schema.items()}


def by_type(*kinds: type[Record]) -> Mapping[str, type[Record]]:
    """Return these kinds of frames by `type`, in this order."""
    return {str(kind.__struct_config__.tag): kind for kind in kinds}


def read(kind: type[F], given: dict[str, Any]) -> F:
    """Make a frame from a decoded JSON object; an optional member that is null is left out.

    Raises:
        MemberFault: A member is missing, or not what it must be.
    """
    members = _members(kind)
    try:
        frame = msgspec.convert(given, kind)
    except ValidationError as error:
        found = {
            name: value
            for name, value in given.items()
            if value is not None or name not in members.optional
        }
        if len(found) < len(given):
            return read(kind, found)
        raise members.fault(_named(error), given) from None
    except UnicodeEncodeError:
        # msgspec can't look at half of a surrogate pair, where it expects anything but text.
        known = {name: value for name, value in given.items() if name in members.expected}
        if len(known) < len(given) - 1:
            return read(kind, {"type": members.type, **known})
        bad = (name for name, value in known.items() if _is_half(value))
        raise members.fault(
            next(name for name in bad if name not in members.texts), given
        ) from None
    for name in members.owed:
        if name not in given:
            raise members.fault(name, given)
    # msgspec does not check this; inlined, because calls of our own would cost time.
    for name, value_of in members.printable:
        value = value_of(frame)
        if value is None:
            continue
        if not (value.isprintable() if type(value) is str else all(map(str.isprintable, value))):
            raise members.fault(name, given)
    return frame


def _is_half(value: object) -> bool:
    return isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value)


def _named(error: ValidationError) -> str:
    """Return the member that an error message of msgspec names."""
    found = _NAMED.search(str(error))
    return (found[1] or found[2]) if found is not None else ""


def members_of(
    frame: Record, write: Callable[[datetime], str] = datetime.isoformat
) -> dict[str, Any]:
    """Convert a frame to a JSON object; members that are None are left out.

    Args:
        frame: The frame.
        write: Formats a time.
    """
    members = _members(type(frame))
    found: dict[str, Any] = {"type": members.type}
    for name, wire in members.wire:
        value = getattr(frame, name)
        if value is not None:
            found[wire] = _plain(value, write)
    return found


def _plain(value: Any, write: Callable[[datetime], str]) -> Any:
    if isinstance(value, datetime):
        return write(value)
    return value.value if isinstance(value, Enum) else value


def type_of(frame: Record | type[Record]) -> str:
    """Return a frame's `type`."""
    return str(frame.__struct_config__.tag)
