"""The stream of a transcript while it is spoken, and what every stream ends by.

A stream subscribes to the hub before it reads the database, so nothing is missed in between.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, Protocol

from hub.events import (
    SERVER_TOPIC,
    AccessRevoked,
    InterimHeard,
    OwnershipLost,
    ServerStopping,
    TranscriptCommitted,
    TranscriptEnded,
    UtteranceState,
    access_topic,
    ownership_topic,
    transcripts_topic,
)
from hub.hub import Hub
from hub.subscription import HubSubscription, ReaderTooSlow
from models.database import reader
from models.repositories import accounts, api_tokens, sessions, utterances
from models.repositories.ownership import moved_among
from models.tables import SessionStatus
from resolvers.access import owned_session, require
from resolvers.clock import Clock
from resolvers.metrics import Metrics
from resolvers.transcripts.cursors import decode_cursor, encode_cursor
from resolvers.transcripts.edit import CARRIED_WEIGHT
from resolvers.transcripts.live import LiveTranscripts
from resolvers.viewer import TokenScope, Viewer

PAGE: Final = 250
"""Utterances per event while catching up."""
REMEMBERED: Final = 1_024
"""Delivered utterances whose revisions a stream remembers, so that it sends nothing older."""


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Why a stream ends, and whether it makes sense to resume with the newest cursor."""

    reason: str
    may_resume: bool


TOO_SLOW: Final = StreamEnd("READER_TOO_SLOW", may_resume=True)


@dataclass(frozen=True, slots=True)
class TranscriptEvent:
    """One event of a transcript stream."""

    cursor: str
    utterances: tuple[UtteranceState, ...]
    is_caught_up: bool
    end: StreamEnd | None = None


class Ended(Exception):
    """The stream is over, for this reason."""

    def __init__(self, reason: str) -> None:
        self.end = StreamEnd(reason, may_resume=reason == "SERVER_SHUTDOWN")


async def events_of(
    clock: Clock, viewer: Viewer, subscription: HubSubscription
) -> AsyncIterator[object]:
    """Yield the hub's events.

    Raises:
        Ended: The viewer's access or the server ended.
        ReaderTooSlow: The reader's queue overflowed.
    """
    expires_at = viewer.expires_at
    while True:
        if expires_at is None:
            event = await subscription.get()
        else:
            _check_expiry(clock, viewer)
            left = (expires_at - clock()).total_seconds()
            try:
                async with asyncio.timeout(max(0.0, left)):
                    event = await subscription.get()
            except TimeoutError:
                raise Ended("ACCESS_REVOKED") from None
        if getattr(event, "is_urgent", False):
            _check_urgent(event)
        yield event


def _check_urgent(event: object) -> None:
    if isinstance(event, AccessRevoked | OwnershipLost):
        raise Ended("ACCESS_REVOKED")
    if isinstance(event, ServerStopping):
        raise Ended("SERVER_SHUTDOWN")
    if isinstance(event, TranscriptEnded) and event.is_urgent:
        raise Ended(event.reason)


def _check_expiry(clock: Clock, viewer: Viewer) -> None:
    if viewer.expires_at is not None and viewer.expires_at <= clock():
        raise Ended("ACCESS_REVOKED")


def _check_still(clock: Clock, viewer: Viewer, subscription: HubSubscription) -> None:
    """Check access between replay pages; a replay can take minutes."""
    _check_urgent(subscription.urgent)
    _check_expiry(clock, viewer)


async def check_access(viewer: Viewer, session_id: str | None) -> None:
    """End the stream of a viewer who lost access before the stream subscribed.

    Raises:
        Ended: The viewer lost access.
    """
    if viewer.login_id is not None:
        is_good = await accounts.login(reader(), viewer.login_id) is not None
    else:
        is_good = await api_tokens.get(reader(), viewer.access_id) is not None
    if not is_good or (session_id and await moved_among([(session_id, viewer.user_id)])):
        raise Ended("ACCESS_REVOKED")


def noted(metrics: Metrics, end: StreamEnd) -> StreamEnd:
    """Count the end of a stream."""
    metrics.streams_ended[end.reason] += 1
    return end


def ends_of(viewer: Viewer, session_id: str | None) -> list[str]:
    """Return the topics that tell a stream to end."""
    topics = [access_topic(viewer.access_id), SERVER_TOPIC]
    if session_id is not None:
        topics.append(ownership_topic(session_id, viewer.user_id))
    return topics


# ---------------------------------------------------------------------- transcripts


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptStreams:
    """Opens the streams of transcripts."""

    live: LiveTranscripts
    hub: Hub
    metrics: Metrics
    clock: Clock

    async def open_transcripts(
        self, viewer: Viewer | None, session_id: str, after: str | None = None
    ) -> AsyncGenerator[TranscriptEvent, None]:
        """Authorise, then return the stream: what was missed, a marker, then what is said.

        A transport that can't deliver an event throws `ReaderTooSlow` into the stream. The stream
        then yields its last event, with the cursor to resume from.

        Raises:
            Refusal: Before the first event only.
        """
        allowed = require(viewer, TokenScope.SESSIONS_READ)
        session = await owned_session(allowed, session_id, scope=TokenScope.SESSIONS_READ)
        seq = 0 if after is None else decode_cursor(after, session)
        return self._transcripts(allowed, session.id, seq)

    async def _transcripts(
        self, viewer: Viewer, session_id: str, seq: int
    ) -> AsyncGenerator[TranscriptEvent, None]:
        stream = _Transcript(self.live, session_id, seq)
        topics = (transcripts_topic(session_id), *ends_of(viewer, session_id))
        metrics = self.metrics
        with metrics.watching("transcripts"), self.hub.subscribe(*topics) as subscription:
            try:
                await check_access(viewer, session_id)
                async with aclosing(stream.replay(subscription)) as replay:
                    async for event in replay:
                        yield event
                        stream.note_delivered()
                        _check_still(self.clock, viewer, subscription)
                yield stream.marker()
                stream.check_alive()
                async for published in events_of(self.clock, viewer, subscription):
                    if stream.has_missed(published):
                        async with aclosing(stream.stored()) as batches:
                            async for event in batches:
                                yield event
                                stream.note_delivered()
                                _check_still(self.clock, viewer, subscription)
                        stream.check_over(published)
                    elif (live := stream.follow(published)) is not None:
                        yield live
                        # The next event was requested, so the transport has this one.
                        stream.note_delivered()
                        heard_at = getattr(published, "heard_at", None)
                        if heard_at is not None:
                            metrics.delivered.add(time.perf_counter() - heard_at)
            except Ended as ended:
                yield replace(stream.marker(), end=noted(metrics, ended.end))
            except ReaderTooSlow:
                yield replace(stream.resumable(), end=noted(metrics, TOO_SLOW))


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


class _Transcript:
    """One reader's place in a session's transcript."""

    def __init__(self, live: LiveTranscripts, session_id: str, seq: int) -> None:
        self._live = live
        self._session_id = session_id
        self._seq = seq
        self._cursor = self._delivered = encode_cursor(session_id, seq)
        self._revisions: OrderedDict[str, int] = OrderedDict()
        self._is_caught_up = False
        self._fate: str | None = None
        """How the session had ended before this stream caught up."""

    def marker(self) -> TranscriptEvent:
        """Return an event without utterances, which tells where this stream is."""
        return self._event(())

    def note_delivered(self) -> None:
        """Note that everything up to this place was handed to the transport."""
        self._delivered = self._cursor

    def resumable(self) -> TranscriptEvent:
        """Return a marker whose cursor comes before everything undelivered."""
        return replace(self.marker(), cursor=self._delivered)

    def _event(self, utterances: tuple[UtteranceState, ...]) -> TranscriptEvent:
        return TranscriptEvent(self._cursor, utterances, self._is_caught_up)

    def _advance(self, seq: int) -> None:
        self._seq = seq
        self._cursor = encode_cursor(self._session_id, seq)

    async def replay(self, subscription: HubSubscription) -> AsyncGenerator[TranscriptEvent, None]:
        """Yield what was committed after this place, then the current unfinished utterances.

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
            async with aclosing(self.stored()) as batches:
                async for event in batches:
                    yield event
            is_behind = subscription.begin_again()
        interims = tuple(
            state for state in self._live.interims(self._session_id) if self._is_news(state)
        )
        while interims:
            count = _fitting(interims)
            yield self._event(interims[:count])
            interims = interims[count:]
        self._is_caught_up = True

    async def stored(self) -> AsyncGenerator[TranscriptEvent, None]:
        """Yield everything after this place from the database, page by page.

        A seq that is missing there belongs to a change that a later change of the same utterance
        replaced. So there is no gap before the seq of a page's last row.
        """
        limit = PAGE
        while True:
            rows = await utterances.committed_after(reader(), self._session_id, self._seq, limit)
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
            if not has_more:
                return

    def _is_news(self, state: UtteranceState) -> bool:
        """Whether this is newer than what the reader has; note that it was delivered."""
        held = self._revisions.pop(state.id, 0)
        self._revisions[state.id] = max(held, state.revision)
        if len(self._revisions) > REMEMBERED:
            self._revisions.popitem(last=False)
        return state.revision > held

    def has_missed(self, published: object) -> bool:
        """Whether to read the database first: there is a gap, or more than an event holds."""
        if isinstance(published, TranscriptEnded):
            return published.last_seq > self._seq
        return (
            isinstance(published, TranscriptCommitted)
            and published.last_seq > self._seq
            and (published.utterances is None or published.first_seq > self._seq + 1)
        )

    def follow(self, published: object) -> TranscriptEvent | None:
        """Return the reader's event for a published one, or None.

        Raises:
            Ended: The session ended or was deleted.
        """
        if isinstance(published, InterimHeard):
            state = published.utterance
            return self._event((state,)) if self._is_news(state) else None
        self.check_over(published)
        if not isinstance(published, TranscriptCommitted) or published.last_seq <= self._seq:
            return None
        new = [state for seq, state in published.utterances or () if seq > self._seq]
        self._advance(published.last_seq)
        return self._event(tuple(state for state in new if self._is_news(state)))

    def check_over(self, published: object) -> None:
        """End the stream if this event says that the session is over.

        Raises:
            Ended: The session ended or was deleted.
        """
        if isinstance(published, TranscriptEnded):
            raise Ended(published.reason)

    def check_alive(self) -> None:
        """End the stream if the session had ended before the replay did.

        Raises:
            Ended: The session had ended.
        """
        if self._fate is not None:
            raise Ended(self._fate)

    async def _fate_now(self) -> str | None:
        session = await sessions.get(reader(), self._session_id)
        if session is None or session.deleted_at is not None:
            return "SESSION_DELETED"
        return "SESSION_ENDED" if session.status is SessionStatus.ENDED else None
