"""Parses documents, checks their limits and validates them; caches the valid ones."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_operation_ast,
    parse,
)
from graphql.validation import NoSchemaIntrospectionCustomRule, specified_rules
from strawberry.schema.schema import validate_document

from schema import scopes
from schema.operations import cost, limits

_SHOWN = 64
"""Characters of an operation's name that an error shows."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a valid document."""

    document: DocumentNode
    node: OperationDefinitionNode
    needs: scopes.Needs
    """The API token scopes that it needs."""
    cost: int
    """Its points with these variables; for a subscription, the points of one event."""
    charge: int
    """Points charged to the budget: its cost, plus points for each saved message."""

    @property
    def type(self) -> OperationType:
        """Whether it is a query, a mutation or a subscription."""
        return self.node.operation


class DocumentRefused(Exception):
    """The document can't be executed; `errors` says why."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class _Known:
    """A valid document, with the scopes and costs of its operations by name."""

    document: DocumentNode
    needs: dict[str | None, scopes.Needs]
    costs: dict[str | None, cost.Cost]


class Documents:
    """Caches valid documents by their text and evicts the least recently used.

    The cache is bounded by characters, not by documents: a syntax tree takes a few hundred bytes a
    character, so a hundred of the longest documents would fill the memory.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        may_introspect: bool = True,
        max_characters: int = 256 * 1024,
    ) -> None:
        self._schema = schema
        self._rules = tuple(specified_rules)
        if not may_introspect:
            self._rules += (NoSchemaIntrospectionCustomRule,)
        self._max = max_characters
        self._held = 0
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def operation(
        self, query: str, name: str | None = None, variables: Mapping[str, Any] | None = None
    ) -> Operation:
        """Return the requested operation.

        Raises:
            DocumentRefused: when the document is invalid or has no such operation, or when the
                operation costs too much.
        """
        known = self._known.get(query)
        if known is None:
            known = self._looked_at(query)
            self._remember(query, known)
        else:
            self._known.move_to_end(query)
        node = _chosen(known.document, name)
        chosen = _name_of(node)
        points = known.costs[chosen].of(variables or {})
        messages = known.costs[chosen].messages(variables or {})
        if errors := cost.too_costly(points, messages):
            raise DocumentRefused(errors)
        charge = points + messages * cost.MESSAGE
        return Operation(known.document, node, known.needs[chosen], points, charge)

    def _looked_at(self, query: str) -> _Known:
        document = self._checked(query)
        operations = [
            node for node in document.definitions if isinstance(node, OperationDefinitionNode)
        ]
        return _Known(
            document,
            {_name_of(one): scopes.needs_of(self._schema, document, one) for one in operations},
            {_name_of(one): cost.cost_of(self._schema, document, one) for one in operations},
        )

    def _checked(self, query: str) -> DocumentNode:
        try:
            document = _parsed(query)
            # Check limits before the standard rules, some of which take quadratic time.
            errors = limits.oversize(document) or validate_document(
                self._schema, document, self._rules
            )
        except GraphQLError as error:
            raise DocumentRefused([error]) from None
        except RecursionError:
            raise DocumentRefused([GraphQLError("The document is nested too deeply.")]) from None
        if any(error.message == "Validation aborted." for error in errors):
            # graphql-core aborts when it would compare fields of the same name too often.
            errors = [GraphQLError("The document selects the same fields too often.")]
        if errors:
            raise DocumentRefused(errors)
        return document

    def _remember(self, query: str, known: _Known) -> None:
        if len(query) > self._max // 8:
            return
        self._known[query] = known
        self._held += len(query)
        while self._held > self._max:
            oldest, _ = self._known.popitem(last=False)
            self._held -= len(oldest)


def _parsed(query: str) -> DocumentNode:
    if len(query) > limits.MAX_DOCUMENT:
        raise GraphQLError(
            f"The document has {len(query)} characters; at most {limits.MAX_DOCUMENT} are allowed. "
            "Put texts and lists into variables."
        )
    try:
        return parse(query, max_tokens=limits.MAX_TOKENS, allow_empty_selection_sets=False)
    except GraphQLError as error:
        if "Document contains more than" in error.message:
            raise GraphQLError(
                f"The document has more than {limits.MAX_TOKENS} tokens. Put lists into variables."
            ) from None
        raise


def _name_of(node: OperationDefinitionNode) -> str | None:
    return node.name.value if node.name is not None else None


def _chosen(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    node = get_operation_ast(document, name)
    if node is not None:
        return node
    if name is not None:
        shown = name if len(name) <= _SHOWN else name[:_SHOWN] + "…"
        message = f"The document has no operation called {shown!r}."
    elif any(isinstance(each, OperationDefinitionNode) for each in document.definitions):
        message = "The document has several operations: say which one to run in `operationName`."
    else:
        message = "The document has no operation, only fragments."
    raise DocumentRefused([GraphQLError(message)])
