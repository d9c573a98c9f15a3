"""Holds what the server has not settled yet, and chooses what to send next."""

from collections import OrderedDict
from typing import Final

from msgspec.structs import replace

from ..protocol import Utterance

MOST_INTERIMS: Final = 256
"""Segments whose newest interim is kept; an older one without a final counts as abandoned."""
MOST_SEGMENTS: Final = 10_000
"""Segments whose last revision is remembered, so that a final latches."""


class Outbox:
    """Keeps every final until it is settled, and only the newest interim of each segment."""

    def __init__(self) -> None:
        self._finals: dict[str, Utterance] = {}
        self._interims: OrderedDict[str, Utterance] = OrderedDict()
        # Segments in the order in which to send them; the values mean nothing.
        self._due: dict[str, None] = {}
        self._order: dict[str, None] = {}
        self._last: OrderedDict[str, tuple[int, bool]] = OrderedDict()

    @property
    def finals(self) -> int:
        """How many finals are not settled."""
        return len(self._finals)

    def put(self, utterance: Utterance) -> bool:
        """Take an utterance; return False for an outdated one, or an interim after its final.

        Raises:
            ValueError: A final's revision is not above the earlier ones.
        """
        segment = utterance.segment
        revision, is_final = self._last.get(segment, (0, False))
        if utterance.revision == 0:
            utterance = replace(utterance, revision=revision + 1)
        if is_final and not utterance.final:
            return False
        if utterance.revision <= revision:
            if utterance.final:
                raise ValueError(f"a final must have a revision above {revision} here")
            return False
        self._remember(segment, utterance)
        self._order.setdefault(segment)
        if utterance.final:
            self._interims.pop(segment, None)
            self._finals[segment] = utterance
        else:
            self._interims[segment] = utterance
            self._interims.move_to_end(segment)
            if len(self._interims) > MOST_INTERIMS:
                self._forget(next(iter(self._interims)))
        self._due.setdefault(segment)
        return True

    def take(self) -> Utterance | None:
        """Return the newest utterance of the next segment to send, if there is one."""
        while self._due:
            segment = next(iter(self._due))
            del self._due[segment]
            if held := self._held(segment):
                return held
        return None

    def resend(self) -> None:
        """Make everything unsettled due, in the order in which the segments began."""
        self._due = dict.fromkeys(self._order)

    def again(self, segment: str) -> None:
        """Make one segment due again, unless it is settled."""
        if self._held(segment):
            self._due.setdefault(segment)

    def settle(self, segment: str, revision: int) -> Utterance | None:
        """Forget and return what an answer settles; None if the answer is outdated or unknown.

        Only an answer to itself settles a final; an answer to a later revision settles an interim.
        """
        held = self._held(segment)
        if held is None or revision < held.revision or (held.final and revision != held.revision):
            return None
        self._forget(segment)
        return held

    def drop(self) -> list[Utterance]:
        """Forget everything; return the unsettled finals."""
        left = list(self._finals.values())
        for held in (self._finals, self._interims, self._due, self._order):
            held.clear()
        return left

    def _held(self, segment: str) -> Utterance | None:
        return self._finals.get(segment) or self._interims.get(segment)

    def _forget(self, segment: str) -> None:
        self._finals.pop(segment, None)
        self._interims.pop(segment, None)
        self._order.pop(segment, None)
        self._due.pop(segment, None)

    def _remember(self, segment: str, utterance: Utterance) -> None:
        self._last[segment] = (utterance.revision, utterance.final)
        self._last.move_to_end(segment)
        if len(self._last) > MOST_SEGMENTS:
            self._last.popitem(last=False)
