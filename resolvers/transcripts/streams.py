"""The stream of a transcript while it is spoken."""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Protocol

from hub.events import (
    InterimHeard,
    TranscriptCommitted,
    TranscriptEnded,
    UtteranceState,
    transcripts_topic,
)
from hub.hub import Hub
from models.database import reader
from models.repositories import sessions, utterances
from models.tables import SessionStatus
from resolvers.access import owned_session, require
from resolvers.clock import Clock
from resolvers.metrics import Metrics
from resolvers.transcripts.cursors import decode_cursor, encode_cursor
from resolvers.transcripts.edit import CARRIED_WEIGHT
from resolvers.transcripts.live import LiveTranscripts
from resolvers.transcripts.watching import Ended, Stream, StreamEnd, Watching
from resolvers.viewer import TokenScope, Viewer

PAGE: Final = 250
"""Utterances per event while catching up."""
REMEMBERED: Final = 1_024
"""Delivered utterances whose revisions a stream remembers, so that it sends nothing older."""


@dataclass(frozen=True, slots=True)
class TranscriptEvent:
    """One event of a transcript stream."""

    cursor: str
    utterances: tuple[UtteranceState, ...]
    is_caught_up: bool
    end: StreamEnd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptStreams:
    """Opens the streams of transcripts."""

    live: LiveTranscripts
    hub: Hub
    metrics: Metrics
    clock: Clock

    async def open_transcripts(
        self, viewer: Viewer | None, session_id: str, after: str | None = None
    ) -> "TranscriptStream":
        """Authorise, then return the stream: what was missed, a marker, then what is said.

        Raises:
            Refusal: The viewer may not watch this, or the cursor is wrong.
        """
        allowed = require(viewer, TokenScope.SESSIONS_READ)
        session = await owned_session(allowed, session_id, scope=TokenScope.SESSIONS_READ)
        seq = 0 if after is None else decode_cursor(after, session)
        watching = Watching(self.hub, self.metrics, self.clock, allowed)
        return TranscriptStream(watching, self.live, session.id, seq)


class _Worded(Protocol):
    @property
    def text(self) -> str: ...


def _fitting(words: Sequence[_Worded]) -> int:
    """Return how many of these fit into one event; at least one, whatever its size."""
    weight = 0
    for index, one in enumerate(words):
        weight += len(one.text)
        if weight > CARRIED_WEIGHT and index > 0:
            return index
    return len(words)


class TranscriptStream(Stream[TranscriptEvent]):
    """One reader's place in a session's transcript.

    Its last event has the cursor to resume from: everything before it was delivered.
    """

    def __init__(
        self, watching: Watching, live: LiveTranscripts, session_id: str, seq: int
    ) -> None:
        super().__init__(watching, "transcripts", transcripts_topic(session_id), session_id)
        self._live = live
        self._about = session_id
        self._seq = seq
        self._cursor = self._resumes = encode_cursor(session_id, seq)
        self._revisions: OrderedDict[str, int] = OrderedDict()
        self._is_caught_up = False
        self._fate: str | None = None
        """How the session had ended before this stream caught up."""

    def _last(self, end: StreamEnd) -> TranscriptEvent:
        return TranscriptEvent(self._resumes, (), self._is_caught_up, end)

    def _delivered(self) -> None:
        self._resumes = self._cursor

    def _event(self, utterances: tuple[UtteranceState, ...]) -> TranscriptEvent:
        return TranscriptEvent(self._cursor, utterances, self._is_caught_up)

    def _advance(self, seq: int) -> None:
        self._seq = seq
        self._cursor = encode_cursor(self._about, seq)

    async def _begin(self) -> AsyncGenerator[TranscriptEvent, None]:
        """Yield what was committed after this place, the current unfinished utterances, a marker.

        Replaying takes as long as the reader wants. If its queue overflows meanwhile, the lost
        events are in the database by then, and are read from there.
        """
        is_behind = True
        while is_behind:
            # Checked before the utterances are read, so that everything said before the end is
            # read. An end after this check is published to the subscription, which exists already.
            self._fate = await self._fate_now()
            if self._fate == "SESSION_DELETED":
                raise Ended(self._fate)
            async with aclosing(self._stored()) as batches:
                async for event in batches:
                    yield event
            is_behind = self._subscription.begin_again()
        interims = tuple(
            state for state in self._live.interims(self._about) if self._is_news(state)
        )
        while interims:
            count = _fitting(interims)
            yield self._event(interims[:count])
            interims = interims[count:]
        self._is_caught_up = True
        yield self._event(())
        if self._fate is not None:
            raise Ended(self._fate)

    def _follow(
        self, published: object
    ) -> TranscriptEvent | AsyncGenerator[TranscriptEvent, None] | None:
        if isinstance(published, InterimHeard):
            state = published.utterance
            return self._event((state,)) if self._is_news(state) else None
        if self._has_missed(published):
            return self._missed(published)
        _check_end(published)
        if not isinstance(published, TranscriptCommitted) or published.last_seq <= self._seq:
            return None
        new = [state for seq, state in published.utterances or () if seq > self._seq]
        self._advance(published.last_seq)
        states = tuple(state for state in new if self._is_news(state))
        if states:
            return self._event(states)
        self._delivered()
        return None

    def _has_missed(self, published: object) -> bool:
        """Whether to read the database first: there is a gap, or more than an event holds."""
        if isinstance(published, TranscriptEnded):
            return published.last_seq > self._seq
        return (
            isinstance(published, TranscriptCommitted)
            and published.last_seq > self._seq
            and (published.utterances is None or published.first_seq > self._seq + 1)
        )

    async def _missed(self, published: object) -> AsyncGenerator[TranscriptEvent, None]:
        async with aclosing(self._stored()) as batches:
            async for event in batches:
                yield event
        _check_end(published)

    async def _stored(self) -> AsyncGenerator[TranscriptEvent, None]:
        """Yield everything after this place from the database, page by page.

        A seq that is missing there belongs to a change that a later change of the same utterance
        replaced. So there is no gap before the seq of a page's last row.
        """
        limit = PAGE
        while True:
            rows = await utterances.committed_after(reader(), self._about, self._seq, limit)
            count = len(rows)
            del rows[_fitting(rows) :]
            is_whole = len(rows) == count
            has_more = count == limit or not is_whole
            # A reader may take its time over an event; hold no more rows meanwhile than it carries.
            limit = min(PAGE, 2 * limit) if is_whole else len(rows)
            if rows:
                self._advance(rows[-1].seq)
                states = tuple(state for row in rows if self._is_news(state := row.state()))
                rows.clear()
                if states:
                    yield self._event(states)
                else:
                    self._delivered()
            if not has_more:
                return

    def _is_news(self, state: UtteranceState) -> bool:
        """Whether this is newer than what the reader has; note that it was delivered."""
        held = self._revisions.pop(state.id, 0)
        self._revisions[state.id] = max(held, state.revision)
        if len(self._revisions) > REMEMBERED:
            self._revisions.popitem(last=False)
        return state.revision > held

    async def _fate_now(self) -> str | None:
        session = await sessions.get(reader(), self._about)
        if session is None or session.deleted_at is not None:
            return "SESSION_DELETED"
        return "SESSION_ENDED" if session.status is SessionStatus.ENDED else None


def _check_end(published: object) -> None:
    """End the stream if this event says that the session is over.

    Raises:
        Ended: The session ended or was deleted.
    """
    if isinstance(published, TranscriptEnded):
        raise Ended(published.reason)
