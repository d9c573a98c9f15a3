"""Asking for agents: what an attempt that was committed sets going, and what it comes to."""

import asyncio
from functools import partial

import structlog

from agent_bridge.server.commands import Fence
from agent_bridge.server.workers import NoAgent, NoWorker, StartRequest
from models import Session, SessionStatus
from resolvers.backend import Backend
from resolvers.events import SessionChanged, agent_topic, session_topic, user_topic
from resolvers.sessions import lifecycle
from resolvers.transcripts.transaction import Transaction

log = structlog.get_logger(__name__)


def ask_for_agent(
    backend: Backend, session: Session, *, is_repeated: bool = False
) -> asyncio.Task[Session]:
    """Fence older attempts off, and ask for the agent of the session's newest.

    To be called right after the commit, so that nobody takes an older agent for the session's.
    Asking may take seconds, and goes on whether or not anybody waits for it: hence a task, which
    returns the session, FAILED if nobody can be asked. Who waits for it must shield it.

    Args:
        backend: Whose agents.
        session: As it was committed.
        is_repeated: Whether it is asked for once more, by itself: then nothing fails, for as long
            as there is time somebody asks again.
    """
    backend.connections.attempts[session.id] = session.attempt
    # An agent of an older attempt may drain what it has, but nobody waits for it any more.
    if backend.connections.agents.pop(session.id, None) is not None:
        changed = SessionChanged(session.id, None)
        backend.hub.publish(session_topic(session.id), changed)
        backend.hub.publish(user_topic(session.user_id), changed)
    backend.hub.publish(agent_topic(session.id), Fence(session.attempt))
    task = asyncio.create_task(_ask(backend, session, is_repeated=is_repeated))
    backend.dispatching[task] = session.id
    task.add_done_callback(partial(_after_asking, backend))
    return task


async def _ask(backend: Backend, session: Session, *, is_repeated: bool) -> Session:
    attempt, tokens = session.attempt, backend.tokens
    agent_media, _ = tokens.media(session.id, "agent", attempt)
    try:
        await backend.agents.start(
            StartRequest(
                session=session.id,
                attempt=attempt,
                agent_name=session.agent_name,
                bridge_token=tokens.bridge(session.id, attempt),
                audio_token=agent_media,
                room=session.room_name,
            )
        )
    except NoAgent as refusal:
        if is_repeated:
            log.info("agent_not_asked_anew", session=session.id, attempt=attempt)
            return session
        if isinstance(refusal, NoWorker) and backend.may_get_workers(backend.clock()):
            return await _ask_again_later(backend, session)
        failed = await fail_attempt(backend, session.id, attempt, "AGENT_UNAVAILABLE", str(refusal))
        return failed or session
    return session


async def _ask_again_later(backend: Backend, session: Session) -> Session:
    """Leave it STARTING: the reaper asks again, until there is a worker or the time is up."""

    async def work(transaction: Transaction) -> Session:
        edit = await transaction.edit(session.id)
        if edit is None:
            return session
        if edit.session.attempt == session.attempt:
            lifecycle.ask_again(edit.session, transaction.now + backend.config.ask_again_after)
        return edit.session

    return await backend.writer.transaction(work)


def _after_asking(backend: Backend, task: asyncio.Task[Session]) -> None:
    backend.dispatching.pop(task, None)
    if not task.cancelled() and (error := task.exception()) is not None:
        # Its start time-out runs: the session will be FAILED, and can be tried again.
        log.error("agent_not_asked", exc_info=error)


async def ask_anew(backend: Backend, session_id: str, attempt: int) -> int | None:
    """Ask by a new attempt, unless this one's agent has come or another one was made.

    Returns:
        The new attempt, once it is asked for; None when none was made.
    """
    dispatching: list[asyncio.Task[Session]] = []

    async def work(transaction: Transaction) -> Session | None:
        edit = await transaction.edit(session_id)
        # Under the row's lock: an agent that comes after this finds itself fenced off.
        if edit is None or session_id in backend.connections.agents:
            return None
        session = edit.session
        if session.attempt != attempt or not lifecycle.awaits_agent(session):
            return None
        lifecycle.ask_anew(session)
        return session

    def after(session: Session | None) -> None:
        if session is not None:
            dispatching.append(ask_for_agent(backend, session, is_repeated=True))

    session = await backend.writer.transaction(work, after)
    if session is None:
        return None
    await asyncio.wait(dispatching)
    return session.attempt


async def fail_attempt(
    backend: Backend, session_id: str, attempt: int, code: str, message: str
) -> Session | None:
    """Note that this attempt gets no agent, unless it has one or another attempt was made."""
    log.warning("agent_failed", session=session_id, attempt=attempt, code=code)

    async def work(transaction: Transaction) -> Session | None:
        edit = await transaction.edit(session_id)
        if edit is None:
            return None
        session = edit.session
        if session.attempt == attempt and session.status is SessionStatus.STARTING:
            lifecycle.fail(session, code, message, transaction.now, backend.config)
        return session

    return await backend.writer.transaction(work)
