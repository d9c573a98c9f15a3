"""Limits the number and length of variables before they are coerced, and coerces long lists.

graphql-core coerces a whole list before a resolver can refuse it, and looks for a similar name for
every unknown field: a request of a few megabytes would block everybody for seconds. Lists within
the limits may still be long. They are coerced here, yielding to the event loop in between.
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
"""Maximum length of a list, by the type of its items."""
LONG: Final = 100
"""Input objects in a list that graphql-core coerces in one go."""
_OTHERS: Final = 100
_UNKNOWN: Final = 5
"""Unknown fields; with more of them, the request is refused before graphql-core suggests names."""
_SHOWN: Final = 64
"""Characters of an unknown field's name that an error shows."""

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Long:
    """A list of so many input objects that coercing it in one go would block others."""

    variable: str
    path: Path
    """Its path inside the variable."""
    items: list[Any]
    kind: GraphQLInputType
    """The type of the items."""

    def emptied(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Return a copy of the variables without the items."""
        emptied: dict[str, Any] = _replaced(variables, (self.variable, *self.path), [])
        return emptied

    def fill(self, coerced: dict[str, Any], items: list[Any]) -> None:
        """Put the coerced items into variables that were coerced without them."""
        holder: Any = coerced
        *outer, last = (self.variable, *self.path)
        for name in outer:
            holder = holder[name]
        holder[last] = items


@dataclass(slots=True)
class Found:
    """What was found in the variables."""

    values: int = 0
    unknown: int = 0
    """Fields that their input type doesn't have."""
    long: list[Long] = field(default_factory=list)


async def look(
    schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any] | None
) -> Found:
    """Check the size of a valid operation's variables; return what was found in them.

    Raises:
        BadUserInput: when a list is too long or too many fields are unknown; names the value.
    """
    found = Found()
    turns = Turns()
    for node in operation.variable_definitions or ():
        name = node.variable.name.value
        if variables and name in variables:
            kind = type_from_ast(schema, node.type)
            # Errors give the path inside the input object, as the use cases' errors do.
            is_input = isinstance(get_named_type(kind), GraphQLInputObjectType)
            look = _Look(found, name, turns, () if is_input else (name,))
            await look.at(variables[name], kind, ())
    return found


async def read_in_turns(lists: Sequence[Long]) -> list[list[Any]] | None:
    """Coerce the items of these lists; return None if one is invalid."""
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
    """Checks one variable, and counts what it finds."""

    def __init__(self, found: Found, variable: str, turns: Turns, named: Path) -> None:
        self._found = found
        self._variable = variable
        self._turns = turns
        self._named = named
        """Prefix of the paths in errors."""

    async def at(self, value: object, kind: object, path: Path) -> None:
        """Check a value of this declared type; whether it fits the type is checked later."""
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
    """Return a copy of nested objects and lists with the value at this path replaced."""
    if not path:
        return new
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy
