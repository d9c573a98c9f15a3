"""Compares what this process watches with the database, in case an event was lost on its way here.

Only events of other processes can be lost. A reader gets from the database what it has missed, the
last event of a session included (docs/decisions/0026-several-processes.md).
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from hub.events import (
    AGENT_PREFIX,
    SESSION_PREFIX,
    TRANSCRIPTS_PREFIX,
    USER_PREFIX,
    AgentCommanded,
    Event,
    Fence,
    Gone,
    Input,
    SessionChanged,
    SessionDeleted,
    Stop,
    TranscriptCommitted,
    TranscriptEnded,
    agent_topic,
    session_topic,
    transcripts_topic,
    user_topic,
)
from hub.shared import SharedHub
from models.database import NotAvailable, NotStored, reader
from models.repositories import sessions, utterances
from models.repositories.sessions import Standing
from models.tables import SessionStatus
from resolvers.config import Config
from resolvers.metrics import Metrics
from resolvers.sessions import lifecycle
from resolvers.sessions.connections import Connections
from resolvers.transcripts.live import LiveTranscripts
from resolvers.transcripts.transaction import Transaction
from resolvers.transcripts.transactions import Transactions

log = structlog.get_logger(__name__)

EVERY_S: Final = 5.0
"""Seconds between two comparisons of everything that is watched."""
TOGETHER_S: Final = 0.02
"""Seconds in which topics are collected that are compared before that."""
ELSEWHERE: Final = "in another process"
"""Stands for the connection of an agent that has come back to another process."""


@dataclass(slots=True, kw_only=True)
class LostEvents:
    """Finds what the readers of this process have missed; belongs to one event loop."""

    hub: SharedHub
    live: LiveTranscripts
    connections: Connections
    transactions: Transactions
    config: Config
    metrics: Metrics
    _fresh: set[str] = field(init=False, default_factory=set)
    """Topics to compare soon: their events have only just begun to arrive."""
    _is_due: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _moved: set[str] = field(init=False, default_factory=set)
    """Sessions whose agent is still connected here, but has come back to another process."""
    _unnoted: set[str] = field(init=False, default_factory=set)
    """Sessions whose agent is connected here, though their rows say that there is none."""
    _running: dict[str, tuple[str, int]] = field(init=False, default_factory=dict)
    """Owner and version of the running sessions of all watched users, at the last comparison."""

    def __post_init__(self) -> None:
        """Compare a topic as soon as its events begin to arrive."""
        self.hub.on_fresh = self.look_soon

    @property
    def every_s(self) -> float:
        """Seconds between two comparisons, well before people count as absent."""
        return min(EVERY_S, self.config.abandon_after.total_seconds() / 4)

    def look_soon(self, topic: str) -> None:
        """Compare this topic before the next comparison of everything."""
        self._fresh.add(topic)
        self._is_due.set()

    async def run(self) -> None:
        """Compare repeatedly, while the server lives."""
        loop = asyncio.get_running_loop()
        whole_at = loop.time() + self.every_s
        while True:
            topics: set[str] | None = None
            try:
                async with asyncio.timeout_at(whole_at):
                    await self._is_due.wait()
                    await asyncio.sleep(TOGETHER_S)
                topics = self._fresh
            except TimeoutError:
                whole_at = loop.time() + self.every_s
            self._is_due.clear()
            self._fresh = set()
            try:
                await self.look(topics)
            except (NotAvailable, NotStored):
                pass  # already logged
            except Exception:  # a task boundary: one fault must not end the comparisons
                log.exception("lost_events_not_looked_for")

    async def look(self, topics: Iterable[str] | None = None) -> None:
        """Compare these topics with the database, by default all that are watched here."""
        is_whole = topics is None
        topics = set(self.hub.watched("") if topics is None else topics)
        ids = {
            id_
            for prefix in (TRANSCRIPTS_PREFIX, SESSION_PREFIX, AGENT_PREFIX)
            for id_ in _named(topics, prefix)
        }
        known = {*self.live.known(), *self.connections.known()} if is_whole else set[str]()
        found = await sessions.standings(reader(), list(ids | known))
        for id_ in _named(topics, TRANSCRIPTS_PREFIX):
            self._compare_transcript(id_, found.get(id_))
        await self._compare_sessions(_named(topics, SESSION_PREFIX), found)
        await self._compare_users(_named(topics, USER_PREFIX))
        await self._command_agents(_named(topics, AGENT_PREFIX), found)
        if is_whole:
            self._fence_moved(_named(topics, AGENT_PREFIX), found)
            await self._note_agents(_named(topics, AGENT_PREFIX), found)
        for one in found.values():
            await self._keep_person(one)
        self._forget(known, found)

    def _forget(self, known: Iterable[str], found: Mapping[str, Standing]) -> None:
        """Drop what is known of sessions that have ended in another process."""
        for id_ in known:
            one = found.get(id_)
            if one is None or one.deleted_at is not None:
                self.live.drop(id_)
                self.connections.forget(id_)
            elif one.status == SessionStatus.ENDED:
                self.live.forget(id_)
                self.connections.forget(id_)

    # ------------------------------------------------------------------ streams

    def _compare_transcript(self, session_id: str, found: Standing | None) -> None:
        topic = transcripts_topic(session_id)
        if found is None or found.deleted_at is not None:
            self.hub.publish_here(topic, TranscriptEnded(session_id, "SESSION_DELETED"))
            return
        if found.last_seq > self.hub.progress(topic):
            self._count(topic)
            self.hub.publish_here(topic, TranscriptCommitted(session_id, 1, found.last_seq, None))
        if found.status == SessionStatus.ENDED:
            self.hub.publish_here(topic, TranscriptEnded(session_id, "SESSION_ENDED"))

    async def _compare_sessions(
        self, session_ids: Iterable[str], found: Mapping[str, Standing]
    ) -> None:
        changed = set()
        for id_ in session_ids:
            topic, one = session_topic(id_), found.get(id_)
            if one is None or one.deleted_at is not None:
                self.hub.publish_here(topic, SessionDeleted(id_, one.user_id if one else ""))
            elif one.version > self.hub.progress(topic):
                self._count(topic)
                changed.add(id_)
        for session in await sessions.with_ids(reader(), changed):
            event = SessionChanged(session.id, session.user_id, session.state())
            self.hub.publish_here(session_topic(session.id), event)

    def _count(self, topic: str) -> None:
        # A topic without progress has just been subscribed to, and has missed nothing.
        self.metrics.caught_up += self.hub.progress(topic) > 0

    async def _compare_users(self, user_ids: Iterable[str]) -> None:
        """Tell those who watch all of a user's sessions of changes to those that run, or did."""
        user_ids = set(user_ids)
        if not user_ids:
            return
        watched = _named(self.hub.watched(USER_PREFIX), USER_PREFIX)
        before = {id_: one for id_, one in self._running.items() if one[0] in user_ids}
        now = await sessions.running_versions(reader(), list(user_ids))
        others = {id_: one for id_, one in self._running.items() if one[0] in watched - user_ids}
        self._running = {**others, **now}
        ids = {id_ for id_ in before.keys() | now.keys() if before.get(id_) != now.get(id_)}
        left = {session.id: session for session in await sessions.with_ids(reader(), ids)}
        for id_ in ids:
            owner, session = (now.get(id_) or before[id_])[0], left.get(id_)
            if session is not None and session.user_id == owner:
                event: Event = SessionChanged(id_, owner, session.state())
            else:
                event = SessionDeleted(id_, owner)
            self.hub.publish_here(user_topic(owner), event)

    # ------------------------------------------------------------------ agents

    async def _command_agents(
        self, session_ids: Iterable[str], found: Mapping[str, Standing]
    ) -> None:
        """Repeat the commands that an agent may have missed; it ignores what it knows."""
        here = set(session_ids)
        for id_ in here:
            one = found.get(id_)
            if one is None or one.deleted_at is not None:
                self._command(id_, Gone())
                continue
            self._command(id_, Fence(one.attempt))
            if one.end_reason is not None:
                self._command(id_, Stop(one.end_reason))
        before = self.transactions.clock() - timedelta(seconds=self.every_s)
        for line in await utterances.unacknowledged_of_many(reader(), here, before):
            self._command(line.session_id, Input(line.key, line.text))

    def _fence_moved(self, session_ids: Iterable[str], found: Mapping[str, Standing]) -> None:
        """End the connections of agents that have come back to another process.

        Two comparisons have to find so: one may just have come back to this process.
        """
        moved = {
            id_
            for id_ in session_ids
            if (one := found.get(id_)) is not None and self.connections.is_elsewhere(one.agent_at)
        }
        for id_ in moved & self._moved:
            self._command(id_, Fence(found[id_].attempt, ELSEWHERE))
        self._moved = moved

    async def _note_agents(self, session_ids: Iterable[str], found: Mapping[str, Standing]) -> None:
        """Note agents that are connected here in their sessions' rows.

        Another process took the sessions over while this one was cut off from the database. Two
        comparisons have to find so: an agent may just be coming or leaving.
        """
        unnoted = set()
        for id_ in session_ids:
            one = found.get(id_)
            if one is None or one.deleted_at is not None:
                continue
            self.connections.belongs_to(id_, one.user_id)
            if one.agent_at is None and self.connections.has_agent(id_):
                unnoted.add(id_)
        for id_ in unnoted & self._unnoted:
            await self.transactions.run(partial(self._note_agent, id_))
        self._unnoted = unnoted

    async def _note_agent(self, session_id: str, transaction: Transaction) -> None:
        edit = await transaction.edit(session_id)
        if edit is not None and self.connections.is_here_only(edit.session):
            if edit.session.status is not SessionStatus.ENDED:
                await edit.recommit_unfinished()
            self.connections.note_here(edit.session, transaction.now, self.config)
            lifecycle.agent_back(edit.session)

    def _command(self, session_id: str, command: Fence | Stop | Input | Gone) -> None:
        self.hub.publish_here(agent_topic(session_id), AgentCommanded(session_id, command))

    # ------------------------------------------------------------------ people

    async def _keep_person(self, one: Standing) -> None:
        """Postpone the end for a person who reads along, or whose words arrive, in this process.

        Otherwise, another process that knows of neither would end the conversation.
        """
        if one.person_back_by is None:
            return
        now, after = self.transactions.clock(), self.config.abandon_after
        heard = self.connections.heard_at(one.id)
        # A person who is in the room, or reads along, is there.
        is_reading = self.connections.has_person(one.id) or bool(
            self.hub.watched(transcripts_topic(one.id))
        )
        if is_reading or (heard is not None and heard + after > now):
            until = now + after if is_reading or heard is None else heard + after
            if until > one.person_back_by + after / 4:
                await self.transactions.run(partial(self._postpone, one.id, until=until))

    async def _postpone(
        self, session_id: str, transaction: Transaction, *, until: datetime
    ) -> None:
        edit = await transaction.edit(session_id)
        if edit is not None and edit.session.person_back_by is not None:
            edit.session.person_back_by = max(edit.session.person_back_by, until)


def _named(topics: Iterable[str], prefix: str) -> set[str]:
    return {topic.removeprefix(prefix) for topic in topics if topic.startswith(prefix)}
