"""The client against the real endpoint, over connections that break."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.typing import Subprotocol

from agent_bridge.client.bridge import (
    BridgeClient,
    Command,
    InputCommand,
    StopCommand,
    new_segment,
)
from agent_bridge.client.link import Backoff, BridgeClosed, socket_url
from agent_bridge.protocol import (
    BRIDGE,
    Ack,
    CloseCode,
    Nack,
    NackCode,
    Unacceptable,
    Utterance,
)
from agent_bridge.protocol.limits import is_key
from agent_bridge.server.handler import HelloResult, Input
from hub.events import Fence, Gone, Stop
from tests.agent_bridge.bad_frames import MALFORMED
from tests.agent_bridge.serving import KEY, SESSION, Recorder, serve
from tests.agent_bridge.wire import impatient
from tests.wire import Wire

HELLO = ("hello", 1, frozenset[str]())
NOW = datetime(2026, 11, 22, 17, 30, tzinfo=UTC)


def said(
    text: str = "hello", segment: str = "seg_a", *, final: bool = True, **more: Any
) -> Utterance:
    return Utterance(segment=segment, role="USER", text=text, final=final, started_at=NOW, **more)


def client(url: str, token: str, **options: Any) -> BridgeClient:
    return BridgeClient(url, token, backoff=impatient(), **options)


async def next_command(bridge: BridgeClient) -> Command:
    async with asyncio.timeout(10):
        return await anext(aiter(bridge.commands()))


async def settled(bridge: BridgeClient) -> None:
    """Wait until the client holds no unsettled final."""
    async with asyncio.timeout(10):
        await bridge._until(lambda: bridge.unsettled == 0)


async def test_a_conversation_in_order() -> None:
    """The handler gets ready, states, interims, finals and bye once each."""
    async with serve() as served, client(served.url, served.token(), capabilities=["x"]) as bridge:
        await bridge.ready()
        assert bridge.welcome is not None
        assert (bridge.welcome.session, bridge.welcome.attempt) == (SESSION, 1)
        # The protocol lets the handler get a state before it has recorded "ready".
        await served.handler.saw("ready", 1)
        bridge.state("LISTENING")
        await served.handler.saw("state", "LISTENING")
        bridge.utter(said("hel", final=False))
        await served.handler.saw("utterance", "seg_a", 1)
        bridge.utter(said("hello"))
        assert await bridge.bye("DONE")
    assert served.handler.events == [
        ("hello", 1, frozenset({"x"})),
        ("ready", 1),
        ("state", "LISTENING"),
        ("utterance", "seg_a", 1),
        ("utterance", "seg_a", 2),
        ("bye", "DONE"),
    ]


async def test_every_member_arrives_as_it_was_given() -> None:
    """Nothing is lost between the agent's record and the handler's."""
    utterance = said(
        "Hé\n🙂",
        revision=5,
        ended_at=NOW + timedelta(seconds=1),
        interrupted=True,
        confidence=0.5,
        language="fr",
        speaker="guest",
        source="TYPED",
    )
    async with serve() as served:
        async with client(served.url, served.token()) as bridge:
            bridge.utter(utterance)
        assert served.handler.utterances == [utterance]


async def test_only_the_newest_interim_of_a_segment_is_sent_when_the_line_comes_back() -> None:
    """While disconnected, newer interims replace older ones; finals and order stay."""
    async with serve() as served, Wire(served.port) as wire:
        wire.is_refusing = True
        async with client(wire.url, served.token()) as bridge:
            for count in range(1, 6):
                bridge.utter(said("x" * count, "seg_a", final=False))
            bridge.utter(said("one", "seg_b"))
            bridge.utter(said("two", "seg_c"))
            bridge.utter(said("y", "seg_d", final=False))
            wire.is_refusing = False
            await served.handler.saw("utterance", "seg_d", 1)
    sent = [(heard.segment, heard.text) for heard in served.handler.utterances]
    assert sent == [("seg_a", "xxxxx"), ("seg_b", "one"), ("seg_c", "two"), ("seg_d", "y")]


async def test_a_final_whose_ack_is_lost_is_sent_again_until_it_is_acknowledged() -> None:
    """The connection breaks after the server got the finals and before it answered."""
    async with serve() as served, Wire(served.port) as wire:
        async with client(wire.url, served.token()) as bridge:
            await bridge.ready()
            bridge.state("LISTENING")
            await served.handler.saw("state", "LISTENING")
            wire.swallows_answers = True
            bridge.utter(said("one", "seg_a"))
            bridge.utter(said("two", "seg_b"))
            await served.handler.saw("utterance", "seg_b", 1)
            assert bridge.unsettled == 2
            wire.cut()
            wire.swallows_answers = False
            await settled(bridge)
        assert wire.connections == 2
    sent = [heard.segment for heard in served.handler.utterances]
    assert sent == ["seg_a", "seg_b", "seg_a", "seg_b"]
    assert served.handler.events.count(("ready", 1)) == 2
    assert served.handler.events.count(("state", "LISTENING")) == 2


async def test_what_was_acknowledged_is_not_sent_again() -> None:
    """After a reconnect only unacknowledged finals are sent."""
    async with (
        serve() as served,
        Wire(served.port) as wire,
        client(wire.url, served.token()) as bridge,
    ):
        bridge.utter(said("one", "seg_a"))
        await settled(bridge)
        wire.cut()
        bridge.utter(said("two", "seg_b"))
        await settled(bridge)
    assert [heard.segment for heard in served.handler.utterances] == ["seg_a", "seg_b"]


async def test_agents_go_on_when_the_server_restarts() -> None:
    """The first server closes with 1012; the second gets the unacknowledged final."""
    first, second = Recorder(answer=lambda utterance: None), Recorder()
    async with serve(first) as served:
        port = served.port
        bridge = client(served.url, served.token())
        await bridge.__aenter__()
        bridge.utter(said("kept"))
        await first.saw("utterance", "seg_a", 1)
    async with serve(second, port=port):
        await settled(bridge)
        assert await bridge.bye("DONE")
    assert [heard.text for heard in second.utterances] == ["kept"]
    assert second.events[-1] == ("bye", "DONE")


async def test_a_server_that_is_away_is_mentioned_once(caplog: pytest.LogCaptureFixture) -> None:
    """Retries don't repeat the warning, but a later outage logs it again."""
    async with (
        serve() as served,
        Wire(served.port) as wire,
        client(wire.url, served.token()),
    ):
        for connections in (1, 2):
            wire.is_refusing = True
            wire.cut()
            await wire.refuse(3)
            wire.is_refusing = False

            def is_back(seen: int = connections) -> bool:
                return served.handler.events.count(HELLO) == seen

            await served.handler.until(is_back)
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert ["trying again" in record.getMessage() for record in warnings] == [True, True]


async def test_a_final_that_could_not_be_stored_is_sent_again_after_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The nack is not terminal."""
    monkeypatch.setattr("agent_bridge.client.bridge.RESEND_SECONDS", 0.01)
    answers: list[Ack | Nack] = [
        Nack("seg_a", 1, NackCode.NOT_STORED, "busy", terminal=False),
        Nack("seg_a", 1, NackCode.NOT_STORED, "busy", terminal=False),
        Ack("seg_a", 1),
    ]
    async with (
        serve(Recorder(answer=lambda utterance: answers.pop(0))) as served,
        client(served.url, served.token()) as bridge,
    ):
        bridge.utter(said())
        await settled(bridge)
    assert len(served.handler.utterances) == 3


async def test_what_the_server_refuses_for_good_is_dropped_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The callback gets the words; the log has only the code."""
    dropped: list[tuple[str, str]] = []

    def refuse(utterance: Utterance) -> Nack:
        return Nack(utterance.segment, utterance.revision, "LIMIT_EXCEEDED", "full", terminal=True)

    async with (
        serve(Recorder(answer=refuse)) as served,
        client(
            served.url,
            served.token(),
            on_dropped=lambda utterance, code: dropped.append((utterance.text, code)),
        ) as bridge,
    ):
        bridge.utter(said("private words"))
        await settled(bridge)
    assert dropped == [("private words", "LIMIT_EXCEEDED")]
    assert "LIMIT_EXCEEDED" in caplog.text
    assert "private words" not in caplog.text


