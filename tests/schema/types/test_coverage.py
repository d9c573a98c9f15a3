"""The field tests cover every field."""

from graphql import (
    FieldNode,
    GraphQLObjectType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    is_introspection_type,
    parse,
    visit,
)

from schema.executable import EXECUTABLE
from tests.schema.every_field import MUTATIONS, QUERIES, STREAMS

SCHEMA = EXECUTABLE._schema


class Selected(Visitor):
    """Collects the fields that documents select, by type."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.fields: set[str] = set()

    def enter_field(self, node: FieldNode, *_: object) -> None:
        parent = self.info.get_parent_type()
        if parent is not None:
            self.fields.add(f"{parent.name}.{node.name.value}")


def test_every_field_is_selected_by_a_test_here() -> None:
    """A new field of the schema fails here until an operation selects it."""
    info = TypeInfo(SCHEMA)
    selected = Selected(info)
    for query in [*QUERIES.values(), *MUTATIONS.values(), *STREAMS.values()]:
        visit(parse(query), TypeInfoVisitor(info, selected))
    there = {
        f"{name}.{field}"
        for name, kind in SCHEMA.type_map.items()
        if isinstance(kind, GraphQLObjectType) and not is_introspection_type(kind)
        for field in kind.fields
    }

    assert there - selected.fields == set()
