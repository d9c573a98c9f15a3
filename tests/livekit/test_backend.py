"""What every way to hold conversations promises (`agent_bridge.media.backend.MediaBackend`)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from agent_bridge.server.workers import NoAgent
from tests.livekit.backends import AGENT, InMadeUpRooms, InRealRooms, Local, Stage
from tests.livekit_server import LiveKitServer

REAL = pytest.mark.parametrize("kind", ["local", "made up", "livekit"])
"""For what must be seen of a real LiveKit, too."""
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
    """Session, attempt and token."""
    await stage.media.start(stage.request("ses_a"))

    assert await stage.asked("ses_a") == [("ses_a", 1, "token 1")]


@REAL
async def test_asking_again_for_an_attempt_asks_for_no_second_agent(stage: Stage) -> None:
    """A repeated request may follow an answer that was lost."""
    for _ in range(2):
        await stage.media.start(stage.request("ses_a"))

    assert await stage.asked("ses_a") == [("ses_a", 1, "token 1")]


@REAL
async def test_another_attempt_asks_for_another_agent(stage: Stage) -> None:
    """The newest wish is the last of them."""
    await stage.media.start(stage.request("ses_a"))
    await stage.media.start(stage.request("ses_a", 2))

    assert (await stage.asked("ses_a"))[-1] == ("ses_a", 2, "token 2")


@REAL
async def test_where_nobody_can_be_asked_that_is_said_at_once(stage: Stage) -> None:
    """To the person, in words without secrets, and to those who watch the server."""
    stage.lose_agents()

    with pytest.raises(NoAgent) as told:
        await stage.media.start(stage.request("ses_a"))

    assert str(told.value).endswith(".")
    assert "token" not in str(told.value)
    assert not (await stage.media.condition()).is_ready


@REAL
async def test_where_somebody_can_be_asked_the_venue_is_ready(stage: Stage) -> None:
    """And it knows the agent, and does not say that it is full."""
    assert (await stage.media.condition()).is_ready
    assert stage.media.knows(AGENT)
    assert stage.media.free(AGENT) in (3, None)


@ANY
async def test_a_connection_is_made_for_one_session_and_a_while(stage: Stage) -> None:
    """Each has another token, which is no part of what is logged."""
    one, other = stage.connection("ses_a"), stage.connection("ses_b")

    assert one.token != other.token
    assert one.token not in repr(one)
    assert timedelta(minutes=1) < one.expires_at - datetime.now(UTC) < timedelta(hours=1)
    assert one.url.startswith("ws://")


@REAL
async def test_people_are_told_of_when_they_come_and_when_they_leave(stage: Stage) -> None:
    """Each of them, under their session."""
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
    """Nobody else."""
    for session in ("ses_a", "ses_b"):
        await stage.media.start(stage.request(session))
    over = await stage.enter(stage.connection("ses_a"))
    await stage.notes.are(("came", "ses_a"))
    other = await stage.enter(stage.connection("ses_b"))
    await stage.notes.are(("came", "ses_a"), ("came", "ses_b"))

    del stage.notes.running[stage.room("ses_a")]
    stage.media.end("ses_a", stage._rooms["ses_a"])

    await over.is_sent_out()
    await other.leave()
    await stage.notes.are(
        ("came", "ses_a"), ("came", "ses_b"), ("left", "ses_a"), ("left", "ses_b")
    )


@ANY
async def test_whoever_comes_to_a_conversation_that_is_over_hurts_nobody(stage: Stage) -> None:
    """Others are told of as before."""
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
    """At once."""
    await stage.media.start(stage.request("ses_a"))
    someone = await stage.enter(stage.connection("ses_a"))
    await stage.notes.are(("came", "ses_a"))

    stage.notes.accesses.end()

    await someone.is_sent_out()
    await stage.notes.are(("came", "ses_a"), ("left", "ses_a"))
    assert stage.notes.accesses.watched() == 0


@ANY
async def test_a_login_that_has_ended_lets_nobody_in(stage: Stage) -> None:
    """The token that it made is worth nothing any more, although its time is not up."""
    await stage.media.start(stage.request("ses_a"))
    connection = stage.connection("ses_a")
    stage.notes.accesses.end()

    late = await stage.enter(connection)

    await late.is_sent_out()
    assert stage.notes.told == []


@ANY
async def test_what_passes_is_counted(stage: Stage) -> None:
    """Connections here, calls to others elsewhere."""
    before = stage.media.traffic()
    counted = before.audio_connections, sum(before.calls.values())
    await stage.media.start(stage.request("ses_a"))
    someone = await stage.enter(stage.connection("ses_a"))
    await stage.notes.are(("came", "ses_a"))

    after = stage.media.traffic()

    assert (after.audio_connections, sum(after.calls.values())) > counted
    await someone.leave()
