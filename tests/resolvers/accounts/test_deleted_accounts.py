"""An account that another process deletes while its user talks on this one."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from agent_bridge.protocol import Nack
from agent_bridge.server.handler import SessionGone
from hub.events import Gone, SessionOver
from hub.local import LocalHub
from models.database import Connection, reader, transact
from models.repositories.running import running_by_status
from models.repositories.transcript import delete_some_of_user
from models.tables import IdempotencyRecord, Session, SessionStatus, User, Utterance
from resolvers.accounts import authentication
from resolvers.backend import Backend
from resolvers.transcripts.watching import StreamEnd
from tests.dump import dump
from tests.resolvers.people import Clock
from tests.resolvers.stage import Stage, staged, taken
from tests.rows import add_sessions

EMAIL = "ada@example.com"
REVOKED = StreamEnd("ACCESS_REVOKED", False)


@pytest.fixture
async def stage(backend: Backend, clock: Clock) -> AsyncIterator[Stage]:
    async with staged(backend, clock) as stage:
        user = User.filter(id=stage.user.id)
        await transact(lambda conn: user.using_db(conn).update(email=EMAIL))
        yield stage


class Killed(Exception):
    """Interrupts the delete command."""


async def delete_elsewhere(stage: Stage) -> None:
    """Do what `voxql user delete` does; this process's hub and memory are not told."""
    elsewhere = replace(stage.backend, hub=LocalHub())
    await authentication.delete_user(elsewhere.transactions, EMAIL)


async def test_everybody_who_takes_part_is_told_within_a_round(stage: Stage) -> None:
    """The agent is dismissed, the room is closed, and the streams end."""
    ended: list[tuple[str, str]] = []
    stage.backend.hub.on(SessionOver, lambda e: ended.append((e.session_id, e.room_name)))
    session, agent = await stage.talk()
    await agent.say("hel", "SG_1", final=False)
    words, updates = await stage.watch(session), await stage.watch_sessions()
    await words.caught_up()
    await updates.next()

    await delete_elsewhere(stage)
    async with stage.commands(session) as commands:
        await stage.reaper.look()
        await stage.reaper.look()
        assert taken(commands) == [Gone()]

    assert ended == [(session.id, session.room_name)]
    assert [event.end for event in await words.rest()] == [REVOKED]
    assert [update.end for update in await updates.rest()] == [REVOKED]
    assert not stage.backend.live.remembers(session.id)
    answer = await agent.say("hello")
    assert isinstance(answer, Nack)
    assert (answer.code, answer.terminal) == ("GONE", True)
    await agent.lose()
    await stage.media.person_left(session.id)
    connections = stage.backend.connections
    assert not connections.agents()
    assert not connections.has_person(session.id)


@pytest.mark.parametrize("status", list(SessionStatus))
async def test_no_word_and_no_name_is_left(stage: Stage, status: SessionStatus) -> None:
    """This holds in any status; a running session leaves a tombstone for a day."""
    session, agent = await stage.talk()
    await agent.say("a very private word")
    await stage.start(title="private title", idempotency_key="private key")
    row = Session.filter(id=session.id)
    await transact(lambda conn: row.using_db(conn).update(status=status))

    await delete_elsewhere(stage)

    assert "private" not in str(await dump())
    assert EMAIL not in str(await dump())
    assert await IdempotencyRecord.all().using_db(reader()).count() == 0
    await stage.pass_by(0)
    await stage.pass_by(25 * 3600 + 600)
    content = await dump()
    assert not any(content[table] for table in ("users", "sessions", "logins", "utterances"))


async def test_much_is_deleted_piece_by_piece(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other writers wait for one piece at most; an interrupted command is resumed."""
    monkeypatch.setattr(authentication, "WORDS_AT_ONCE", 2)
    await add_sessions(stage.user, [["private"] * 3] * 3)
    left: list[int] = []

    async def watched(conn: Connection, user_id: str, most: int) -> bool:
        has_more = await delete_some_of_user(conn, user_id, most)
        left.append(await Utterance.all().using_db(conn).count())
        if len(left) == 2:
            raise Killed
        return has_more

    monkeypatch.setattr(authentication, "delete_some_of_user", watched)
    with pytest.raises(Killed):
        await authentication.delete_user(stage.backend.transactions, EMAIL)

    assert left == [7, 5]
    assert EMAIL not in str(await dump())
    # The command may still be running for all that this process knows.
    await stage.pass_by(59)
    assert await Utterance.all().using_db(reader()).count() == 7
    # The reaper deletes piece by piece too: one in each round.
    await stage.pass_by(1)
    assert 0 < await Utterance.all().using_db(reader()).count() < 7
    for _ in range(2):
        await stage.pass_by(0)
    assert "private" not in str(await dump())
    assert sum((await running_by_status()).values()) == 0


async def test_an_agent_that_comes_late_finds_nothing(stage: Stage) -> None:
    """Its start was requested before the account was deleted."""
    session = await stage.start()
    await delete_elsewhere(stage)

    with pytest.raises(SessionGone):
        await stage.talker(session).hello()

    await stage.pass_by(5)
    assert len(stage.agents.asked) == 1


async def test_guests_that_somebody_can_reach_stay(stage: Stage) -> None:
    """Guests with a login, a token or a claimable conversation are kept."""
    session = await stage.start()
    guest = await stage.somebody_else()

    await stage.pass_by(600)

    users = await User.all().using_db(reader()).order_by("id")
    assert [user.id for user in users] == sorted({session.user_id, guest.user_id})
