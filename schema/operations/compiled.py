"""Compiles what a subscription selects to one function from an event to its JSON.

It knows plain selections only: attributes of objects, read in the way that Strawberry reads them.
Where a value does not fit its type the function raises, and graphql-core says what is wrong.
"""

from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from typing import Any, Final

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLID,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
    is_leaf_type,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.schema.schema_converter import GraphQLCoreConverter

from schema.operations.long_json import encode

Write = Callable[[Any], str]

_BOOLEANS: Final = {True: "true", False: "false"}


class NotPlain(Exception):
    """The selection holds something that can't be compiled."""


class DoesNotFit(Exception):
    """An event has no value where the schema promises one."""


def compiled(executor: Executor[Any], root: GraphQLObjectType, fields: GroupedFieldSet) -> Write:
    """Return the function that writes the data of a subscription from its event.

    Args:
        executor: The executor of the operation; every field in it only reads an attribute.
        root: The subscription type.
        fields: The collected fields of the operation; the event is the value of the only one.

    Raises:
        NotPlain: The function can't be made.
    """
    [(name, details)] = fields.items()
    type_ = root.fields[details[0].node.name.value].type
    source = _Source(executor)
    data = source.value(type_, details, "event")
    return source.function(f'{{"data":{{{encode(name)}:', data, "}}")


class _Source:
    """The Python source of one function, piece by piece.

    All names and texts of the client reach it as values or as JSON strings, never as code.
    """

    def __init__(self, executor: Executor[Any]) -> None:
        self._executor = executor
        self._names: dict[str, Any] = {
            "BOOLEANS": _BOOLEANS,
            "encode": encode,
            "quote": encode_basestring_ascii,
        }
        self._locals = 0

    def function(self, before: str, value: str, after: str) -> Write:
        """Return a function of `event` that puts a value between two texts."""
        # Only our own names become code; what the client wrote is quoted.
        exec(f"def write(event):\n return {before!r} + {value} + {after!r}", self._names)  # noqa: S102
        write: Write = self._names["write"]
        return write

    def value(self, type_: GraphQLOutputType, details: FieldDetailsList, read: str) -> str:
        """Return an expression for the JSON of a value.

        Args:
            type_: The value's type.
            details: The nodes that select it.
            read: An expression that reads it.
        """
        if isinstance(type_, GraphQLNonNull):
            return self._present(type_.of_type, details, read)
        name = self._local()
        present = self._present(type_, details, name)
        return f'("null" if ({name} := {read}) is None else {present})'

    def _present(self, type_: GraphQLOutputType, details: FieldDetailsList, read: str) -> str:
        if type_ in (GraphQLString, GraphQLID):
            return f"quote({read})"
        if type_ is GraphQLBoolean:
            return f"BOOLEANS[{read}]"
        if isinstance(type_, GraphQLEnumType):
            return f"{self._constant(_Names(type_))}[{read}]"
        if is_leaf_type(type_):
            return f"{self._constant(_leaf(type_))}({read})"
        if isinstance(type_, GraphQLList):
            item = self._local()
            each = self.value(type_.of_type, details, item)
            return f'"[" + ",".join([{each} for {item} in {read}]) + "]"'
        if isinstance(type_, GraphQLObjectType):
            return self._object(type_, details, read)
        raise NotPlain(str(type_))

    def _object(self, type_: GraphQLObjectType, details: FieldDetailsList, read: str) -> str:
        selected = self._executor.collect_subfields(type_, details).grouped_field_set
        name = self._local()
        pieces, text = [], "{"
        for place, (key, those) in enumerate(selected.items()):
            text += f"{',' if place else ''}{encode(key)}:"
            field = those[0].node.name.value
            if field == "__typename":
                text += encode(type_.name)
                continue
            definition = type_.fields[field].extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
            attribute = field if definition is None else definition.python_name
            value = self.value(type_.fields[field].type, those, f"{name}.{attribute}")
            pieces += [repr(text), value]
            text = ""
        inner = " + ".join([*pieces, repr(text + "}")])
        return f"({inner} if ({name} := {read}) is not None else {self._constant(_refuse)}())"

    def _local(self) -> str:
        self._locals += 1
        return f"v{self._locals}"

    def _constant(self, value: object) -> str:
        name = f"C{len(self._names)}"
        self._names[name] = value
        return name


class _Names(dict[Any, str]):
    """The JSON of an enum's values."""

    def __init__(self, type_: GraphQLEnumType) -> None:
        super().__init__()
        self._type = type_

    def __missing__(self, value: Any) -> str:
        name = self[value] = encode(self._type.serialize(value))
        return name


def _leaf(type_: GraphQLLeafType) -> Write:
    serialize = type_.serialize

    def write(value: Any) -> str:
        return encode(serialize(value)) if value is not None else _refuse()

    return write


def _refuse() -> str:
    raise DoesNotFit
