"""Limits the text in one response, and counts it before the response is built."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLResolveInfo,
    InlineFragmentNode,
    SelectionSetNode,
)

from resolvers.refusals import BadUserInput

MAX_TEXT: Final = 4 * 1024 * 1024
"""Characters of utterances in one response; each may take several bytes in JSON."""
TEXTS: Final = {"Utterance": "text", "UtteranceEdge": "marked", "SearchMatch": "snippet"}
"""Types that hold text of any length, and the field that holds it."""


class TextBudget:
    """Counts the text in one response."""

    def __init__(self) -> None:
        self._length = 0
        self._selected: dict[tuple[int, str], int] = {}

    def add(self, text: str | None, field: str, info: GraphQLResolveInfo[Any]) -> None:
        """Count an object's text as often as the operation selects it.

        Args:
            text: The object's text, if it has any.
            field: Name of the field that holds the text.
            info: Of the field whose value is the object.

        Raises:
            BadUserInput: when the response would hold too much text.
        """
        if text is None:
            return
        if info.parent_type.name == "MessageConflict":
            return  # Limited in `SaveSessionPayload`: the messages are already saved.
        key = id(info.field_nodes[0]), field
        if key not in self._selected:
            self._selected[key] = _count(info.field_nodes, info.fragments, field)
        self._length += len(text) * self._selected[key]
        if self._length > MAX_TEXT:
            raise BadUserInput(
                f"The response would hold more than {MAX_TEXT // 1024 // 1024} MiB of text. Ask "
                "for shorter pages in `first` or `last`."
            )


def _count(
    nodes: Sequence[FieldNode], fragments: Mapping[str, FragmentDefinitionNode], field: str
) -> int:
    return sum(_selected(node.selection_set, fragments, field) for node in nodes)


def _selected(
    selections: SelectionSetNode | None,
    fragments: Mapping[str, FragmentDefinitionNode],
    field: str,
) -> int:
    """Count how often a field is selected at this level, including fragments."""
    count = 0
    for each in selections.selections if selections else ():
        if isinstance(each, FieldNode):
            count += each.name.value == field
        elif isinstance(each, InlineFragmentNode):
            count += _selected(each.selection_set, fragments, field)
        elif isinstance(each, FragmentSpreadNode):
            count += _selected(fragments[each.name.value].selection_set, fragments, field)
    return count
