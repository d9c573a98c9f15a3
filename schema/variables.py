"""Whether a request's variables are too many or too long, told before any of them is read.

graphql-core reads all of a list before a resolver can refuse it, and looks for a likely name for
every field that it does not know: a request of a few megabytes keeps everybody waiting for seconds.
What is not too long may still be long: such lists are read here, in turns, and not by graphql-core.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    Undefined,
    get_named_type,
    is_leaf_type,
    type_from_ast,
)
from graphql.utilities.coerce_input_value import coerce_input_value

from models.turns import Turns
from resolvers.limits import MESSAGES
from resolvers.nodes import NODES
from resolvers.refusals import BadUserInput

LENGTHS: Final = {"ID": NODES, "MessageInput": MESSAGES, "SessionStatus": 20, "TokenScope": 20}
"""How many items a list may have, by their type."""
LONG: Final = 100
"""Inputs in a list that are read in one go."""
_OTHERS: Final = 100
_UNKNOWN: Final = 5
"""Fields that no input has, after which graphql-core need not say what they may have meant."""
_SHOWN: Final = 64
"""Characters of a client's own name that a refusal repeats."""

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Long:
    """A list of so many inputs that graphql-core would keep others waiting with it."""

    variable: str
    path: Path
    """Where it is in the variable."""
    items: list[Any]
    kind: GraphQLInputType
    """What each of the items is."""

    def emptied(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the variables without the items; those that were given stay as they are."""
        emptied: dict[str, Any] = _replaced(variables, (self.variable, *self.path), [])
        return emptied

    def fill(self, coerced: dict[str, Any], items: list[Any]) -> None:
        """Put the items, which have been read, into variables that were read without them."""
        holder: Any = coerced
        *outer, last = (self.variable, *self.path)
        for name in outer:
            holder = holder[name]
        holder[last] = items


@dataclass(slots=True)
class Found:
    """What was seen in the variables."""

    values: int = 0
    unknown: int = 0
    """Fields that no input has."""
    long: list[Long] = field(default_factory=list)


async def look(
    schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any] | None
) -> Found:
    """Look at the variables of a valid operation; return what is in them.

    Raises:
        BadUserInput: naming the value at fault.
    """
    found = Found()
    turns = Turns()
    for node in operation.variable_definitions or ():
        name = node.variable.name.value
        if variables and name in variables:
            kind = type_from_ast(schema, node.type)
            # A refusal names the place inside of the input, as those of the use cases do.
            is_input = isinstance(get_named_type(kind), GraphQLInputObjectType)
            look = _Look(found, name, turns, () if is_input else (name,))
            await look.at(variables[name], kind, ())
    return found


async def read_in_turns(lists: Sequence[Long]) -> list[list[Any]] | None:
    """Read the items of these lists; None where one of them does not fit."""
    turns = Turns()
    read: list[list[Any]] = []
    for each in lists:
        items: list[Any] = []
        async for item in turns.of(each.items):
            coerced = coerce_input_value(item, each.kind)
            if coerced is Undefined:
                return None
            items.append(coerced)
        read.append(items)
    return read


class _Look:
    """Looks at one variable, and counts what it has seen."""

    def __init__(self, found: Found, variable: str, turns: Turns, named: Path) -> None:
        self._found = found
        self._variable = variable
        self._turns = turns
        self._named = named
        """What a refusal puts before the place."""

    async def at(self, value: object, kind: object, path: Path) -> None:
        """Look at a value where this type is wanted; whether it fits is told later."""
        self._found.values += 1
        inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
        if isinstance(inner, GraphQLList) and isinstance(value, list):
            await self._list(value, inner, path)
        elif isinstance(inner, GraphQLInputObjectType) and isinstance(value, dict):
            await self._object(value, inner, path)
        if self._turns.is_over():
            await self._turns.next()

    async def _list(self, values: list[object], kind: GraphQLList[Any], path: Path) -> None:
        named = get_named_type(kind)
        most = LENGTHS.get(named.name, _OTHERS)
        if len(values) > most:
            where = (*self._named, *path)
            name = f"`{where[-1]}`" if where else "The list"
            raise BadUserInput(
                f"{name} may have {most:,} items at most, not {len(values):,}.", field=where
            )
        for index, value in enumerate(values):
            await self.at(value, kind.of_type, (*path, index))
        if len(values) > LONG and isinstance(named, GraphQLInputObjectType):
            self._found.long.append(Long(self._variable, path, values, kind.of_type))

    async def _object(
        self, values: dict[str, object], kind: GraphQLInputObjectType, path: Path
    ) -> None:
        for name, value in values.items():
            field = kind.fields.get(name)
            if field is None:
                self._refuse_unknown(name, kind, path)
            elif is_leaf_type(_nullable(field.type)):
                self._found.values += 1
            else:
                await self.at(value, field.type, (*path, name))

    def _refuse_unknown(self, name: str, kind: GraphQLInputObjectType, path: Path) -> None:
        self._found.unknown += 1
        if self._found.unknown > _UNKNOWN:
            shown = name if len(name) <= _SHOWN else name[:_SHOWN] + "…"
            raise BadUserInput(
                f"{kind.name} has no field {shown!r}, and the variables have more such fields.",
                field=(*self._named, *path),
            )


def _nullable(kind: Any) -> Any:
    return kind.of_type if isinstance(kind, GraphQLNonNull) else kind


def _replaced(value: Any, path: Path, new: object) -> Any:
    """Return a copy of objects and lists in which one place holds something else."""
    if not path:
        return new
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy
