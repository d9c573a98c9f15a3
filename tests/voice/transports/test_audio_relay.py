"""`/audio` between two plain WebSocket clients, on a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent_bridge.protocol.audio import Close
from tests.accesses import LOGIN
from tests.voice.server import Server

SESSION = "ses_relay"


@asynccontextmanager
async def raw(
    server: Server, subprotocol: str = "voxql.audio.v1"
) -> AsyncIterator[ClientConnection]:
    address = server.url.replace("http", "ws", 1) + "/audio"
    async with connect(address, subprotocols=[subprotocol], compression=None) as socket:  # type: ignore[list-item] # a str does as well as the NewType
        yield socket


@asynccontextmanager
async def side(
    server: Server, role: str, attempt: int = 1, *, reports: bool = False
) -> AsyncIterator[ClientConnection]:
    """Connect, say hello, and consume the welcome and the first `peer`."""
    if role == "AGENT":
        token = server.tokens.media(SESSION, "agent", attempt)[0]
    else:
        token = server.person_token(SESSION)
    async with raw(server) as socket:
        await say(socket, type="hello", token=token, reportsPlayed=reports)
        welcome = await hear(socket)
        assert welcome == {
            "type": "welcome",
            "inputSampleRate": 16_000,
            "outputSampleRate": 24_000,
            "session": SESSION,
            "role": role,
        }
        assert (await hear(socket))["type"] == "peer"
        yield socket


async def say(socket: ClientConnection, **members: object) -> None:
    await socket.send(json.dumps(members))


async def hear(socket: ClientConnection) -> dict[str, object]:
    message = await asyncio.wait_for(socket.recv(), 5)
    assert isinstance(message, str), f"{len(message)} bytes of sound"
    frame = json.loads(message)
    assert isinstance(frame, dict)
    return frame


async def closed(socket: ClientConnection) -> Close:
    """Read until the server closes; check the reason's prefix, and return the code."""

    async def read() -> None:
        while True:
            await socket.recv()

    with pytest.raises(ConnectionClosed) as caught:
        await asyncio.wait_for(read(), 5)
    frame = caught.value.rcvd
    assert frame is not None
    assert frame.reason.startswith(f"{Close(frame.code).name}: ")
    return Close(frame.code)


async def test_sound_and_frames_pass_both_ways(server: Server) -> None:
    """Sound arrives unchanged and in order, with control frames between it."""
    async with side(server, "PERSON", reports=True) as person, side(server, "AGENT") as agent:
        assert await hear(person) == {"type": "peer", "connected": True, "reportsPlayed": False}
        await person.send(b"\1\0\2\0")
        await say(person, type="played", playout="p", samples=7)
        assert await agent.recv() == b"\1\0\2\0"
        assert await hear(agent) == {"type": "played", "playout": "p", "samples": 7}
        await say(agent, type="begin", playout="p")
        await agent.send(b"\3\0")
        await say(agent, type="end", playout="p", samples=1)
        await say(agent, type="clear", playout="p")
        assert (await hear(person))["type"] == "begin"
        assert await person.recv() == b"\3\0"
        assert await hear(person) == {"type": "end", "playout": "p", "samples": 1}
        assert await hear(person) == {"type": "clear", "playout": "p"}
    await server.notebook.until(lambda: server.notebook.of(SESSION).presence == ["came", "left"])


async def test_what_is_said_before_the_agent_comes_is_kept(server: Server) -> None:
    """The newest 30 s are kept."""
    second = bytes(32_000)
    async with side(server, "PERSON") as person:
        await person.send(b"\1\0")
        for _ in range(29):
            await person.send(second)
        await say(person, type="played", playout="p", samples=0)
        await server.notebook.until(lambda: server.relay.has_person(SESSION))
        async with side(server, "AGENT") as agent:
            assert await agent.recv() == b"\1\0"
            got = [await agent.recv() for _ in range(29)]
            assert got == [second] * 29
    assert server.relay.dropped_seconds == 0


async def test_sound_that_races_is_stopped(server: Server) -> None:
    """Forty seconds of sound at once exceed what anybody has to catch up on."""
    async with side(server, "PERSON") as person:
        with suppress(ConnectionClosed):
            for _ in range(40):
                await person.send(bytes(32_000))
        assert await closed(person) is Close.TOO_FAST
        assert server.relay.dropped_seconds <= 10


async def test_each_side_learns_when_the_other_comes_and_goes(server: Server) -> None:
    """`peer` reports it, and whether the person's side reports playback."""
    async with side(server, "AGENT") as agent:
        async with side(server, "PERSON", reports=True):
            assert await hear(agent) == {"type": "peer", "connected": True, "reportsPlayed": True}
        assert await hear(agent) == {"type": "peer", "connected": False, "reportsPlayed": False}


async def test_a_newer_connection_of_a_person_takes_the_place_of_the_older(server: Server) -> None:
    """The older connection is fenced, the agent is told, and the person never counts as gone."""
    async with side(server, "AGENT") as agent, side(server, "PERSON") as old:
        assert (await hear(agent))["connected"] is True
        async with side(server, "PERSON") as new:
            assert await closed(old) is Close.FENCED
            assert (await hear(agent))["connected"] is False
            assert (await hear(agent))["connected"] is True
            await new.send(b"\5\0")
            assert await agent.recv() == b"\5\0"
    assert server.notebook.of(SESSION).presence == ["came", "came", "left"]


async def test_an_older_attempt_can_not_take_the_place_of_a_newer(server: Server) -> None:
    """A late agent is fenced; a newer attempt fences the older."""
    async with side(server, "AGENT", attempt=2) as current:
        token = server.tokens.media(SESSION, "agent", 1)[0]
        async with raw(server) as late:
            await say(late, type="hello", token=token)
            assert await closed(late) is Close.FENCED
        async with side(server, "AGENT", attempt=3):
            assert await closed(current) is Close.FENCED


@pytest.mark.parametrize(
    "message",
    [
        b"\0",
        b"",
        b"\0\0\0",
        "nonsense",
        '{"type": "novelty"}',
        '{"type": "begin", "playout": "p"}',
        '{"type": "hello", "token": "x"}',
        '{"type": "played", "playout": "p"}',
    ],
)
async def test_bad_frames_close_the_connection(server: Server, message: str | bytes) -> None:
    """A faulty client is told at once; nothing reaches the agent."""
    async with side(server, "AGENT") as agent, side(server, "PERSON") as person:
        await person.send(message)
        assert await closed(person) is Close.BAD_FRAME
        assert (await hear(agent))["connected"] is True
        assert (await hear(agent))["connected"] is False


async def test_a_message_over_64_kib_closes_the_connection(server: Server) -> None:
    """A message of exactly 64 KiB passes."""
    async with side(server, "AGENT") as agent, side(server, "PERSON") as person:
        await person.send(bytes(65_536))
        assert (await hear(agent))["type"] == "peer"
        assert await agent.recv() == bytes(65_536)
        await person.send(bytes(65_538))
        assert await closed(person) is Close.TOO_BIG


async def test_a_person_whose_login_ends_is_sent_away(server: Server) -> None:
    """The person is disconnected at once; the agent stays, and learns of it."""
    async with side(server, "AGENT") as agent, side(server, "PERSON") as person:
        assert await hear(agent) == {"type": "peer", "connected": True, "reportsPlayed": False}

        server.notebook.accesses.end()

        assert await closed(person) is Close.UNAUTHENTICATED
        assert (await hear(agent))["connected"] is False
    assert server.notebook.accesses.watched() == 0


async def test_a_token_of_a_login_that_has_ended_throws_nobody_out(server: Server) -> None:
    """The owner stays connected and is heard; the stolen token is refused."""
    async with side(server, "PERSON") as owner:
        stolen, _ = server.tokens.media(SESSION, "person", 1, access="log_stolen")
        server.notebook.accesses.end("log_stolen")

        async with raw(server) as thief:
            await say(thief, type="hello", token=stolen)
            assert await closed(thief) is Close.UNAUTHENTICATED

        async with side(server, "AGENT") as agent:
            assert (await hear(owner))["connected"] is True
            await owner.send(bytes(640))
            assert await agent.recv() == bytes(640)


async def test_bad_tokens_are_refused(server: Server) -> None:
    """Garbage, a bridge token, an expired token and one without a login are refused."""
    late = server.tokens.media(SESSION, "person", 1, access=LOGIN, lifetime=timedelta(seconds=-1))
    of_nobody, _ = server.tokens.media(SESSION, "person", 1)
    for token in ("garbage", server.tokens.bridge(SESSION, 1), late[0], of_nobody):
        async with raw(server) as socket:
            await say(socket, type="hello", token=token)
            assert await closed(socket) is Close.UNAUTHENTICATED
    assert server.relay.connections == 0


async def test_the_first_frame_must_be_hello(server: Server) -> None:
    """Sound or another frame before hello closes the connection."""
    for message in (b"\0\0", '{"type": "played", "playout": "p", "samples": 1}'):
        async with raw(server) as socket:
            await socket.send(message)
            assert await closed(socket) is Close.BAD_FRAME


async def test_who_says_nothing_is_closed() -> None:
    """A connection without hello is closed."""
    async with Server(hello_timeout=0.05).running() as server, raw(server) as socket:
        assert await closed(socket) is Close.HELLO_TIMEOUT


async def test_another_subprotocol_is_refused_in_words(server: Server) -> None:
    """The handshake fails with 400 and names the supported subprotocol."""
    with pytest.raises(InvalidStatus) as caught:
        async with raw(server, "something.else"):
            pass
    assert caught.value.response.status_code == 400
    assert b"voxql.audio.v1" in (caught.value.response.body or b"")


async def test_a_person_of_a_conversation_that_is_over_is_told_so(server: Server) -> None:
    """The close code is GONE."""
    server.notebook.gone.add(SESSION)
    token = server.person_token(SESSION)
    async with raw(server) as socket:
        await say(socket, type="hello", token=token)
        assert await closed(socket) is Close.GONE


async def test_the_end_of_a_session_closes_both_sides(server: Server) -> None:
    """ENDED is terminal: neither side reconnects."""
    async with side(server, "AGENT") as agent, side(server, "PERSON") as person:
        server.relay.end(SESSION)
        assert await closed(agent) is Close.ENDED
        assert await closed(person) is Close.ENDED


async def test_a_person_who_does_not_read_is_closed(server: Server) -> None:
    """A gap in a reply would make all later reports wrong, so the connection is closed."""
    address = server.url.replace("http", "ws", 1) + "/audio"
    async with (
        side(server, "AGENT") as agent,
        connect(
            address,
            subprotocols=["voxql.audio.v1"],  # type: ignore[list-item] # a str does as well
            compression=None,
            max_queue=1,
        ) as person,
    ):
        await say(person, type="hello", token=server.person_token(SESSION))
        await server.notebook.until(lambda: server.relay.has_person(SESSION))
        assert (await hear(agent))["connected"] is True
        for number in range(60_000):
            await say(agent, type="begin", playout=f"{number:0128}")
            if not server.relay.has_person(SESSION):
                break
        assert (await hear(agent))["connected"] is False
