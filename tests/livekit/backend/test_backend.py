"""The contract of every media backend (`agent_bridge.media.backend.MediaBackend`)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from agent_bridge.server.workers import NoAgent
from tests.livekit.backend.backends import AGENT, InMadeUpRooms, InRealRooms, Local, Stage
from tests.programs.livekit_server import LiveKitServer

REAL = pytest.mark.parametrize("kind", ["local", "made up", "livekit"])
"""For behaviour that must also be seen with a real LiveKit."""
ANY = pytest.mark.parametrize("kind", ["local", "made up"])


@pytest.fixture
async def stage(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    stage: Local | InMadeUpRooms | InRealRooms
    if kind == "local":
        stage = Local()
    elif kind == "made up":
        stage = InMadeUpRooms()
    else:
        livekit: LiveKitServer = request.getfixturevalue("livekit")
        stage = InRealRooms(livekit)
    async with stage.opened() as opened:
        yield opened


@REAL
async def test_an_agent_is_asked_for_with_all_that_it_needs(stage: Stage) -> None:
    """The dispatch has session, attempt and token."""
    await stage.media.start(stage.request("ses_a"))

    assert await stage.asked("ses_a") == [("ses_a", 1, "token 1")]


@REAL
async def test_asking_again_for_an_attempt_asks_for_no_second_agent(stage: Stage) -> None:
    """A request may be repeated because its answer was lost."""
    for _ in range(2):
        await stage.media.start(stage.request("ses_a"))

    assert await stage.asked("ses_a") == [("ses_a", 1, "token 1")]


@REAL
async def test_another_attempt_asks_for_another_agent(stage: Stage) -> None:
    """The newest dispatch is the last one."""
    await stage.media.start(stage.request("ses_a"))
    await stage.media.start(stage.request("ses_a", 2))

    assert (await stage.asked("ses_a"))[-1] == ("ses_a", 2, "token 2")


@REAL
async def test_where_nobody_can_be_asked_that_is_said_at_once(stage: Stage) -> None:
    """The person gets a message without secrets, and the backend is not ready."""
    stage.lose_agents()

    with pytest.raises(NoAgent) as told:
        await stage.media.start(stage.request("ses_a"))

    assert str(told.value).endswith(".")
    assert "token" not in str(told.value)
    assert not (await stage.media.condition()).is_ready


@REAL
async def test_where_somebody_can_be_asked_the_venue_is_ready(stage: Stage) -> None:
    """A ready backend knows the agent and is not full."""
    assert (await stage.media.condition()).is_ready
    assert stage.media.knows(AGENT)
    assert stage.media.free(AGENT) in (3, None)


@ANY
async def test_a_connection_is_made_for_one_session_and_a_while(stage: Stage) -> None:
    """Tokens differ, expire, and do not appear in the connection's repr."""
    one, other = stage.connection("ses_a"), stage.connection("ses_b")

    assert one.token != other.token
    assert one.token not in repr(one)
    assert timedelta(minutes=1) < one.expires_at - datetime.now(UTC) < timedelta(hours=1)
    assert one.url.startswith("ws://")


@REAL
async def test_people_are_told_of_when_they_come_and_when_they_leave(stage: Stage) -> None:
    """Each arrival and departure is reported under its session."""
    await stage.media.start(stage.request("ses_a"))
    await stage.media.start(stage.request("ses_b"))
    first = await stage.enter(stage.connection("ses_a"))
    await stage.notes.are(("came", "ses_a"))
    second = await stage.enter(stage.connection("ses_b"))
    await stage.notes.are(("came", "ses_a"), ("came", "ses_b"))

    await first.leave()

    await stage.notes.are(("came", "ses_a"), ("came", "ses_b"), ("left", "ses_a"))
    await second.leave()


@REAL
async def test_the_end_of_a_conversation_sends_its_person_out(stage: Stage) -> None:
    """Only the ended conversation's person is disconnected."""
    for session in ("ses_a", "ses_b"):
        await stage.media.start(stage.request(session))
    over = await stage.enter(stage.connection("ses_a"))
    await stage.notes.are(("came", "ses_a"))
    other = await stage.enter(stage.connection("ses_b"))
    await stage.notes.are(("came", "ses_a"), ("came", "ses_b"))

    del stage.notes.running[stage.room("ses_a")]
    stage.serving.end("ses_a", stage._rooms["ses_a"])

    await over.is_sent_out()
    await other.leave()
    await stage.notes.are(
        ("came", "ses_a"), ("came", "ses_b"), ("left", "ses_a"), ("left", "ses_b")
    )


@ANY
async def test_a_person_who_joins_an_ended_conversation_disturbs_no_other(stage: Stage) -> None:
    """Other people are still reported."""
    stage.notes.gone.add("ses_a")
    for session in ("ses_a", "ses_b"):
        await stage.media.start(stage.request(session))
    late = await stage.enter(stage.connection("ses_a"))

    other = await stage.enter(stage.connection("ses_b"))

    await stage.notes.have(("came", "ses_b"))
    assert ("came", "ses_a") not in stage.notes.told
    await late.leave()
    await other.leave()


@REAL
async def test_whose_login_ends_is_sent_out(stage: Stage) -> None:
    """The person is disconnected at once."""
    await stage.media.start(stage.request("ses_a"))
    someone = await stage.enter(stage.connection("ses_a"))
    await stage.notes.are(("came", "ses_a"))

    stage.notes.accesses.end()

    await someone.is_sent_out()
    await stage.notes.are(("came", "ses_a"), ("left", "ses_a"))
    assert stage.notes.accesses.watched() == 0


@ANY
async def test_a_login_that_has_ended_lets_nobody_in(stage: Stage) -> None:
    """The ended login's unexpired token is refused."""
    await stage.media.start(stage.request("ses_a"))
    connection = stage.connection("ses_a")
    stage.notes.accesses.end()

    late = await stage.enter(connection)

    await late.is_sent_out()
    assert stage.notes.told == []


@ANY
async def test_what_passes_is_counted(stage: Stage) -> None:
    """Local connections or calls to LiveKit are counted."""
    before = stage.serving.traffic()
    counted = before.audio_connections, sum(before.calls.values())
    await stage.media.start(stage.request("ses_a"))
    someone = await stage.enter(stage.connection("ses_a"))
    await stage.notes.are(("came", "ses_a"))

    after = stage.serving.traffic()

    assert (after.audio_connections, sum(after.calls.values())) > counted
    await someone.leave()
