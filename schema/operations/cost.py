"""The cost of an operation, computed from its document and variables before it runs.

One point is the cost of a plain field: 4 to 7 µs of one processor. Neither depth nor the number of
fields or objects alone bounds the work: 45 aliases of a session with 14 fields, in a list of 100
utterances, are 60,000 fields in a document of 7 kB.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import ceil, isfinite
from typing import Any, Final

from graphql import (
    GRAPHQL_MAX_INT,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SchemaMetaFieldDef,
    SelectionSetNode,
    TypeMetaFieldDef,
    VariableNode,
    get_named_type,
    is_leaf_type,
)

from resolvers.limits import MESSAGES
from resolvers.nodes import NODES
from resolvers.transcripts.streams import PAGE

MAX_COST: Final = 12_000
"""A page of 500 utterances with all fields costs 11,000."""
REQUEST: Final = 100
"""Fixed cost of parsing, validating and answering a request."""
READ: Final = 100
"""A field that queries the database."""
SEARCH: Final = 3_000
"""A search; its page, its count and its matches may each scan everything the user has said."""
ROW: Final = 5
"""A database row."""
CONFLICTS: Final = 1_000
"""Conflicts that a save is charged for. It may have 10,000, if its client knows all their keys."""
MESSAGE: Final = 30
"""A saved message: 0.13 ms with a short text, 0.35 ms with one of 700 characters. Charged to the
budget only, not counted against `MAX_COST`: an operation may always save 10,000."""

_PAGES: Final = {
    ("Query", "sessionHistory"): 20,
    ("User", "apiTokens"): 20,
    ("Session", "utterances"): 500,
}
"""Connections, with their page size when neither `first` nor `last` is given."""
_LISTS: Final = {
    ("TranscriptEvent", "utterances"): PAGE,
    ("SaveSessionPayload", "conflicts"): CONFLICTS,
}
_READS: Final = {
    ("Query", "viewer"),
    ("Query", "node"),
    ("Query", "nodes"),
    ("Query", "session"),
    *_PAGES,
}
_SAVES: Final = {
    ("Mutation", "saveSession"): ("messages",),
    ("Mutation", "startNewChat"): ("previous", "messages"),
}
"""The path to the messages in each mutation's input."""
_ROWS: Final = {"Session", "Utterance", "ApiToken", "User"}

Variables = Mapping[str, Any]
Size = Callable[[Variables], int]
"""Returns the maximum length of a list, given the variables."""


@dataclass(slots=True)
class Cost:
    """The points of a selection: a fixed part, and a part for each item of its lists."""

    fixed: int = 0
    lists: "list[tuple[Size, Cost]]" = field(default_factory=list)
    saves: "list[Size]" = field(default_factory=list)
    """The number of messages in each save."""

    def of(self, variables: Variables) -> int:
        """Return the points with these variables."""
        return self.fixed + sum(size(variables) * each.of(variables) for size, each in self.lists)

    def messages(self, variables: Variables) -> int:
        """Return how many messages are saved with these variables."""
        return sum(size(variables) for size in self.saves)

    def add(self, other: "Cost") -> None:
        """Add the cost of another selection."""
        self.fixed += other.fixed
        self.lists.extend(other.lists)
        self.saves.extend(other.saves)

    def times(self, size: "int | Size") -> "Cost":
        """Return the cost of a list of `size` items that each cost this."""
        if callable(size):
            return Cost(0, [(size, self)])
        if not self.lists:
            return Cost(size * self.fixed)
        return Cost(0, [(lambda _: size, self)])


