"""Handles the agents of running conversations: they connect, speak and leave."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from agent_bridge.protocol import Ack, Nack, State
from agent_bridge.protocol import Utterance as Heard
from agent_bridge.server.handler import Binding, HelloResult, Input, NotNow, SessionGone
from models.database import NotStored
from models.repositories import utterances
from models.tables import EndReason, Role, Session, SessionStatus, UtteranceSource
from resolvers.config import Config
from resolvers.members import Members
from resolvers.sessions import lifecycle
from resolvers.sessions.connections import AgentConnection, Connections
from resolvers.transcripts.commit_queue import Fault
from resolvers.transcripts.live import LiveTranscripts
from resolvers.transcripts.merge import UtteranceChange
from resolvers.transcripts.transaction import Transaction
from resolvers.transcripts.transactions import Transactions
from resolvers.transcripts.writer import TranscriptWriter

log = structlog.get_logger(__name__)

RESTARTS = frozenset({"DRAINING", "RESTARTING"})
"""`bye` reasons after which another agent takes over the conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEvents:
    """The bridge's handler: see `agent_bridge.server.handler.BridgeHandler`."""

    transactions: Transactions
    writer: TranscriptWriter
    live: LiveTranscripts
    connections: Connections
    members: Members
    config: Config

    async def hello(
        self, binding: Binding, connection: str, capabilities: frozenset[str]
    ) -> HelloResult:
        """Accept an agent's connection; hand over what it missed."""
        connections, me = self.connections, self.members.me
        agent = AgentConnection(binding.session, binding.attempt, connection)

        async def work(transaction: Transaction) -> tuple[Session, tuple[Input, ...]]:
            edit = await transaction.edit(binding.session)
            if edit is None or binding.attempt > edit.session.attempt:
                raise SessionGone
            agent.user_id = edit.session.user_id
            connections.note_attempt(binding.session, edit.session.attempt)
            if binding.attempt < edit.session.attempt:
                return edit.session, ()
            lifecycle.agent_back(edit.session)
            # An ended session is fully stored; no other revision is published.
            is_over = edit.session.status is SessionStatus.ENDED
            # Another process may have published interims since this one last did.
            is_known = edit.session.held_by == me and self.live.remembers(binding.session)
            if not is_over and not is_known:
                await edit.recommit_unfinished()
            connections.note_here(edit.session, transaction.now, self.config)
            return edit.session, await _unacknowledged(binding, connections, transaction)

        # Before the transaction: the connection that this one replaces may end meanwhile, and must
        # not leave the conversation without its agent.
        connections.come(agent)
        try:
            session, inputs = await self.transactions.run(work)
        except BaseException as error:
            connections.leave(binding.session, binding.attempt, connection)
            connections.lost(
                binding.session, binding.attempt, connection, self.transactions.clock()
            )
            # The replaced connection still saw this one, so possibly nobody noted an absence.
            connections.leave_unnoted(binding.session)
            if isinstance(error, NotStored):
                raise NotNow from error
            raise
        is_current = binding.attempt == session.attempt
        if not is_current:
            connections.leave(binding.session, binding.attempt, connection)
            self._forget_if_over(binding.session, session)
        reason = session.end_reason
        return HelloResult(is_current, reason.value if reason else None, inputs)

    async def ready(self, binding: Binding, connection: str) -> None:
        """Make the session ACTIVE: the agent can hear and answer."""

        async def work(transaction: Transaction) -> None:
            edit = await transaction.edit(binding.session)
            if edit is not None and edit.session.attempt == binding.attempt:
                lifecycle.begin(
                    edit.session,
                    transaction.now,
                    self.config,
                    person_is_here=self.connections.has_person(binding.session),
                )

        try:
            await self.transactions.run(work)
        except NotStored as error:
            raise NotNow from error

    def utterance(
        self,
        binding: Binding,
        connection: str,
        utterance: Heard,
        reply: Callable[[Ack | Nack], None],
    ) -> None:
        """Pass an utterance to the transcript writer, without waiting."""
        connections = self.connections
        segment, revision = utterance.segment, utterance.revision
        if not utterance.final and connections.is_outdated(binding.session, binding.attempt):
            reply(Nack(segment, revision, "FENCED", "A newer attempt has taken over.", True))
            return
        if utterance.role == "USER":
            connections.heard(binding.session, self.transactions.clock())

        def answer(fault: Fault | None) -> None:
            if fault is None:
                reply(Ack(segment, revision))
            else:
                reply(Nack(segment, revision, fault.code, fault.message, fault.terminal))

        self.writer.report(binding.session, _change(utterance, binding.attempt), answer)

    def agent_state(self, binding: Binding, connection: str, state: State) -> None:
        """Show what the agent is doing."""
        connections = self.connections
        connections.show_state(binding.session, binding.attempt, connection, state)

    async def input_ack(self, binding: Binding, key: str) -> None:
        """Note that the agent handled a typed line; it is not handed over again."""

        async def work(transaction: Transaction) -> None:
            await utterances.acknowledge(transaction.conn, binding.session, [key])

        # If this isn't stored, the line is handed over once more, which agents must handle anyway.
        with suppress(NotStored):
            await self.transactions.run(work)

    async def bye(self, binding: Binding, connection: str, reason: str) -> None:
        """Handle an agent that left; everything it reported is stored."""
        self.connections.said_bye(binding.session, binding.attempt, connection)
        restarts = reason in RESTARTS
        await self._left(binding, connection, self._after_loss if restarts else self._after_bye)

    async def disconnected(self, binding: Binding, connection: str) -> None:
        """Handle a broken connection; this agent or another may come back."""
        now = self.transactions.clock()
        self.connections.lost(binding.session, binding.attempt, connection, now)
        await self._left(binding, connection, self._after_loss)

    async def _left(
        self,
        binding: Binding,
        connection: str,
        change: Callable[[Session, Transaction], None],
    ) -> None:
        connections = self.connections
        was_current = connections.leave(binding.session, binding.attempt, connection)

        async def work(transaction: Transaction) -> Session | None:
            edit = await transaction.edit(binding.session)
            if edit is None:
                return None
            session = edit.session
            # Checked under the lock: another connection may have arrived since, and an earlier
            # transaction may have accepted it.
            is_replaced = connections.has_agent(binding.session)
            was_here = session.agent_at in (None, self.members.me)
            if was_current and session.attempt == binding.attempt and was_here and not is_replaced:
                connections.note_gone(session, transaction)
                change(session, transaction)
            if not connections.may_report(session, transaction.now, self.config):
                lifecycle.finish(session)
            return session

        try:
            session = await self.transactions.run(work)
        except NotStored:
            if was_current:
                connections.leave_unnoted(binding.session)
        except asyncio.CancelledError:
            # The transaction goes on; the reaper forgets the session if it is over.
            connections.leave_unnoted(binding.session)
            raise
        else:
            self._forget_if_over(binding.session, session)

    def _forget_if_over(self, session_id: str, session: Session | None) -> None:
        if session is None or session.status is SessionStatus.ENDED:
            self.live.forget(session_id)
            self.connections.forget(session_id)

    def _after_bye(self, session: Session, transaction: Transaction) -> None:
        config = self.config
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
            may_write = self.connections.may_report(session, transaction.now, config)
            lifecycle.end(
                session, EndReason.AGENT_LEFT, transaction.now, config, may_write=may_write
            )

    def _after_loss(self, session: Session, transaction: Transaction) -> None:
        lifecycle.agent_lost(session, transaction.now, self.config)


async def _unacknowledged(
    binding: Binding, connections: Connections, transaction: Transaction
) -> tuple[Input, ...]:
    """Return the typed lines that this agent still has to answer."""
    rows = await utterances.unacknowledged(transaction.conn, binding.session)
    given_up = {
        row.key
        for row in rows
        if not connections.may_take(binding.session, row.key, binding.attempt)
    }
    if given_up:
        log.warning("typed_lines_given_up", session=binding.session, lines=len(given_up))
        await utterances.acknowledge(transaction.conn, binding.session, given_up)
    return tuple(Input(row.key, row.text) for row in rows if row.key not in given_up)


def _change(heard: Heard, attempt: int) -> UtteranceChange:
    return UtteranceChange(
        role=Role(heard.role),
        source=UtteranceSource(heard.source),
        text=heard.text,
        is_final=heard.final,
        started_at=heard.started_at,
        ended_at=heard.ended_at,
        is_interrupted=heard.interrupted,
        speaker=heard.speaker,
        language=heard.language,
        confidence=heard.confidence,
        key=heard.segment,
        attempt=attempt,
        agent_revision=heard.revision,
    )