@pytest.mark.parametrize(
    ("utterance", "code"),
    [
        (said("a\0b"), NackCode.BAD_TEXT),
        (said("\ud800"), NackCode.BAD_TEXT),
        (said("x" * 32769), NackCode.TEXT_TOO_LONG),
        (said(confidence=1.5), NackCode.BAD_VALUE),
        (said(language=""), NackCode.BAD_VALUE),
        (said(ended_at=datetime(2026, 1, 1)), NackCode.BAD_TIMESTAMP),
        (said(ended_at=datetime(1969, 1, 1, tzinfo=UTC)), NackCode.BAD_TIMESTAMP),
    ],
)
async def test_what_the_server_would_refuse_is_refused_where_it_is_said(
    utterance: Utterance, code: NackCode
) -> None:
    """The agent's author gets an exception at once, and nothing is sent."""
    async with serve() as served:
        async with client(served.url, served.token()) as bridge:
            with pytest.raises(Unacceptable) as caught:
                bridge.utter(utterance)
        assert caught.value.code is code
    assert served.handler.utterances == []


async def test_a_segment_or_a_frame_that_cannot_be_sent_is_a_value_error() -> None:
    """It is raised before the client keeps the frame; otherwise each reconnect would fail on it."""
    async with serve() as served, client(served.url, served.token()) as bridge:
        with pytest.raises(ValueError, match="segment"):
            bridge.utter(said(segment="a\nb"))
        with pytest.raises(ValueError, match="as JSON"):
            bridge.utter(said("\x01" * 32000))
        assert bridge.unsettled == 0


async def test_blank_text_is_dropped_before_it_is_sent() -> None:
    """Recognisers often report empty text, which is no fault."""
    async with serve() as served, client(served.url, served.token()) as bridge:
        bridge.utter(said(" \n", final=False))
        bridge.utter(said(""))
        assert bridge.unsettled == 0
    assert served.handler.utterances == []


async def test_a_final_latches() -> None:
    """Interims of a segment that follow its final are not sent."""
    async with serve() as served, client(served.url, served.token()) as bridge:
        bridge.utter(said("all"))
        bridge.utter(said("al", final=False))
        bridge.utter(said("al", final=False, revision=9))
        await settled(bridge)
    assert [(heard.text, heard.final) for heard in served.handler.utterances] == [("all", True)]


@pytest.mark.parametrize("code", [CloseCode.GONE, CloseCode.FENCED, CloseCode.UNAUTHENTICATED])
async def test_a_terminal_close_ends_the_client_for_good(code: CloseCode) -> None:
    """A last command reports it, `ready` raises, and the client doesn't reconnect."""
    dropped: list[str] = []
    handler = Recorder(answer=lambda utterance: None)
    async with serve(handler, fence_seconds=0) as served, Wire(served.port) as wire:
        token = "bad" if code is CloseCode.UNAUTHENTICATED else served.token()
        async with client(
            wire.url, token, on_dropped=lambda utterance, why: dropped.append(why)
        ) as bridge:
            bridge.utter(said())
            if code is not CloseCode.UNAUTHENTICATED:
                await handler.saw("utterance", "seg_a", 1)
                served.command(Gone() if code is CloseCode.GONE else Fence(2))
            seen = [command async for command in bridge.commands()]
            assert seen[-1] == StopCommand(code.name, is_terminal=True)
            assert bridge.closed is not None
            assert bridge.closed.code is code
            with pytest.raises(BridgeClosed):
                await bridge.ready()
            bridge.utter(said("late", "seg_b"))
            assert dropped == [code.name, "CLOSED"]
            assert not await bridge.bye("DONE")
        assert wire.connections == 1


async def test_two_clients_with_one_token_do_not_throw_each_other_out_for_ever() -> None:
    """The first is fenced and stays away."""
    async with serve() as served, Wire(served.port) as wire:
        async with client(wire.url, served.token()) as first:
            await first.ready()
            async with client(wire.url, served.token()) as second:
                await second.ready()
                assert await next_command(first) == StopCommand("FENCED", is_terminal=True)
                second.utter(said())
                await settled(second)
        assert wire.connections == 2


