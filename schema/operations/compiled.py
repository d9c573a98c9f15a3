"""Turns what a subscription selects into one function from an event to its data.

It knows plain selections only: attributes of objects, read in the way that Strawberry reads them.
Where a value does not fit its type it gives up, and graphql-core says what is wrong.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, NamedTuple, cast

from graphql import (
    GraphQLBoolean,
    GraphQLID,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.schema.schema_converter import GraphQLCoreConverter

Read = Callable[[Any], Any]


class DoesNotFit(Exception):
    """An event has no value where the schema promises one."""


def compiled(executor: Executor[Any], root: GraphQLObjectType, fields: GroupedFieldSet) -> Read:
    """Return the function that reads the data of a subscription from its event.

    Args:
        executor: The executor of the operation; every field in it only reads an attribute.
        root: The subscription type.
        fields: The collected fields of the operation; the event is the value of the only one.
    """
    [(name, details)] = fields.items()
    read = _field(executor, root, details).read
    assert read is not None, "The event is an object."
    return lambda event: {name: read(event)}


class _Field(NamedTuple):
    """How one field becomes data."""

    attribute: str
    """The attribute that holds its value."""
    is_nullable: bool
    exact: type | None
    """The type of values that are data already; None where `read` is to be called."""
    read: Read | None


_EXACT: Final = {GraphQLString: str, GraphQLID: str, GraphQLBoolean: bool}
"""The types of Python that these serialize to themselves."""


def _field(executor: Executor[Any], parent: GraphQLObjectType, details: FieldDetailsList) -> _Field:
    name = details[0].node.name.value
    if name == "__typename":
        return _Field("__class__", False, None, lambda _: parent.name)
    field = parent.fields[name]
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    attribute = name if definition is None else definition.python_name
    type_ = field.type
    is_nullable = not isinstance(type_, GraphQLNonNull)
    if isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    exact = _EXACT.get(type_)
    read = None if exact is not None else _reader(executor, type_, details)
    return _Field(attribute, is_nullable, exact, read)


def _reader(executor: Executor[Any], type_: GraphQLOutputType, details: FieldDetailsList) -> Read:
    """Return the function that makes data of a value of this type that is not null."""
    if isinstance(type_, GraphQLList):
        item = type_.of_type
        if not isinstance(item, GraphQLNonNull):
            read = _reader(executor, item, details)
            return lambda values: [None if one is None else read(one) for one in values]
        read = _reader(executor, item.of_type, details)
        return lambda values: list(map(read, values))
    if isinstance(type_, GraphQLObjectType):
        return _object(executor, type_, details)
    return cast(GraphQLLeafType, type_).serialize


def _object(executor: Executor[Any], type_: GraphQLObjectType, details: FieldDetailsList) -> Read:
    selected = executor.collect_subfields(type_, details).grouped_field_set
    fields = [_field(executor, type_, those) for those in selected.values()]
    rows = [
        (name, field.is_nullable, field.exact, field.read)
        for name, field in zip(selected, fields, strict=True)
    ]
    # Of a single name `attrgetter` would return the value itself, so there is always a second.
    values = attrgetter(*(field.attribute for field in fields), "__class__")

    # One function without calls of its own for what is data already: it runs for every event.
    def read_object(source: Any) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for (name, is_nullable, exact, read), value in zip(rows, values(source), strict=False):
            if value is None:
                if not is_nullable:
                    raise DoesNotFit
                data[name] = None
            elif read is not None:
                data[name] = read(value)
            elif type(value) is exact:
                data[name] = value
            else:
                raise DoesNotFit
        return data

    return read_object
