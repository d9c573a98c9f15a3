"""What the agent says: word by word as the room shows it, settled by the session's history."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from ..client.bridge import new_segment
from ..protocol import Utterance

_REMEMBERED: Final = 100
"""Stretches that are known after they were settled, for a stream that closes late."""
_CLOSING: Final = timedelta(seconds=5)
"""For closing a session: a reply whose stream ended in that time may have been cut off by it."""
_SLACK: Final = timedelta(seconds=2)
"""Old versions date a reply that was cut off by its end, a moment after its last words."""


@dataclass
class _Said:
    """What the room shows under one id."""

    segment: str
    began: datetime
    text: str = ""
    done_at: datetime | None = None
    """When the room showed the last of it."""
    settled: str = ""
    """The text of the final that was reported."""
    is_cut: bool = False
    """Whether that final said that it was cut off."""
    is_over: bool = False
    """The history has said what it is; the room may be a word ahead of it, or behind."""


class AgentWords:
    """Reports what the agent says.

    The room has the words at the pace of the voice, the history has what was really said once a
    reply is over, and whether it was cut off. What the room has shown since the last reply, and not
    before this one began, are the parts of this one.
    """

    def __init__(self, utter: Callable[[Utterance], None]) -> None:
        self._utter = utter
        self._known: dict[str, _Said] = {}
        self._parts: list[_Said] = []
        self._is_stopping = False

    def stop(self) -> None:
        """What is under way now is cut off, unless the history says that it was said in full."""
        self._is_stopping = True

    def on_shown(self, segment: str, text: str) -> None:
        """Take what has been said so far in this segment; nothing yet, when it is announced."""
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
        """Take what was said in this segment as all of it."""
        said = self._known.get(segment)
        if said is not None and said.done_at is None and not said.is_over:
            said.done_at = datetime.now(UTC)
            if said.text != said.settled:
                self._report(said, said.text, final=True, interrupted=self._is_stopping)

    def on_replied(self, text: str, interrupted: bool, began: datetime, *, written: bool) -> None:
        """Take a reply that is over, and was begun then."""
        parts = self._parts_since(began - _SLACK)
        if not parts:
            # It was not shown: the room was away, or nobody was there yet.
            parts = [_Said(new_segment(), began, text, began)]
        if len(parts) == 1 and (parts[0].done_at is None or not parts[0].text.strip()):
            # The room may have missed the end of it; the history did not.
            parts[0].text = text
        for part in parts:
            cut = interrupted and part is parts[-1]
            # Of several parts the history has no text of its own.
            part.is_over = cut or len(parts) == 1
            if cut or part.is_cut or part.text != part.settled:
                self._report(part, part.text, final=True, interrupted=cut, written=written)

    def _parts_since(self, since: datetime) -> list[_Said]:
        """Take away what has been shown since then; or the first of what is only announced."""
        parts = [part for part in self._parts if part.done_at is None or part.done_at >= since]
        shown = [part for part in parts if part.text.strip()]
        # What was announced after it belongs to the next reply, and so do others than the first
        # where a room that is lost has shown nothing of any.
        self._parts = parts[parts.index(shown[-1]) + 1 :] if shown else parts[1:]
        return shown or parts[:1]

    def finish(self, *, is_cut_off: bool) -> None:
        """Settle what was shown but never became a part of the history.

        A session that closes ends the stream of a reply as if all of it had been said. Where it has
        not been heard of for sure, it does not enter it into the history either.

        Args:
            is_cut_off: Whether something else than the agent has ended the session.
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