async def test_a_typed_line_comes_once_and_is_acknowledged_when_it_is_done() -> None:
    """The server sends it again after each reconnect, but the agent gets it once."""
    handler = Recorder(found=HelloResult(is_current=True, inputs=(Input("k1", "one"),)))
    async with (
        serve(handler) as served,
        Wire(served.port) as wire,
        client(wire.url, served.token()) as bridge,
    ):
        commands = bridge.commands()
        assert await anext(aiter(commands)) == InputCommand("k1", "one")
        wire.cut()
        await handler.until(lambda: handler.events.count(("hello", 1, frozenset())) == 2)
        assert ("inputAck", "k1") not in handler.events
        served.type("k2", "two")
        assert await anext(aiter(commands)) == InputCommand("k2", "two")
        await handler.saw("inputAck", "k1")
        wire.cut()
        # The server sends the line again, and the client acknowledges it again by itself.
        await handler.until(lambda: handler.events.count(("inputAck", "k1")) >= 2)
    await handler.saw("inputAck", "k2")


async def test_a_line_that_is_answered_later_is_acknowledged_then() -> None:
    """More commands may come meanwhile; open lines stay open for another agent."""
    lines = Input("k1", "one"), Input("k2", "two"), Input("k3", "three")
    handler = Recorder(found=HelloResult(is_current=True, inputs=lines))
    async with serve(handler) as served, client(served.url, served.token()) as bridge:
        commands = aiter(bridge.commands(auto_ack=False))
        taken = [await anext(commands) for _ in lines]
        bridge.acknowledge("k2")
        await handler.saw("inputAck", "k2")
        bridge.acknowledge("k2")
        bridge.acknowledge("of nobody")
        bridge.acknowledge("k1")
    assert taken == [InputCommand(line.key, line.text) for line in lines]
    await handler.saw("bye", "LEFT")
    acknowledged = [event for event in handler.events if event[0] == "inputAck"]
    assert acknowledged == [("inputAck", "k2"), ("inputAck", "k1")]


async def test_stop_is_told_once_and_bye_drains() -> None:
    """The outstanding final is acknowledged before the bye is sent."""
    handler = Recorder(
        found=HelloResult(is_current=True, stop_reason="SAVED"), answer=lambda utterance: None
    )
    async with serve(handler) as served, client(served.url, served.token()) as bridge:
        assert await next_command(bridge) == StopCommand("SAVED")
        bridge.utter(said("last words"))
        leaving = asyncio.create_task(bridge.bye("SAVED"))
        await handler.until(lambda: bool(handler.held))
        assert ("bye", "SAVED") not in handler.events
        handler.held[0][1](Ack("seg_a", 1))
        assert await leaving is True
        assert [command async for command in bridge.commands()] == []
    assert handler.events[-1] == ("bye", "SAVED")


async def test_bye_gives_up_after_its_time_and_says_what_was_left() -> None:
    """It returns `False` and reports the final: nothing is dropped silently."""
    dropped: list[str] = []
    handler = Recorder(answer=lambda utterance: None)
    async with (
        serve(handler, bye_seconds=0.05) as served,
        client(
            served.url,
            served.token(),
            on_dropped=lambda utterance, code: dropped.append(utterance.segment),
        ) as bridge,
    ):
        bridge.utter(said())
        assert await bridge.bye("DONE", timeout=0.05) is False
    assert dropped == ["seg_a"]


async def test_bye_without_a_server_ends_all_the_same() -> None:
    """An agent must be able to stop during a long server outage."""
    async with serve() as served, Wire(served.port) as wire:
        wire.is_refusing = True
        async with client(wire.url, served.token()) as bridge:
            bridge.utter(said())
            assert await bridge.bye("DONE", timeout=0.02) is False


async def test_an_exception_leaves_without_a_bye() -> None:
    """A crashed agent sends no bye; the server gives it time to come back."""
    async with serve() as served:

        async def crash() -> None:
            async with client(served.url, served.token()) as bridge:
                await bridge.ready()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await crash()
        await served.handler.saw("disconnected", 1)
    assert not [event for event in served.handler.events if event[0] == "bye"]


