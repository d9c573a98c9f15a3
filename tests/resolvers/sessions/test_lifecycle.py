"""Status changes of a conversation: the rules hold in any order of events."""

from collections.abc import Callable
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from models.repositories.deadlines import COLUMNS
from models.tables import EndReason, Session, SessionStatus
from resolvers.config import Config
from resolvers.sessions import lifecycle
from tests.rows import START

Step = Callable[[Session, datetime], object]
CONFIG = Config()


def _end(reason: EndReason, *, may_write: bool) -> Step:
    return lambda session, now: lifecycle.end(session, reason, now, CONFIG, may_write=may_write)


STEPS: dict[str, Step] = {
    "ask": lambda session, now: lifecycle.ask(session, now, CONFIG),
    "fail": lambda session, now: lifecycle.fail(session, "AGENT_TIMEOUT", "late", now, CONFIG),
    "begin": lambda session, now: lifecycle.begin(session, now, CONFIG, person_is_here=True),
    "begin alone": lambda session, now: lifecycle.begin(session, now, CONFIG, person_is_here=False),
    "agent lost": lambda session, now: lifecycle.agent_lost(session, now, CONFIG),
    "agent back": lambda session, now: lifecycle.agent_back(session),
    "person left": lambda session, now: lifecycle.person_left(session, now, CONFIG),
    "save": _end(EndReason.SAVED, may_write=True),
    "save alone": _end(EndReason.SAVED, may_write=False),
    "abandon": _end(EndReason.ABANDONED, may_write=True),
    "finish": lambda session, now: lifecycle.finish(session),
}
BEFORE_THE_END = {"ask", "fail"}
"""Steps whose callers take them only before the session's end."""


def _take(steps: list[str]) -> list[Session]:
    session = Session(user_id="usr_x", agent_name="voxql", created_at=START, room_name="r")
    lifecycle.ask(session, START, CONFIG)
    seen = [session.clone(pk=session.id)]
    for number, step in enumerate(steps, start=1):
        if step in BEFORE_THE_END and session.ended_at is not None:
            continue
        STEPS[step](session, START + timedelta(seconds=number))
        seen.append(session.clone(pk=session.id))
    return seen


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=20))
def test_an_end_is_an_end(steps: list[str]) -> None:
    """Once set, endedAt and endReason stay; ENDED is final, and ENDING leads only to it."""
    order = [SessionStatus.ENDING, SessionStatus.ENDED]
    ended: Session | None = None
    for session in _take(steps):
        assert (session.ended_at is None) == (session.status not in order)
        assert (session.end_reason is None) == (session.ended_at is None)
        if ended is not None:
            assert (session.ended_at, session.end_reason) == (ended.ended_at, ended.end_reason)
            assert order.index(session.status) >= order.index(ended.status)
        ended = session if session.ended_at is not None else None


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=20))
def test_every_status_has_its_deadlines(steps: list[str]) -> None:
    """Each status has the deadlines it waits for and no others; ENDED has none."""
    waits = {
        SessionStatus.STARTING: ({"start_by"}, {"start_by"}),
        SessionStatus.FAILED: ({"retry_by"}, {"retry_by"}),
        SessionStatus.ACTIVE: (set(), {"agent_retry_by", "agent_back_by", "person_back_by"}),
        SessionStatus.ENDING: ({"drain_by"}, {"drain_by"}),
        SessionStatus.ENDED: (set(), set()),
    }
    for session in _take(steps):
        deadlines = {column for column in COLUMNS if getattr(session, column) is not None}
        least, most = waits[session.status]
        assert least <= deadlines <= most


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=20))
def test_a_failure_is_told_exactly_while_it_lasts(steps: list[str]) -> None:
    """Failure fields are set exactly while FAILED; startedAt, once set, stays."""
    started: datetime | None = None
    for session in _take(steps):
        has_failed = session.status is SessionStatus.FAILED
        assert (session.failure_code is not None) == has_failed
        assert (session.failure_message is not None) == has_failed
        if started is not None:
            assert session.started_at == started
        started = session.started_at
