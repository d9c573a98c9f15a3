"""Reports what the agent says: interims from the room, finals from the session's history."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from ..client.bridge import new_segment
from ..protocol import Utterance

_REMEMBERED: Final = 100
"""Segments to remember, for streams that close after they are settled."""
_CLOSING: Final = timedelta(seconds=5)
"""A stream that ended this shortly before the session closed may have been cut off by it."""
_SLACK: Final = timedelta(seconds=2)
"""Old versions of livekit-agents date an interrupted reply at its end, after its last words."""


@dataclass
class _Said:
    """One segment that the room shows."""

    segment: str
    began: datetime
    text: str = ""
    done_at: datetime | None = None
    """When the room had shown all of it."""
    settled: str = ""
    """The text of the last final reported."""
    is_cut: bool = False
    """Whether that final was reported as interrupted."""
    is_over: bool = False
    """Whether the history has settled it; the room may be a word ahead or behind."""


class AgentWords:
    """Reports what the agent says.

    The room shows the words at the pace of the voice. Once a reply is over, the history says what
    was really spoken, and whether it was interrupted. A reply consists of the segments shown since
    the previous reply, except those that ended before it began.
    """

    def __init__(self, utter: Callable[[Utterance], None]) -> None:
        self._utter = utter
        self._known: dict[str, _Said] = {}
        self._parts: list[_Said] = []
        self._is_stopping = False

    def stop(self) -> None:
        """Report segments that end from now on as interrupted, until the history says otherwise."""
        self._is_stopping = True

    def on_shown(self, segment: str, text: str) -> None:
        """Take the segment's text so far; it is empty when the segment is announced."""
        said = self._known.get(segment)
        if said is None:
            said = self._known[segment] = _Said(segment, datetime.now(UTC))
            self._parts.append(said)
            if len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
        if said.is_over or not text.strip():
            return
        said.text = text
        if not said.settled:
            self._report(said, text, final=False)

    def on_done(self, segment: str) -> None:
        """Take the segment's text so far as complete."""
        said = self._known.get(segment)
        if said is not None and said.done_at is None and not said.is_over:
            said.done_at = datetime.now(UTC)
            if said.text != said.settled:
                self._report(said, said.text, final=True, interrupted=self._is_stopping)

    def on_replied(self, text: str, interrupted: bool, began: datetime, *, written: bool) -> None:
        """Take a finished reply from the history."""
        parts = self._parts_since(began - _SLACK)
        if not parts:
            # The room showed none of it: it was disconnected, or nobody was there yet.
            parts = [_Said(new_segment(), began, text, began)]
        if len(parts) == 1 and (parts[0].done_at is None or not parts[0].text.strip()):
            # The room may have missed the end, but the history has it.
            parts[0].text = text
        for part in parts:
            cut = interrupted and part is parts[-1]
            # The history has no separate text for each of several parts.
            part.is_over = cut or len(parts) == 1
            if cut or part.is_cut or part.text != part.settled:
                self._report(part, part.text, final=True, interrupted=cut, written=written)

    def _parts_since(self, since: datetime) -> list[_Said]:
        """Remove and return the parts shown since then, or else the first announced one."""
        parts = [part for part in self._parts if part.done_at is None or part.done_at >= since]
        shown = [part for part in parts if part.text.strip()]
        # Parts announced after the last shown one belong to the next reply. If a lost room has
        # shown none, so do all but the first.
        self._parts = parts[parts.index(shown[-1]) + 1 :] if shown else parts[1:]
        return shown or parts[:1]

    def finish(self, *, is_cut_off: bool) -> None:
        """Settle segments that were shown but never entered the history.

        When a session closes, it ends a reply's stream as if the whole reply had been spoken. If it
        is not sure that the reply was heard, it does not add it to the history either.

        Args:
            is_cut_off: Whether something other than the agent ended the session.
        """
        closing = datetime.now(UTC) - _CLOSING
        for part in self._parts:
            is_cut = part.done_at is None or (is_cut_off and part.done_at >= closing)
            if not part.settled or (is_cut and not part.is_cut):
                self._report(part, part.text, final=True, interrupted=is_cut)
        self._parts.clear()

    def _report(
        self,
        said: _Said,
        text: str,
        *,
        final: bool,
        interrupted: bool = False,
        written: bool = False,
    ) -> None:
        if not text.strip():
            return
        if final:
            said.settled, said.is_cut = text, interrupted
        self._utter(
            Utterance(
                segment=said.segment,
                role="AGENT",
                text=text.strip(),
                final=final,
                started_at=said.began,
                ended_at=datetime.now(UTC) if final else None,
                interrupted=interrupted,
                source="TYPED" if written else "SPEECH",
            )
        )
