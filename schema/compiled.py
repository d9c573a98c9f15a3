"""Turns what a subscription selects into one function from an event to its data.

It knows plain selections only: attributes of objects, read in the way that Strawberry reads them.
Where a value does not fit its type it gives up, and graphql-core says what is wrong.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, cast

from graphql import (
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.schema.schema_converter import GraphQLCoreConverter

Read = Callable[[Any], Any]


class DoesNotFit(Exception):
    """An event has no value where the schema promises one."""


def compiled(executor: Executor[Any], root: GraphQLObjectType, fields: GroupedFieldSet) -> Read:
    """Return what reads the data of a subscription out of its event.

    Args:
        executor: of the operation; every field in it must be one that only reads an attribute.
        root: the subscription type.
        fields: the operation's fields, collected; the event is the value of the only one.
    """
    [(name, details)] = fields.items()
    read = _reader(executor, root.fields[details[0].node.name.value].type, details)
    return lambda event: {name: read(event)}


def _reader(executor: Executor[Any], type_: GraphQLOutputType, details: FieldDetailsList) -> Read:
    """Return what makes the data of one value of this type."""
    if isinstance(type_, GraphQLNonNull):
        return _present(_nullable(executor, type_.of_type, details))
    return _nullable(executor, type_, details)


def _nullable(executor: Executor[Any], type_: GraphQLOutputType, details: FieldDetailsList) -> Read:
    read: Read
    if isinstance(type_, GraphQLList):
        read_each = _reader(executor, type_.of_type, details)

        def read(value: Any) -> Any:
            return [read_each(one) for one in value]

    elif isinstance(type_, GraphQLObjectType):
        read = _object(executor, type_, details)
    else:
        read = cast(GraphQLLeafType, type_).serialize

    return lambda value: None if value is None else read(value)


def _present(read: Read) -> Read:
    def present(value: Any) -> Any:
        told = read(value)
        if told is None:
            raise DoesNotFit
        return told

    return present


def _object(executor: Executor[Any], type_: GraphQLObjectType, details: FieldDetailsList) -> Read:
    fields = executor.collect_subfields(type_, details).grouped_field_set
    parts = [(name, _attribute(executor, type_, those)) for name, those in fields.items()]
    return lambda source: {name: read(source) for name, read in parts}


def _attribute(
    executor: Executor[Any], parent: GraphQLObjectType, details: FieldDetailsList
) -> Read:
    name = details[0].node.name.value
    if name == "__typename":
        return lambda _: parent.name
    field = parent.fields[name]
    definition = field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
    get, read = attrgetter(definition.python_name), _reader(executor, field.type, details)
    return lambda source: read(get(source))
