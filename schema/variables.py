"""Whether a request's variables are too many or too long, told before any of them is read.

graphql-core reads all of a list before a resolver can refuse it, and looks for a likely name for
every field that it does not know: a request of a few megabytes keeps everybody waiting for seconds.
"""

from collections.abc import Mapping
from typing import Any, Final

from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    type_from_ast,
)

from resolvers.limits import MESSAGES
from resolvers.nodes import NODES
from resolvers.refusals import BadUserInput

LENGTHS: Final = {"ID": NODES, "MessageInput": MESSAGES, "SessionStatus": 20, "TokenScope": 20}
"""How many items a list may have, by their type."""
_OTHERS: Final = 100
_UNKNOWN: Final = 5
"""Fields that no input has, after which graphql-core need not say what they may have meant."""
_SHOWN: Final = 64
"""Characters of a client's own name that a refusal repeats."""

Path = tuple[str | int, ...]


def check(
    schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any] | None
) -> int:
    """Look at the variables of a valid operation; return how many values there are in them.

    Raises:
        BadUserInput: naming the value at fault.
    """
    look = _Look()
    for node in operation.variable_definitions or ():
        name = node.variable.name.value
        if variables and name in variables:
            kind = type_from_ast(schema, node.type)
            # A refusal names the place inside of the input, as those of the use cases do.
            is_input = isinstance(get_named_type(kind), GraphQLInputObjectType)
            look.at(variables[name], kind, () if is_input else (name,))
    return look.values


class _Look:
    """Counts what it has seen."""

    def __init__(self) -> None:
        self.values = 0
        self._unknown = 0

    def at(self, value: object, kind: object, path: Path) -> None:
        """Look at a value where this type is wanted; whether it fits is told later."""
        self.values += 1
        inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
        if isinstance(inner, GraphQLList) and isinstance(value, list):
            self._list(value, inner, path)
        elif isinstance(inner, GraphQLInputObjectType) and isinstance(value, dict):
            self._object(value, inner, path)

    def _list(self, values: list[object], kind: GraphQLList[Any], path: Path) -> None:
        most = LENGTHS.get(get_named_type(kind).name, _OTHERS)
        if len(values) > most:
            name = f"`{path[-1]}`" if path else "The list"
            raise BadUserInput(
                f"{name} may have {most:,} items at most, not {len(values):,}.", field=path
            )
        for index, value in enumerate(values):
            self.at(value, kind.of_type, (*path, index))

    def _object(self, values: dict[str, object], kind: GraphQLInputObjectType, path: Path) -> None:
        for name, value in values.items():
            field = kind.fields.get(name)
            if field is not None:
                self.at(value, field.type, (*path, name))
                continue
            self._unknown += 1
            if self._unknown > _UNKNOWN:
                shown = name if len(name) <= _SHOWN else name[:_SHOWN] + "…"
                raise BadUserInput(
                    f"{kind.name} has no field {shown!r}, and the variables have more such fields.",
                    field=path,
                )