async def test_stops_of_a_running_conversation_reach_the_loop_over_commands() -> None:
    """A server's stop ends the agent's command loop."""
    async with serve() as served, client(served.url, served.token()) as bridge:
        await bridge.ready()
        served.command(Stop("DELETED"))
        assert await next_command(bridge) == StopCommand("DELETED")


@asynccontextmanager
async def faulty(answers: list[str | bytes]) -> AsyncIterator[tuple[str, asyncio.Queue[int]]]:
    """Run a server that welcomes, sends one of `answers`, and collects close codes."""
    codes: asyncio.Queue[int] = asyncio.Queue()

    async def listen(socket: ServerConnection) -> None:
        await socket.recv()
        welcome = {"type": "welcome", "session": SESSION, "attempt": 1, "isCurrent": True}
        await socket.send(json.dumps(welcome))
        await socket.send(answers.pop(0) if answers else '{"type": "stop", "reason": "END"}')
        await socket.wait_closed()
        codes.put_nowait(socket.close_code or 0)

    spoken = [Subprotocol(BRIDGE)]
    async with serve_websockets(listen, "127.0.0.1", 0, subprotocols=spoken) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}", codes


async def test_the_client_closes_malformed_frames_with_bad_frame_and_comes_back() -> None:
    """It rejects the same frames as the endpoint; a broken proxy may have caused them."""
    wrong: list[str | bytes] = [
        *MALFORMED,
        '{"type": "ack", "segment": "s", "revision": "1"}',
        '{"type": "welcome", "session": "s", "attempt": 1, "isCurrent": true}',
    ]
    async with (
        faulty(list(wrong)) as (url, codes),
        BridgeClient(url, "t", backoff=Backoff(first=0)) as bridge,
    ):
        async with asyncio.timeout(20):
            seen = [await codes.get() for _ in wrong]
            command = await next_command(bridge)
    assert seen == [CloseCode.BAD_FRAME] * len(wrong)
    # Afterwards the next connection works.
    assert command == StopCommand("END")


async def test_a_server_that_is_something_else_is_not_tried_again() -> None:
    """HTTP 400 and a missing subprotocol are configuration errors."""

    async def listen(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with serve_websockets(listen, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with client(f"http://127.0.0.1:{port}", "t") as bridge:
            with pytest.raises(BridgeClosed):
                await bridge.ready()


def test_segments_are_random_and_fit_the_protocol() -> None:
    """Segments have 128 random bits, so that two agents never create the same one."""
    segments = {new_segment() for _ in range(1000)}
    assert len(segments) == 1000
    assert all(is_key(segment) and len(segment) == 36 for segment in segments)


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/bridge"),
        ("https://voxql.example/", "wss://voxql.example/bridge"),
        ("wss://voxql.example/voice/", "wss://voxql.example/voice/bridge"),
        ("ws://[::1]:8000", "ws://[::1]:8000/bridge"),
    ],
)
def test_the_address_is_derived_from_the_servers(base: str, address: str) -> None:
    """One setting covers all sockets."""
    assert socket_url(base, "bridge") == address


@pytest.mark.parametrize(
    "base", ["", "voxql.example", "ftp://a", "http://", "http://a?token=1", "http://me:pw@a"]
)
def test_an_address_that_cannot_work_is_refused_at_once(base: str) -> None:
    """Otherwise the client would retry forever."""
    with pytest.raises(ValueError, match="looks like http"):
        BridgeClient(base, KEY)


def test_pauses_grow_to_a_bound_with_full_jitter() -> None:
    """Pauses grow exponentially up to the longest and reset after a steady connection."""
    backoff = Backoff(first=0.1, longest=10.0, steady=5.0)
    for number in range(2000):
        assert 0 <= backoff.pause() <= min(10.0, 0.1 * 2 ** min(number, 30))
    backoff.held(4.9)
    assert backoff.tries == 2000
    backoff.held(5.0)
    assert backoff.pause() <= 0.1
