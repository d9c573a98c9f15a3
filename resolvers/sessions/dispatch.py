"""Requests agents for committed attempts, and handles the outcome."""

import asyncio
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from agent_bridge.server.tokens import Tokens
from agent_bridge.server.workers import (
    NoAgent,
    NoFreePlace,
    NoWorker,
    StartRequest,
    StartUnplaced,
)
from hub.events import AgentCommanded, AgentWanted, Fence
from hub.hub import Hub
from models.tables import Session, SessionStatus
from resolvers.clock import Clock
from resolvers.config import Config
from resolvers.sessions import lifecycle
from resolvers.sessions.connections import Connections
from resolvers.transcripts.transaction import Transaction
from resolvers.transcripts.transactions import Transactions

log = structlog.get_logger(__name__)


class Agents(Protocol):
    """The agents that take conversations; see `agent_bridge.media.backend.MediaBackend`."""

    def knows(self, agent_name: str) -> bool:
        """Whether it makes sense to request this agent."""

    def free(self, agent_name: str) -> int | None:
        """Return how many more conversations can be taken now; None if that is unknown."""

    async def start(self, request: StartRequest) -> None:
        """Request an agent, without waiting for it to join.

        Raises:
            NoAgent: No agent can be requested.
        """


def wanted(session: Session, *, is_repeated: bool = False) -> AgentWanted:
    """Return the event of a transaction that made a new attempt for this session."""
    return AgentWanted(
        session.id,
        session.user_id,
        session.attempt,
        session.agent_name,
        session.room_name,
        is_repeated,
    )


