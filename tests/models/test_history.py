"""History pages cost the same at any depth and stay in place as rows are added and removed."""

import math
from collections.abc import Callable
from datetime import timedelta

import pytest

from models.database import Connection, reader, transact
from models.repositories.history import HistoryQuery, Position
from models.repositories.transcript import TranscriptQuery
from models.search import parsing
from models.sort_keys import between, key_of, number_of
from models.tables import Session, SessionStatus, User
from tests.rows import START, add_session, add_sessions, add_user, utterance


async def _steps(conn: Connection, read: Callable[[], object]) -> int:
    """Count the steps of SQLite's virtual machine that a read takes, in tens."""
    taken = 0

    def step() -> int:
        nonlocal taken
        taken += 1
        return 0

    await conn._connection.set_progress_handler(step, 10)
    result = read()
    assert hasattr(result, "__await__")
    await result
    await conn._connection.set_progress_handler(None, 0)
    return taken


def _position(session: Session) -> Position:
    return session.created_at, session.id


@pytest.fixture
async def user(url: str) -> User:
    return await add_user()


@pytest.mark.sqlite
async def test_a_page_deep_down_costs_what_the_first_one_does(user: User) -> None:
    """Of 5,000 conversations, reading the last twenty takes about as many steps as the first."""
    sessions = await add_sessions(user, [["hello"]] * 5000)
    query = HistoryQuery(user.id)
    first = await _steps(reader(), lambda: query.page(reader(), None, None, 20))
    deep = await _steps(reader(), lambda: query.page(reader(), _position(sessions[20]), None, 20))
    back = await _steps(
        reader(),
        lambda: query.page(reader(), None, _position(sessions[20]), 20, backward=True),
    )
    assert deep < first * 1.5
    assert back < first * 1.5


async def test_a_page_deep_down_costs_the_same_when_all_have_one_time(user: User) -> None:
    """A thousand conversations with the same created_at are paged by id, each exactly once."""
    await add_sessions(user, [["hello"]] * 1000, at=START)
    query = HistoryQuery(user.id)
    everything = await query.page(reader(), None, None, 1000)
    seen, after = [], None
    while page := await query.page(reader(), after, None, 100):
        seen += page
        after = _position(page[-1])
    assert [session.id for session in seen] == [session.id for session in everything]


@pytest.mark.sqlite
async def test_an_utterance_deep_down_costs_what_the_first_one_does(user: User) -> None:
    """A page of a 5,000-utterance conversation costs the same at both ends."""
    session = await add_session(user, *["hello"] * 5000)
    query = TranscriptQuery(session.id)
    rows = await query.page(reader(), None, None, 5000)
    first = await _steps(reader(), lambda: query.page(reader(), None, None, 20))
    place = rows[4900].sort_key
    deep = await _steps(reader(), lambda: query.page(reader(), place, None, 20))
    place = rows[100].sort_key
    last = await _steps(reader(), lambda: query.page(reader(), None, place, 20, backward=True))
    assert max(deep, last) < first * 1.5


async def test_rows_at_one_place_are_told_apart_however_many_they_are(user: User) -> None:
    """Rows whose positions are the same float each appear once, in order, on pages of one."""
    session = await add_session(user)
    rows = [utterance(session, place, "hello") for place in range(6)]
    sort_keys = between(key_of(1.0), key_of(math.nextafter(1.0, 2.0)), 2 * len(rows) + 2)
    for row, sort_key in zip(rows, sort_keys, strict=False):
        row.sort_key = sort_key
        row.position = number_of(row.sort_key)
        assert row.position == 1.0
        await transact(row.save)
    query = TranscriptQuery(session.id)
    seen, after = [], None
    while page := await query.page(reader(), after, None, 1):
        seen.append(page[0].id)
        after = page[0].sort_key
    assert seen == [row.id for row in rows]


@pytest.mark.sqlite
async def test_somebody_elses_conversations_do_not_slow_a_search(user: User) -> None:
    """A search skips 3,000 matching conversations of another user without visiting each."""
    await add_sessions(user, [["hello world"]] * 20)
    other = await add_user()
    query = HistoryQuery(user.id, search=parsing.parse("hello world", user.id))
    before = await _steps(reader(), lambda: query.page(reader(), None, None, 20))
    await add_sessions(other, [["hello world"]] * 3000)
    after = await _steps(reader(), lambda: query.page(reader(), None, None, 20))
    assert len(await query.page(reader(), None, None, 100)) == 20
    # Reading more index pages costs a little; visiting each match would cost 150 times as much.
    assert after < before * 3


async def test_filters(user: User) -> None:
    """Each filter works alone and with the others; time ranges are half-open."""
    old = await add_session(user, "one", at=START, status=SessionStatus.ENDED, agent_name="a")
    new = await add_session(
        user, "two", at=START + timedelta(hours=1), status=SessionStatus.ACTIVE, agent_name="b"
    )

    async def found(**wanted: object) -> list[str]:
        query = HistoryQuery(user.id, **wanted)  # type: ignore[arg-type] # any of its fields
        page = await query.page(reader(), None, None, 10)
        assert await query.count(reader()) == len(page)
        return [session.id for session in page]

    assert await found() == [new.id, old.id]
    assert await found(statuses=[SessionStatus.ACTIVE]) == [new.id]
    assert await found(statuses=[SessionStatus.ACTIVE, SessionStatus.ENDED]) == [new.id, old.id]
    assert await found(statuses=[SessionStatus.FAILED]) == []
    assert await found(agent_name="a") == [old.id]
    assert await found(created_from=new.created_at) == [new.id]
    assert await found(created_before=new.created_at) == [old.id]
    assert await found(created_from=START, created_before=START) == []
    everything = {
        "search": parsing.parse("two", user.id),
        "statuses": [SessionStatus.ACTIVE],
        "agent_name": "b",
        "created_from": START,
        "created_before": START + timedelta(hours=2),
    }
    assert await found(**everything) == [new.id]


async def test_silent_and_deleted_conversations_are_not_shown(user: User) -> None:
    """History leaves out deleted conversations and those without utterances."""
    await add_session(user)
    deleted = await add_session(user, "hello")
    tombstone = Session.filter(id=deleted.id)
    await transact(lambda conn: tombstone.using_db(conn).update(deleted_at=START))
    assert await HistoryQuery(user.id).page(reader(), None, None, 10) == []
    assert await HistoryQuery(user.id).count(reader()) == 0