def cost_of(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> Cost:
    """Return the cost of a valid operation; for a subscription, the cost of one event."""
    root = schema.get_root_type(operation.operation)
    assert root is not None
    cost = _CostCalculator(schema, document, operation).of(operation.selection_set, root, None)
    if operation.operation is not OperationType.SUBSCRIPTION:
        cost.add(Cost(REQUEST))
    return cost


def too_costly(points: int, messages: int) -> list[GraphQLError]:
    """Return an error if this exceeds what one operation may cost or save."""
    if messages > MESSAGES:
        return [
            GraphQLError(
                f"The operation saves {messages:,} messages; at most {MESSAGES:,} are allowed. "
                "Send the saves one after the other."
            )
        ]
    if points <= MAX_COST:
        return []
    return [
        GraphQLError(
            f"The operation costs {points} points; at most {MAX_COST} are allowed. A field of an "
            "item in a list counts once for each item. Ask for shorter pages in `first` or `last`, "
            "or for fewer fields in them."
        )
    ]


class _CostCalculator:
    """Computes the cost of selections; a fragment's once per length of the enclosing list."""

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
    ) -> None:
        self._schema = schema
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._defaults = {
            node.variable.name.value: node.default_value
            for node in operation.variable_definitions or ()
            if node.default_value is not None
        }
        self._known: dict[tuple[str, object], Cost] = {}
        self._introspection = _introspection(schema)

    def of(self, node: SelectionSetNode | None, parent: object, size: "int | Size | None") -> Cost:
        """Return the cost of a selection.

        Args:
            node: The selection.
            parent: The type that it selects from.
            size: The page size of the enclosing connection; None outside one.
        """
        cost = Cost()
        for each in node.selections if node else ():
            if isinstance(each, FieldNode):
                cost.add(self._field(each, parent, size))
            elif isinstance(each, InlineFragmentNode):
                cost.add(self.of(each.selection_set, self._on(each, parent), size))
            elif isinstance(each, FragmentSpreadNode):
                cost.add(self._fragment(each.name.value, parent, size))
        return cost

    def _fragment(self, name: str, parent: object, size: "int | Size | None") -> Cost:
        if (name, size) not in self._known:
            node = self._fragments[name]
            self._known[name, size] = self.of(node.selection_set, self._on(node, parent), size)
        return self._known[name, size]

    def _on(self, node: InlineFragmentNode | FragmentDefinitionNode, parent: object) -> object:
        condition = node.type_condition
        return parent if condition is None else self._schema.get_type(condition.name.value)

    def _field(self, node: FieldNode, parent: object, size: "int | Size | None") -> Cost:
        name = node.name.value
        found = _definition(parent, name)
        if found is None:  # __typename
            return Cost(1)
        place = (getattr(parent, "name", ""), name)
        kind = get_named_type(found.type)
        page = self._page_size(node, place) if place in _PAGES else None
        inner = Cost() if is_leaf_type(kind) else self.of(node.selection_set, kind, page)
        length = self._length(node, place, found, size)
        own = Cost(1 + self._read(place))
        if place in _SAVES:
            own.saves.append(self._messages(node, _SAVES[place]))
        if page is not None:
            # The rows are read, whichever fields are selected.
            own.add(Cost(ROW).times(page))
            own.add(Cost(SEARCH).times(self._searches(node)))
        if length is None:
            # About half of all types are wrapped.
            own.add(Cost(inner.fixed // 2) if place == ("__Type", "ofType") else inner)
            return own
        if kind.name not in _ROWS:
            inner.fixed += 1
        elif size is None:
            inner.fixed += ROW
        own.add(inner.times(length))
        return own

    def _read(self, place: tuple[str, str]) -> int:
        if place in _READS or place[1] == "totalCount":
            return READ
        # Read in a batch with the sessions of other utterances.
        return ROW if place == ("Utterance", "session") else 0

    def _length(
        self,
        node: FieldNode,
        place: tuple[str, str],
        found: GraphQLField,
        size: "int | Size | None",
    ) -> "int | Size | None":
        """Return the length of a list of objects; None for any other field."""
        if not _is_list(found.type) or is_leaf_type(get_named_type(found.type)):
            return None
        if place == ("Query", "nodes"):
            return self._given(node, ("ids",), _count, NODES)
        if place[0].startswith("__"):
            return self._introspection[place]
        # Inside a connection, its page size. Elsewhere an unlisted list counts as the longest page.
        return _LISTS.get(place, 500) if size is None else size

    def _page_size(self, node: FieldNode, place: tuple[str, str]) -> "int | Size":
        return self._given(node, ("first", "last"), _number, _PAGES[place])

    def _searches(self, node: FieldNode) -> "int | Size":
        """Return 1 if the page is a search, else 0."""
        names = ("filter", "search")
        given = next((a.value for a in node.arguments or () if a.name.value in names), None)
        if isinstance(given, ObjectValueNode):
            given = next((f.value for f in given.fields if f.name.value == "search"), None)
        if not isinstance(given, VariableNode):
            return int(given is not None)
        variable = given

        def count(variables: Variables) -> int:
            value = self._value(variable, variables)
            return int(bool(value.get("search") if isinstance(value, dict) else value))

        return count

    def _messages(self, node: FieldNode, path: Sequence[str]) -> Size:
        """Return how many messages a save has, `MESSAGES` at most; more are refused later."""
        begin = next((a.value for a in node.arguments or () if a.name.value == "input"), None)

        def count(variables: Variables) -> int:
            value: object = begin
            for name in path:
                value = _inside(self._value(value, variables), name)
            given = self._value(value, variables)
            if isinstance(given, ListValueNode):
                return min(MESSAGES, len(given.values))
            return min(MESSAGES, len(given)) if isinstance(given, list) else int(given is not None)

        return count

    def _given(
        self,
        node: FieldNode,
        names: tuple[str, ...],
        read: Callable[[object], int | None],
        default: int,
    ) -> "int | Size":
        """Return the length that arguments set; a function if any of them is a variable."""
        values = [each.value for each in node.arguments or () if each.name.value in names]
        if not any(isinstance(value, VariableNode) for value in values):
            return _longest(map(read, values), default)

        def size(variables: Variables) -> int:
            return _longest((read(self._value(value, variables)) for value in values), default)

        return size

    def _value(self, node: object, variables: Variables) -> object:
        if not isinstance(node, VariableNode):
            return node
        name = node.name.value
        return variables[name] if name in variables else self._defaults.get(name)


def _definition(parent: object, name: str) -> GraphQLField | None:
    if name == "__schema":
        return SchemaMetaFieldDef
    if name == "__type":
        return TypeMetaFieldDef
    if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
        found: GraphQLField | None = parent.fields.get(name)
        return found
    return None


def _is_list(kind: object) -> bool:
    return isinstance(kind.of_type if isinstance(kind, GraphQLNonNull) else kind, GraphQLList)


def _longest(found: Iterable[int | None], default: int) -> int:
    return max((each for each in found if each is not None), default=default)


def _number(value: object) -> int | None:
    if isinstance(value, IntValueNode):
        # Python refuses to parse very long numbers.
        return _bounded(int(value.value[:20]))
    if isinstance(value, float):
        # In JSON variables, 5.0 is a valid Int.
        return _bounded(int(value)) if isfinite(value) else None
    return _bounded(value) if isinstance(value, int) else None


def _bounded(number: int) -> int:
    return max(0, min(number, GRAPHQL_MAX_INT))


def _inside(value: object, name: str) -> object:
    """Return a field of an input object from the document or from a variable."""
    if isinstance(value, ObjectValueNode):
        return next((f.value for f in value.fields if f.name.value == name), None)
    return value.get(name) if isinstance(value, dict) else None


def _count(value: object) -> int | None:
    if isinstance(value, ListValueNode):
        return min(NODES, len(value.values))
    return min(NODES, len(value)) if isinstance(value, list) else None


@cache
def _introspection(schema: GraphQLSchema) -> dict[tuple[str, str], int]:
    """Return the lengths of the introspection's lists, averaged over the schema."""
    types = list(schema.type_map.values())
    fields = [each for kind in types for each in getattr(kind, "fields", {}).values()]
    arguments = sum(len(getattr(each, "args", {})) for each in fields)
    of_type = max(1, ceil(len(fields) / len(types)))
    return {
        ("__Schema", "types"): len(types),
        ("__Schema", "directives"): len(schema.directives),
        ("__Type", "fields"): of_type,
        ("__Type", "inputFields"): of_type,
        ("__Type", "interfaces"): 1,
        ("__Type", "possibleTypes"): 1,
        ("__Type", "enumValues"): 1,
        ("__Field", "args"): max(1, ceil(arguments / max(1, len(fields)))),
        ("__Directive", "args"): 2,
    }
