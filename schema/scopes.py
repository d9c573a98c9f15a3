"""Checks the API token scopes that fields need, however they are reached.

Fields that carry words of a conversation are defined with `words`. An operation's selection is
checked before it runs, so that a refused mutation has changed nothing. The use cases check the
scopes of root fields: they know what they are about to do.
"""

from collections.abc import Iterator
from typing import Any, Final

import strawberry
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLSchema,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    visit,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter

from resolvers.refusals import Forbidden
from resolvers.viewer import TokenScope, Viewer

_SCOPE: Final = "scope"
Needs = dict[TokenScope, str]
"""The scopes that an operation needs, each with a field that needs it."""


def words(**options: Any) -> Any:
    """Define a field that carries a conversation's words or its title."""
    return strawberry.field(metadata={_SCOPE: TokenScope.SESSIONS_READ}, **options)


def scope_of(field: GraphQLField) -> TokenScope | None:
    """Return the scope that a field of the schema itself needs, if any."""
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    metadata = getattr(definition, "metadata", {})
    scope: TokenScope | None = metadata.get(_SCOPE)
    return scope


def needs_of(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> Needs:
    """Return the scopes that a valid operation needs, including those of its fragments."""
    visitor = _ScopeVisitor(schema)
    for node in _parts(document, operation):
        visit(node, TypeInfoVisitor(visitor.types, visitor))
    return visitor.needs


def check(viewer: Viewer | None, needs: Needs) -> None:
    """Check that an API token has these scopes; root fields check that somebody is signed in.

    Raises:
        Forbidden: when a scope is missing; names it, and a field that needs it.
    """
    for scope, field in needs.items():
        if viewer is not None and scope not in viewer.scopes:
            raise Forbidden(
                f"{field} needs the scope {scope}, which this API token lacks. Leave the field "
                "out, or use a token that was made with it."
            )


class _ScopeVisitor(Visitor):
    def __init__(self, schema: GraphQLSchema) -> None:
        super().__init__()
        self.types = TypeInfo(schema)
        self.needs: Needs = {}

    def enter_field(self, node: FieldNode, *_: object) -> None:
        parent, field = self.types.get_parent_type(), self.types.get_field_def()
        scope = None if field is None else scope_of(field)
        if scope is not None and parent is not None:
            self.needs.setdefault(scope, f"{parent.name}.{node.name.value}")


def _parts(
    document: DocumentNode, operation: OperationDefinitionNode
) -> Iterator[OperationDefinitionNode | FragmentDefinitionNode]:
    """Yield the operation and the fragments that it uses, each once."""
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    waiting: list[OperationDefinitionNode | FragmentDefinitionNode] = [operation]
    seen: set[str] = set()
    while waiting:
        node = waiting.pop()
        yield node
        spreads = _Spreads()
        visit(node, spreads)
        for name in spreads.names - seen:
            seen.add(name)
            waiting.append(fragments[name])


class _Spreads(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: object) -> None:
        self.names.add(node.name.value)
