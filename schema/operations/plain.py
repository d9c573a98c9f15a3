"""Reads the fields that are mere attributes, without graphql-core's work for each of them.

graphql-core builds a path and an info object for every field of every object, and asks whether its
value can be awaited. A list of 500 utterances has thousands of fields that need none of that.
"""

from collections.abc import Callable, Iterable
from functools import cache
from operator import attrgetter
from typing import Any, Final

from graphql import (
    GraphQLBoolean,
    GraphQLID,
    GraphQLLeafType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLString,
    is_leaf_type,
)
from graphql.execution.collect_fields import GroupedFieldSet
from strawberry.schema.schema_converter import GraphQLCoreConverter

Read = Callable[[Any], Any]
"""Returns the answer's value of a field of this object."""

_EXACT: Final[dict[object, type]] = {
    GraphQLString: str,
    GraphQLID: str,
    GraphQLBoolean: bool,
}
"""The type of the values that need no conversion."""


class DoesNotFit(Exception):
    """An object has no value where the schema promises one."""


class Plain:
    """The plain fields of one selection of an object type, and the others."""

    __slots__ = ("_plain", "names", "others")

    def __init__(self, type_: GraphQLObjectType, fields: GroupedFieldSet) -> None:
        self.names = tuple(fields)
        found = {name: reader_of(type_, each[0].node.name.value) for name, each in fields.items()}
        self._plain: Iterable[tuple[str, Read]] = [
            (name, read) for name, read in found.items() if read is not None
        ]
        self.others: GroupedFieldSet = {
            name: fields[name] for name, read in found.items() if read is None
        }

    def values(self, source: Any) -> dict[str, Any]:
        """Return the answer for an object: in the selection's order, with None for the others.

        Raises:
            Exception: A value does not fit the schema; graphql-core says what is wrong.
        """
        values: dict[str, Any] = dict.fromkeys(self.names)
        for name, read in self._plain:
            values[name] = read(source)
        return values


@cache
def reader_of(type_: GraphQLObjectType, name: str) -> Read | None:
    """Return how a field is read; None if it is not plain.

    A plain field has a scalar or an enum that Strawberry reads from an attribute.
    """
    if name == "__typename":
        return lambda _: type_.name
    field = type_.fields.get(name)
    if field is None or field.args or not getattr(field.resolve, "_is_default", False):
        return None
    is_nullable = not isinstance(field.type, GraphQLNonNull)
    leaf = field.type if is_nullable else field.type.of_type
    if not is_leaf_type(leaf):
        return None
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    get = attrgetter(name if definition is None else definition.python_name)
    return _reader(get, leaf, is_nullable=is_nullable)


def _reader(get: Read, leaf: GraphQLLeafType, *, is_nullable: bool) -> Read:
    exact, serialize = _EXACT.get(leaf), leaf.serialize

    def read(source: Any) -> Any:
        value = get(source)
        if type(value) is exact:
            return value
        if value is not None:
            value = serialize(value)
        if value is None and not is_nullable:
            raise DoesNotFit
        return value

    return read
