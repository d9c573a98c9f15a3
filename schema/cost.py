"""How many objects an operation may ask for, told from its document and its variables.

Depth alone does not bound it: a history of 100 sessions with 500 utterances each, each with its
session and that one's utterances, is four levels of lists and 25 million objects.
"""

from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

MAX_OBJECTS = 12_000
"""A history of 20 sessions with 500 utterances each fits; it takes about a second."""

_SIZES = {
    # Without `first` or `last`; a list of events' utterances has no such argument.
    "sessionHistory": 20,
    "utterances": 500,
    "apiTokens": 20,
    "conflicts": 10_000,
}
_IDS = 100
"""Ids that `nodes` takes at once."""


def may_nest(query: str) -> bool:
    """Return whether lists can be in lists here; in one list alone its own limit is enough."""
    return sum(query.count(name) for name in ("ids", *_SIZES)) > 1


def too_costly(
    document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any] | None
) -> list[GraphQLError]:
    """Return an error if a valid operation asks for more objects than are given at once."""
    cost = _Cost(document, operation, variables or {}).of(operation.selection_set)
    if cost <= MAX_OBJECTS:
        return []
    return [
        GraphQLError(
            f"The operation may give {cost} objects; at most {MAX_OBJECTS} are given at once. "
            "Ask for shorter pages in `first` or `last`, or for fewer lists in lists."
        )
    ]


class _Cost:
    """Objects that selections of one operation may give; each fragment is counted once."""

    def __init__(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
    ) -> None:
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        defaults = {
            node.variable.name.value: int(node.default_value.value)
            for node in operation.variable_definitions or ()
            if isinstance(node.default_value, IntValueNode)
        }
        self._variables = {**defaults, **variables}
        self._known: dict[str, int] = {}

    def of(self, node: SelectionSetNode | None) -> int:
        """Return how many objects this selection may give."""
        return sum(self._selection(each) for each in node.selections) if node else 0

    def _selection(self, node: object) -> int:
        if isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name not in self._known:
                self._known[name] = self.of(self._fragments[name].selection_set)
            return self._known[name]
        if isinstance(node, FieldNode):
            size = self._size(node)
            inner = self.of(node.selection_set)
            return inner if size is None else size * (1 + inner)
        return self.of(node.selection_set) if isinstance(node, InlineFragmentNode) else 0

    def _size(self, node: FieldNode) -> int | None:
        """Return how long a list may be; None for what is no list, or only the middle of one."""
        for argument in node.arguments or ():
            if argument.name.value == "ids":
                return _IDS
            if argument.name.value in ("first", "last"):
                asked = self._number(argument.value)
                if asked is not None:
                    return asked
        return _SIZES.get(node.name.value)

    def _number(self, node: object) -> int | None:
        if isinstance(node, IntValueNode):
            return max(0, int(node.value))
        value = self._variables.get(node.name.value) if isinstance(node, VariableNode) else None
        return max(0, value) if isinstance(value, int) else None
