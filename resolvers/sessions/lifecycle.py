"""How a conversation moves from one status to the next, and which deadlines that sets.

These functions only change the row that they are handed; the caller holds its lock.
"""

from datetime import datetime
from typing import Any, Final

from models import EndReason, Session, SessionStatus
from models.repositories.deadlines import COLUMNS
from resolvers.config import Config

TOO_LATE: Final = "AGENT_TIMEOUT"
"""The failure of who was asked for and has not come in time."""


def ask(session: Session, now: datetime, config: Config) -> None:
    """A new attempt to get an agent: STARTING until it is ready, or the time is up."""
    session.attempt += 1
    session.status = SessionStatus.STARTING
    session.failure_code = session.failure_message = None
    _clear_deadlines(session)
    session.start_by = now + config.start_timeout


def ask_again(session: Session, at: datetime) -> None:
    """The same attempt is asked for once more then, unless its agent comes before."""
    if session.status is SessionStatus.STARTING:
        session.agent_retry_by = at


def awaits_agent(session: Session) -> bool:
    """Whether an agent that comes is still wanted, although its time may be up."""
    is_too_late = session.status is SessionStatus.FAILED and session.failure_code == TOO_LATE
    return session.status is SessionStatus.STARTING or is_too_late


def ask_anew(session: Session) -> None:
    """A new attempt in the same time: nobody has taken on the one before."""
    session.attempt += 1
    session.agent_retry_by = None


def go_on_starting(session: Session, now: datetime, config: Config) -> None:
    """The server was away: the agent has its whole time again, and is asked for once more."""
    if session.status is SessionStatus.STARTING:
        session.start_by = now + config.start_timeout
        session.agent_retry_by = now + config.ask_again_after


def fail(session: Session, code: str, message: str, now: datetime, config: Config) -> None:
    """There is no agent; somebody may ask again within a while."""
    session.status = SessionStatus.FAILED
    session.failure_code, session.failure_message = code, message
    _clear_deadlines(session)
    session.retry_by = now + config.retry_within


def begin(session: Session, now: datetime, config: Config, *, person_is_here: bool) -> None:
    """The agent is ready. Harmless when it has been already."""
    if session.status not in (SessionStatus.STARTING, SessionStatus.FAILED):
        return
    session.status = SessionStatus.ACTIVE
    session.failure_code = session.failure_message = None
    session.started_at = session.started_at or now
    _clear_deadlines(session)
    if not person_is_here:
        session.person_back_by = now + config.abandon_after


def agent_lost(session: Session, now: datetime, config: Config) -> None:
    """The connection to the agent broke: it, or another one, may come back."""
    if session.status is SessionStatus.ACTIVE:
        session.agent_retry_by = now + config.agent_retry_after
        session.agent_back_by = now + config.abandon_after


def agent_back(session: Session) -> None:
    """The agent is connected again."""
    session.agent_retry_by = session.agent_back_by = None


def person_left(session: Session, now: datetime, config: Config) -> None:
    """The person's media is gone; a line typed now and then keeps the conversation going."""
    if session.status is SessionStatus.ACTIVE:
        session.person_back_by = now + config.abandon_after


def end(
    session: Session, reason: EndReason, now: datetime, config: Config, *, may_write: bool
) -> bool:
    """The conversation is over; return whether that is news.

    Where an agent may still report something it is ENDING until every agent has said `bye`, or the
    grace period is over. What ended already keeps its end and its reason.
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
    """The agent has said all it had, or had its time: ENDING becomes ENDED."""
    if session.status is SessionStatus.ENDING:
        session.status = SessionStatus.ENDED
        _clear_deadlines(session)


def tombstone(now: datetime) -> dict[str, Any]:
    """What the row of every deleted session has, by column."""
    nothing_due = dict.fromkeys(COLUMNS)
    return {
        "deleted_at": now,
        "title": "Deleted",
        "preview": None,
        "opening": None,
        "utterance_count": 0,
        **nothing_due,
    }


def bury(session: Session, now: datetime, *, has_words: bool) -> None:
    """Only a tombstone is left; it is ENDING while there are words of it to delete."""
    for name, value in tombstone(now).items():
        setattr(session, name, value)
    if has_words:
        session.status, session.retry_by = SessionStatus.ENDING, now


def _clear_deadlines(session: Session) -> None:
    session.start_by = session.retry_by = session.drain_by = None
    session.agent_retry_by = session.agent_back_by = session.person_back_by = None
