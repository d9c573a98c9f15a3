"""How much text one answer may hold: counted before it is built."""

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
"""Characters of utterances in one answer; JSON may make several bytes of each."""


class Weight:
    """The text of one answer so far."""

    def __init__(self) -> None:
        self._taken = 0
        self._texts: dict[int, int] = {}

    def take(self, text: str, info: GraphQLResolveInfo[Any]) -> None:
        """Count an utterance as often as the operation selects its text.

        Args:
            text: of the utterance.
            info: of the field that the utterance is the value of.

        Raises:
            BadUserInput: the answer would hold too much.
        """
        key = id(info.field_nodes[0])
        if key not in self._texts:
            self._texts[key] = _texts(info.field_nodes, info.fragments)
        self._taken += len(text) * self._texts[key]
        if self._taken > MAX_TEXT:
            raise BadUserInput(
                f"The answer would hold more than {MAX_TEXT // 1024 // 1024} MiB of text. Ask for "
                "shorter pages in `first` or `last`."
            )


def _texts(nodes: Sequence[FieldNode], fragments: Mapping[str, FragmentDefinitionNode]) -> int:
    return sum(_selected(node.selection_set, fragments) for node in nodes)


def _selected(
    selections: SelectionSetNode | None, fragments: Mapping[str, FragmentDefinitionNode]
) -> int:
    """Count how often a text is selected here; what is deeper is counted where it is told."""
    count = 0
    for each in selections.selections if selections else ():
        if isinstance(each, FieldNode):
            count += each.name.value == "text"
        elif isinstance(each, InlineFragmentNode):
            count += _selected(each.selection_set, fragments)
        elif isinstance(each, FragmentSpreadNode):
            count += _selected(fragments[each.name.value].selection_set, fragments)
    return count
