"""Moves a conversation from one status to the next, and sets its deadlines.

These functions only change the row that they are given; the caller holds its lock.
"""

from datetime import datetime
from typing import Any, Final

from models.repositories.deadlines import COLUMNS
from models.tables import EndReason, Session, SessionStatus
from resolvers.config import Config

TOO_LATE: Final = "AGENT_TIMEOUT"
"""The failure code if an agent was requested and did not join in time."""


def ask(session: Session, now: datetime, config: Config) -> None:
    """Start a new attempt to get an agent: STARTING until it is ready, or time is up."""
    session.attempt += 1
    session.agent_at = None
    session.status = SessionStatus.STARTING
    session.failure_code = session.failure_message = None
    _clear_deadlines(session)
    session.start_by = now + config.start_timeout


def ask_again(session: Session, at: datetime) -> None:
    """Let the same attempt be requested again at this time, unless its agent joins before."""
    if session.status is SessionStatus.STARTING:
        session.agent_retry_by = at


def awaits_agent(session: Session) -> bool:
    """Whether an agent that joins is still wanted, although its time may be up."""
    is_too_late = session.status is SessionStatus.FAILED and session.failure_code == TOO_LATE
    return session.status is SessionStatus.STARTING or is_too_late


def ask_anew(session: Session) -> None:
    """Start a new attempt within the same time: nobody took the one before."""
    session.attempt += 1
    session.agent_at = session.agent_retry_by = None


def go_on_starting(session: Session, now: datetime, config: Config) -> None:
    """Give a starting agent its whole time again after a restart, and request it once more."""
    if session.status is SessionStatus.STARTING:
        session.start_by = now + config.start_timeout
        session.agent_retry_by = now + config.ask_again_after


def fail(session: Session, code: str, message: str, now: datetime, config: Config) -> None:
    """Note that there is no agent; it can be requested again for a while."""
    session.status = SessionStatus.FAILED
    session.failure_code, session.failure_message = code, message
    _clear_deadlines(session)
    session.retry_by = now + config.retry_within


def begin(session: Session, now: datetime, config: Config, *, person_is_here: bool) -> None:
    """Make the session ACTIVE: the agent is ready. Harmless if it was already."""
    if session.status not in (SessionStatus.STARTING, SessionStatus.FAILED):
        return
    session.status = SessionStatus.ACTIVE
    session.failure_code = session.failure_message = None
    session.started_at = session.started_at or now
    _clear_deadlines(session)
    if not person_is_here:
        session.person_back_by = now + config.abandon_after


def agent_lost(session: Session, now: datetime, config: Config) -> None:
    """Note that the agent's connection broke; this agent or another may come back."""
    if session.status is SessionStatus.ACTIVE:
        session.agent_retry_by = now + config.agent_retry_after
        session.agent_back_by = now + config.abandon_after


def agent_back(session: Session) -> None:
    """Note that the agent is connected again."""
    session.agent_retry_by = session.agent_back_by = None


def person_left(session: Session, now: datetime, config: Config) -> None:
    """Note that the person's media is gone; typed lines keep the conversation going."""
    if session.status is SessionStatus.ACTIVE:
        session.person_back_by = now + config.abandon_after


def end(
    session: Session, reason: EndReason, now: datetime, config: Config, *, may_write: bool
) -> bool:
    """End the conversation; return whether it had not ended before.

    If an agent may still report something, the session is ENDING until every agent has said `bye`,
    or the grace period is over. A conversation that ended before keeps its end and its reason.
    """
    if session.ended_at is not None:
        return False
    session.ended_at, session.end_reason = now, reason
    session.failure_code = session.failure_message = None
    _clear_deadlines(session)
    if may_write:
        session.status = SessionStatus.ENDING
        session.drain_by = now + config.grace
    else:
        session.status = SessionStatus.ENDED
    return True


def finish(session: Session) -> None:
    """Turn ENDING into ENDED: the agent has reported everything, or its time is up."""
    if session.status is SessionStatus.ENDING:
        session.status = SessionStatus.ENDED
        _clear_deadlines(session)


def tombstone(now: datetime) -> dict[str, Any]:
    """Return the columns of a deleted session's row."""
    nothing_due = dict.fromkeys((*COLUMNS, "purge_by"))
    return {
        "deleted_at": now,
        "title": "Deleted",
        "preview": None,
        "opening": None,
        "utterance_count": 0,
        **nothing_due,
    }


def bury(session: Session, now: datetime, *, has_words: bool) -> None:
    """Turn the session into a tombstone, ENDING while it has utterances to delete."""
    for name, value in tombstone(now).items():
        setattr(session, name, value)
    if has_words:
        session.status, session.purge_by = SessionStatus.ENDING, now


def _clear_deadlines(session: Session) -> None:
    session.start_by = session.retry_by = session.drain_by = None
    session.agent_retry_by = session.agent_back_by = session.person_back_by = None