class Dispatcher:
    """Requests an agent whenever `AgentWanted` is emitted. Belongs to one event loop.

    A request may take seconds, and continues whether or not anybody waits for it.
    """

    def __init__(
        self,
        *,
        hub: Hub,
        agents: Agents,
        tokens: Tokens,
        connections: Connections,
        transactions: Transactions,
        config: Config,
        clock: Clock,
    ) -> None:
        self._hub = hub
        self._agents = agents
        self._tokens = tokens
        self._connections = connections
        self._transactions = transactions
        self._config = config
        self._clock = clock
        self._asking: dict[asyncio.Task[Session | None], tuple[str, int]] = {}
        """The session and the attempt of each request."""
        self._failing: set[asyncio.Task[object]] = set()
        self._workers_back_by: datetime | None = None
        hub.on(AgentWanted, self._begin)
        hub.on(StartUnplaced, self._unplaced)

    def expect_workers(self) -> None:
        """Note that this server has just started: a missing worker may be reconnecting."""
        self._workers_back_by = self._clock() + self._config.reconnect_within

    def asking(self) -> set[str]:
        """Return the sessions whose agents are being requested right now."""
        return {session_id for session_id, _ in self._asking.values()}

    async def asked(self, session: Session) -> Session:
        """Wait until this attempt's agent is requested; return the session, FAILED if none can be.

        Raises:
            NotStored: The failure could not be stored.
        """
        for task in self._requests(session):
            failed = await asyncio.shield(task)
            session = session if failed is None else failed
        return session

    def _requests(self, session: Session) -> list[asyncio.Task[Session | None]]:
        own = session.id, session.attempt
        return [task for task, attempt in self._asking.items() if attempt == own]

    async def settled(self) -> None:
        """Wait until all requests for agents are done."""
        while self._asking:
            await asyncio.wait(set(self._asking))

    def _begin(self, wish: AgentWanted) -> None:
        # Right after the commit, so that no older agent passes for the session's. An older
        # attempt's agent may still drain, but nobody waits for it any more.
        self._connections.attempt_made(wish.session_id, wish.user_id, wish.attempt)
        self._hub.emit(AgentCommanded(wish.session_id, Fence(wish.attempt)))
        task = asyncio.create_task(self._ask(wish))
        self._asking[task] = wish.session_id, wish.attempt
        task.add_done_callback(self._after)

    def _after(self, task: asyncio.Task[Session | None]) -> None:
        self._asking.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The start time-out is running: the session will become FAILED, and can be retried.
            log.error("agent_not_asked", exc_info=error)

    async def _ask(self, wish: AgentWanted) -> Session | None:
        session_id, attempt = wish.session_id, wish.attempt
        agent_media, _ = self._tokens.media(session_id, "agent", attempt)
        try:
            await self._agents.start(
                StartRequest(
                    session=session_id,
                    attempt=attempt,
                    agent_name=wish.agent_name,
                    bridge_token=self._tokens.bridge(session_id, attempt),
                    audio_token=agent_media,
                    room=wish.room_name,
                )
            )
        except NoAgent as refusal:
            if wish.is_repeated:
                log.info("agent_not_asked_anew", session=session_id, attempt=attempt)
                return None
            is_elsewhere = self._hub.is_shared and isinstance(refusal, NoWorker | NoFreePlace)
            if is_elsewhere or (isinstance(refusal, NoWorker) and self._may_get_workers()):
                return await self._ask_again_later(session_id, attempt)
            return await self.fail(session_id, attempt, "AGENT_UNAVAILABLE", str(refusal))
        return None

    def _may_get_workers(self) -> bool:
        """Whether a missing worker may only be reconnecting."""
        return self._workers_back_by is not None and self._clock() < self._workers_back_by

    async def _ask_again_later(self, session_id: str, attempt: int) -> Session | None:
        """Leave it STARTING: the reaper requests it again until there is a worker or time is up.

        Of several processes, one with a free worker requests it.
        """

        async def work(transaction: Transaction) -> Session | None:
            edit = await transaction.edit(session_id)
            if edit is None:
                return None
            if edit.session.attempt == attempt:
                after = timedelta() if self._hub.is_shared else self._config.ask_again_after
                at = transaction.now + after
                lifecycle.ask_again(edit.session, at)
            return edit.session

        return await self._transactions.run(work)

    async def ask_anew(self, session_id: str, attempt: int) -> int | None:
        """Request an agent by a new attempt, unless this one's agent joined or a newer one exists.

        Returns:
            The new attempt, once the agent is requested; None if no attempt was made.
        """

        async def work(transaction: Transaction) -> Session | None:
            edit = await transaction.edit(session_id)
            # Under the row's lock: an agent that joins after this is fenced off.
            if edit is None or self._connections.agent_is_there(edit.session):
                return None
            session = edit.session
            if session.attempt != attempt or not lifecycle.awaits_agent(session):
                return None
            lifecycle.ask_anew(session)
            transaction.emit(wanted(session, is_repeated=True))
            return session

        session = await self._transactions.run(work)
        if session is None:
            return None
        # What becomes of it is logged, and must not end the round that asks for others.
        if requests := self._requests(session):
            await asyncio.wait(requests)
        return session.attempt

    async def fail(self, session_id: str, attempt: int, code: str, message: str) -> Session | None:
        """Note that this attempt failed, unless its agent joined or there is a newer attempt."""
        log.warning("agent_failed", session=session_id, attempt=attempt, code=code)

        async def work(transaction: Transaction) -> Session | None:
            edit = await transaction.edit(session_id)
            if edit is None:
                return None
            session = edit.session
            if session.attempt == attempt and session.status is SessionStatus.STARTING:
                lifecycle.fail(session, code, message, transaction.now, self._config)
            return session

        return await self._transactions.run(work)

    def _unplaced(self, start: StartUnplaced) -> None:
        message = "No agent is free just now. Please try again in a moment."
        session_id, attempt = start.session_id, start.attempt
        task = asyncio.create_task(
            self._ask_again_later(session_id, attempt)
            if self._hub.is_shared
            else self.fail(session_id, attempt, "AGENT_UNAVAILABLE", message)
        )
        self._failing.add(task)
        task.add_done_callback(self._failing.discard)
