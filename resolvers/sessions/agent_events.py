"""What happens in a running conversation: agents come, speak and leave."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import structlog

from agent_bridge.protocol import Ack, Nack, State
from agent_bridge.protocol import Utterance as Heard
from agent_bridge.server.handler import Binding, Input, NotNow, SessionGone, Welcome
from agent_bridge.server.workers import StartRequest
from models import EndReason, Role, Session, SessionStatus, Utterance, UtteranceSource
from models.database import NotStored
from resolvers.backend import Backend
from resolvers.events import SessionChanged, session_topic, user_topic
from resolvers.sessions import lifecycle
from resolvers.sessions.connections import AgentConnection, Connections
from resolvers.sessions.dispatch import fail_attempt
from resolvers.transcripts.commit_queue import Fault
from resolvers.transcripts.merge import UtteranceChange
from resolvers.transcripts.transaction import Transaction

log = structlog.get_logger(__name__)

RESTARTS = frozenset({"DRAINING", "RESTARTING"})
"""Reasons of a `bye` after which another agent takes the conversation over."""


class AgentEvents:
    """The bridge's handler: see `agent_bridge.server.handler.BridgeHandler`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._tasks: set[asyncio.Task[object]] = set()

    async def hello(
        self, binding: Binding, connection: str, capabilities: frozenset[str]
    ) -> Welcome:
        """Take in an agent's connection; hand over what it has missed."""
        backend = self._backend
        connections = backend.connections
        agent = AgentConnection(connection, binding.attempt)

        async def work(transaction: Transaction) -> tuple[Session, tuple[Input, ...]]:
            edit = await transaction.edit(binding.session)
            if edit is None or binding.attempt > edit.session.attempt:
                raise SessionGone
            agent.user_id = edit.session.user_id
            connections.attempts[binding.session] = edit.session.attempt
            if binding.attempt < edit.session.attempt:
                return edit.session, ()
            lifecycle.agent_back(edit.session)
            # What ended is written already; nobody is told of another revision of it.
            is_over = edit.session.status is SessionStatus.ENDED
            if not is_over and not backend.writer.remembers(binding.session):
                await edit.recommit_unfinished()
            return edit.session, await _unacknowledged(binding, connections, transaction)

        # Before the transaction: the connection that this one replaces ends meanwhile, and must not
        # leave the conversation without its agent.
        connections.come(binding.session, agent)
        connections.connected(binding.session, binding.attempt, connection)
        try:
            session, inputs = await backend.writer.transaction(work)
        except BaseException as error:
            self._withdraw(binding.session, agent)
            connections.lost(binding.session, binding.attempt, connection, backend.clock())
            # The connection that it replaced saw it there, so nobody may have noted an absence.
            connections.unnoted.add(binding.session)
            if isinstance(error, NotStored):
                raise NotNow from error
            raise
        is_current = binding.attempt == session.attempt
        if not is_current:
            self._withdraw(binding.session, agent)
            self._forget_if_over(binding.session, session)
        reason = session.end_reason
        return Welcome(is_current, reason.value if reason else None, inputs)

    async def ready(self, binding: Binding, connection: str) -> None:
        """The agent can hear and answer: the session is ACTIVE."""
        backend = self._backend

        async def work(transaction: Transaction) -> None:
            edit = await transaction.edit(binding.session)
            if edit is not None and edit.session.attempt == binding.attempt:
                lifecycle.begin(
                    edit.session,
                    transaction.now,
                    backend.config,
                    person_is_here=binding.session in backend.connections.people,
                )

        try:
            await backend.writer.transaction(work)
        except NotStored as error:
            raise NotNow from error

    def utterance(
        self,
        binding: Binding,
        connection: str,
        utterance: Heard,
        reply: Callable[[Ack | Nack], None],
    ) -> None:
        """Hand what was said to the transcript writer, without waiting."""
        connections = self._backend.connections
        segment, revision = utterance.segment, utterance.revision
        is_outdated = connections.attempts.get(binding.session, 0) > binding.attempt
        if is_outdated and not utterance.final:
            reply(Nack(segment, revision, "FENCED", "A newer attempt has taken over.", True))
            return
        # Of a conversation that is over nothing is remembered: late words bring nobody back.
        if utterance.role == "USER" and binding.session in connections.attempts:
            connections.heard[binding.session] = self._backend.clock()

        def answer(fault: Fault | None) -> None:
            if fault is None:
                reply(Ack(segment, revision))
            else:
                reply(Nack(segment, revision, fault.code, fault.message, fault.terminal))

        self._backend.writer.report(binding.session, _change(utterance, binding.attempt), answer)

    def agent_state(self, binding: Binding, connection: str, state: State) -> None:
        """Show what the agent is doing."""
        connections = self._backend.connections
        if not connections.is_current(binding.session, binding.attempt, connection):
            return
        agent = connections.agents[binding.session]
        if agent.state == state:
            return
        agent.state = state
        self._show_state(binding.session, agent)

    async def input_ack(self, binding: Binding, key: str) -> None:
        """The agent has taken care of a typed line: it is not handed over again."""

        async def work(transaction: Transaction) -> None:
            await (
                Utterance.filter(session_id=binding.session, key=key, source=UtteranceSource.TYPED)
                .using_db(transaction.conn)
                .update(awaits_agent=False)
            )

        # If it isn't stored, the line is handed over once more, which an agent has to bear anyway.
        with suppress(NotStored):
            await self._backend.writer.transaction(work)

    async def bye(self, binding: Binding, connection: str, reason: str) -> None:
        """The agent left, all it had is stored."""
        self._backend.connections.said_bye(binding.session, binding.attempt, connection)
        restarts = reason in RESTARTS
        await self._left(binding, connection, self._after_loss if restarts else self._after_bye)

    async def disconnected(self, binding: Binding, connection: str) -> None:
        """The connection broke; the agent, or another, may come back."""
        now = self._backend.clock()
        self._backend.connections.lost(binding.session, binding.attempt, connection, now)
        await self._left(binding, connection, self._after_loss)

    async def _left(
        self,
        binding: Binding,
        connection: str,
        change: Callable[[Session, Transaction], None],
    ) -> None:
        backend = self._backend
        connections = backend.connections
        was_current = connections.is_current(binding.session, binding.attempt, connection)
        if was_current:
            agent = connections.agents.pop(binding.session)
            self._show_state(binding.session, agent)

        async def work(transaction: Transaction) -> Session | None:
            edit = await transaction.edit(binding.session)
            if edit is None:
                return None
            session = edit.session
            # Looked at under the lock: another connection may have come since, and may have been
            # taken in by a transaction before this one.
            is_replaced = binding.session in connections.agents
            if was_current and session.attempt == binding.attempt and not is_replaced:
                change(session, transaction)
            if not backend.may_write(session.id, transaction.now):
                lifecycle.finish(session)
            return session

        try:
            await backend.writer.transaction(work, partial(self._forget_if_over, binding.session))
        except NotStored:
            if was_current:
                connections.unnoted.add(binding.session)

    def _forget_if_over(self, session_id: str, session: Session | None) -> None:
        if session is None or session.status is SessionStatus.ENDED:
            self._backend.writer.forget(session_id)
            self._backend.connections.forget(session_id)

    def _withdraw(self, session_id: str, agent: AgentConnection) -> None:
        """Take a connection back that came and could not stay, unless another has its place."""
        connections = self._backend.connections
        if connections.is_current(session_id, agent.attempt, agent.connection):
            self._show_state(session_id, connections.agents.pop(session_id))

    def _after_bye(self, session: Session, transaction: Transaction) -> None:
        config = self._backend.config
        if session.status is SessionStatus.STARTING:
            lifecycle.fail(
                session,
                "AGENT_UNAVAILABLE",
                "The agent left before it was ready. Please try again.",
                transaction.now,
                config,
            )
        elif session.status is not SessionStatus.FAILED:
            # An agent of an older attempt may still be draining.
            may_write = self._backend.may_write(session.id, transaction.now)
            lifecycle.end(
                session, EndReason.AGENT_LEFT, transaction.now, config, may_write=may_write
            )

    def _after_loss(self, session: Session, transaction: Transaction) -> None:
        lifecycle.agent_lost(session, transaction.now, self._backend.config)

    def unplaced(self, request: StartRequest, reason: str) -> None:
        """No worker takes this start after all (`Workers.on_unplaced`)."""
        task = asyncio.create_task(
            fail_attempt(
                self._backend,
                request.session,
                request.attempt,
                "AGENT_UNAVAILABLE",
                "No agent is free just now. Please try again in a moment.",
            )
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _show_state(self, session_id: str, agent: AgentConnection) -> None:
        changed = SessionChanged(session_id, None)
        self._backend.hub.publish(session_topic(session_id), changed)
        if agent.user_id is not None:
            self._backend.hub.publish(user_topic(agent.user_id), changed)


async def _unacknowledged(
    binding: Binding, connections: Connections, transaction: Transaction
) -> tuple[Input, ...]:
    """Return the typed lines that this agent has to answer yet."""
    waiting = Utterance.filter(session_id=binding.session, awaits_agent=True).using_db(
        transaction.conn
    )
    rows = await waiting.order_by("sort_key")
    given_up = {
        row.key
        for row in rows
        if not connections.may_take(binding.session, row.key, binding.attempt)
    }
    if given_up:
        log.warning("typed_lines_given_up", session=binding.session, lines=len(given_up))
        await waiting.filter(key__in=given_up).update(awaits_agent=False)
    return tuple(Input(row.key, row.text) for row in rows if row.key not in given_up)


def _change(heard: Heard, attempt: int) -> UtteranceChange:
    return UtteranceChange(
        key=heard.segment,
        role=Role(heard.role),
        source=UtteranceSource(heard.source),
        text=heard.text,
        is_final=heard.final,
        started_at=heard.started_at,
        ended_at=heard.ended_at,
        attempt=attempt,
        agent_revision=heard.revision,
        is_interrupted=heard.interrupted,
        speaker=heard.speaker,
        language=heard.language,
        confidence=heard.confidence,
    )
