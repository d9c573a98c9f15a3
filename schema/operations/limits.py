"""Size limits of operations, checked on the document alone in linear time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

MAX_BODY = 8 * 1024 * 1024
"""Bytes of an HTTP request's body."""
MAX_FRAME = 1024 * 1024
"""Bytes of a WebSocket message."""
MAX_DOCUMENT = 128 * 1024
"""Characters of a document; parsing each blocks the event loop for a microsecond."""
MAX_TOKENS = 2_000
"""Lexical tokens of a document; a string is one. Introspection takes about 300."""
MAX_OPERATIONS = 100
"""Operations that one connection may run at once."""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a selection with its fragments expanded."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0

    def beside(self, other: "Size") -> "Size":
        """Return the combined size of two sibling selections."""
        return Size(
            max(self.depth, other.depth),
            self.fields + other.fields,
            self.aliases + other.aliases,
            self.directives + other.directives,
        )


LIMITS = Size(depth=20, fields=1_000, aliases=50, directives=50)
"""GraphiQL's introspection has a depth of 15 and 250 fields."""

_REFUSALS = {
    "depth": "The operation nests {size} levels of fields; at most {limit} are allowed.",
    "fields": "The operation selects {size} fields, counting fragments each time they are used; "
    "at most {limit} are allowed.",
    "aliases": "The operation uses {size} aliases; at most {limit} are allowed.",
    "directives": "The operation uses {size} directives; at most {limit} are allowed.",
}

_MANY = 1_000_000_000
"""Counts are capped here: nested fragments can multiply to numbers of any length."""


def oversize(document: DocumentNode, limits: Size = LIMITS) -> list[GraphQLError]:
    """Return an error for each limit that an operation or fragment of the document exceeds.

    Each fragment is measured once and its size added at every use. (Walking into it at every use
    would take time exponential in the length of the document.)
    """
    measure = _Measure(document)
    total = Size()
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            total = _larger(total, measure.definition(definition))
    return [
        GraphQLError(_REFUSALS[name].format(size=_told(size), limit=limit))
        for name in (field.name for field in fields(Size))
        if (size := getattr(total, name)) > (limit := getattr(limits, name))
    ]


class _Measure:
    """Measures the definitions of one document, each once."""

    def __init__(self, document: DocumentNode) -> None:
        self._fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._known: dict[str, Size] = {}

    def definition(self, node: OperationDefinitionNode | FragmentDefinitionNode) -> Size:
        """Return the size of a definition, including its own and its variables' directives."""
        if isinstance(node, FragmentDefinitionNode):
            return self._fragment(node.name.value)
        variables = node.variable_definitions or ()
        directives = _count(node.directives) + sum(_count(each.directives) for each in variables)
        return self._selections(node.selection_set).beside(Size(directives=directives))

    def _fragment(self, name: str) -> Size:
        if name not in self._known:
            # Also breaks a cycle, which validation refuses afterwards.
            self._known[name] = Size()
            node = self._fragments.get(name)
            if node is not None:
                own = Size(directives=_count(node.directives))
                self._known[name] = self._selections(node.selection_set).beside(own)
        return self._known[name]

    def _selections(self, node: SelectionSetNode | None) -> Size:
        depth = count = aliases = directives = 0
        for selection in node.selections if node else ():
            inner = self._inner(selection)
            is_field = isinstance(selection, FieldNode)
            depth = max(depth, inner.depth + is_field)
            count += inner.fields + is_field
            aliases += inner.aliases
            directives += inner.directives + _count(selection.directives)
            if isinstance(selection, FieldNode) and selection.alias is not None:
                aliases += 1
        return Size(depth, min(count, _MANY), min(aliases, _MANY), min(directives, _MANY))

    def _inner(self, selection: object) -> Size:
        if isinstance(selection, FragmentSpreadNode):
            return self._fragment(selection.name.value)
        if isinstance(selection, FieldNode | InlineFragmentNode):
            return self._selections(selection.selection_set)
        return Size()


def _count(nodes: Iterable[object] | None) -> int:
    return sum(1 for _ in nodes or ())


def _larger(one: Size, other: Size) -> Size:
    largest: Callable[[str], int] = lambda name: max(getattr(one, name), getattr(other, name))  # noqa: E731
    return Size(*(largest(field.name) for field in fields(Size)))


def _told(size: int) -> str:
    return "very many" if size >= _MANY else str(size)
