"""The schema keeps the contract with its clients and matches its printed file."""

import re
from pathlib import Path

import pytest
from graphql import (
    DefinitionNode,
    EnumTypeDefinitionNode,
    EnumValueDefinitionNode,
    FieldDefinitionNode,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    InputValueDefinitionNode,
    ObjectTypeDefinitionNode,
    TypeDefinitionNode,
    parse,
)

from schema.executable import EXECUTABLE

HERE = Path(__file__).parent
PRINTED = HERE.parent.parent / "schema" / "schema.graphql"
CONTRACT = HERE / "contract.graphql"


def types(text: str) -> dict[str, TypeDefinitionNode]:
    found: list[DefinitionNode] = list(parse(text).definitions)
    return {node.name.value: node for node in found if isinstance(node, TypeDefinitionNode)}


def members(node: TypeDefinitionNode) -> dict[str, str]:
    """Return each field (with arguments) or value of a type as text without white space.

    The text begins at the name and so omits the description: those of the contract are for
    developers, those of the schema for API users.
    """
    parts = node.values if isinstance(node, EnumTypeDefinitionNode) else getattr(node, "fields", ())
    return {part.name.value: "".join(written(part).split()) for part in parts or ()}


def written(part: FieldDefinitionNode | InputValueDefinitionNode | EnumValueDefinitionNode) -> str:
    assert part.loc is not None
    assert part.name.loc is not None
    text = part.loc.source.body[part.name.loc.start : part.loc.end]
    # Drop the arguments' descriptions too; no default is a string.
    return re.sub(r'"""(.|\n)*?"""|"[^"\n]*"|,', "", text)


def test_everything_is_described() -> None:
    """Every field, argument and input field has a description for playground users."""
    schema = EXECUTABLE._schema
    kinds = GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType
    bare = []
    for name, kind in schema.type_map.items():
        if not isinstance(kind, kinds) or name.startswith("__"):
            continue
        for field, each in kind.fields.items():
            bare += [] if each.description else [f"{name}.{field}"]
            arguments = getattr(each, "args", {})
            bare += [f"{name}.{field}({a})" for a in arguments if not arguments[a].description]

    assert bare == []


def test_no_name_is_reserved_by_relay() -> None:
    """Types named …Connection must be connections: https://relay.dev/graphql/connections.htm."""
    for name, kind in EXECUTABLE._schema.type_map.items():
        if name.endswith("Connection") and isinstance(kind, GraphQLObjectType):
            assert {"edges", "pageInfo"} <= kind.fields.keys(), name


CONTRACT_TYPES = types(CONTRACT.read_text())


def test_the_printed_schema_is_the_schema() -> None:
    """`schema/schema.graphql` makes interface changes visible in diffs."""
    assert PRINTED.read_text() == EXECUTABLE.as_str() + "\n", (
        "The schema has changed. Write it anew: python -m schema"
    )


@pytest.mark.parametrize("name", CONTRACT_TYPES)
def test_each_type_of_the_contract_is_there_word_for_word(name: str) -> None:
    """Fields, arguments, defaults and nullability match; the schema may have more."""
    promised = CONTRACT_TYPES[name]
    actual = types(PRINTED.read_text())[name]

    assert actual.kind == promised.kind
    promised_members, actual_members = members(promised), members(actual)
    assert {each: actual_members.get(each) for each in promised_members} == promised_members
    if isinstance(promised, ObjectTypeDefinitionNode):
        interfaces = {each.name.value for each in promised.interfaces or ()}
        assert isinstance(actual, ObjectTypeDefinitionNode)
        assert interfaces == {each.name.value for each in actual.interfaces or ()}


def test_the_contract_holds_every_kind_of_type() -> None:
    """The comparison above is not empty."""
    assert len(CONTRACT_TYPES) == 56


def test_every_type_is_described_for_people() -> None:
    """Every type and root field has a description in the playground."""
    described = types(PRINTED.read_text())
    assert [name for name, node in described.items() if node.description is None] == []
    roots = [described[name] for name in ("Query", "Mutation", "Subscription")]
    fields = [each for root in roots for each in getattr(root, "fields", ())]
    assert [each.name.value for each in fields if each.description is None] == []
