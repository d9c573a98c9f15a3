"""The agents' endpoint over the wire: frames it accepts, its answers and close codes."""

import asyncio
import json
import socket
from datetime import timedelta
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from agent_bridge.protocol import Ack, CloseCode, Nack, NackCode, State
from agent_bridge.server.bridge import FRAMES_IN_A_ROW
from agent_bridge.server.handler import Binding, HelloResult, Input
from agent_bridge.server.tokens import Tokens
from hub.events import Fence, Gone, Stop
from tests.agent_bridge import serving
from tests.agent_bridge.bad_frames import BAD_CONTENTS, BAD_FROM_AGENT, MALFORMED, as_json
from tests.agent_bridge.serving import SECRET, SESSION, Recorder, SlowHub, serve
from tests.agent_bridge.wire import joined, raw, words
from tests.serving.sockets import KINDS


@pytest.fixture(autouse=True, params=KINDS)
def _kind_of_sockets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test on both kinds of WebSocket."""
    monkeypatch.setattr(serving, "kind_of_sockets", request.param)


async def test_every_malformed_frame_closes_with_bad_frame_before_and_after_the_hello() -> None:
    """The handler is told only of the disconnect."""
    async with serve() as served:
        for data in MALFORMED:
            async with raw(served.url) as stranger:
                await stranger.socket.send(data)
                assert await stranger.closed() == CloseCode.BAD_FRAME
        assert served.handler.events == []
        for data in [*MALFORMED, *map(as_json, BAD_FROM_AGENT)]:
            async with joined(served) as agent:
                await agent.socket.send(data)
                assert await agent.closed() == CloseCode.BAD_FRAME
    assert {event[0] for event in served.handler.events} == {"hello", "disconnected"}


async def test_bad_contents_are_nacked_and_the_conversation_goes_on() -> None:
    """Each fault has its code; the valid utterance after it is accepted."""
    async with serve() as served, joined(served) as agent:
        for members, code in BAD_CONTENTS:
            frame = {"type": "utterance", **words(segment="seg_x", revision=3, **members)}
            await agent.socket.send(as_json(frame))
            nack = await agent.receive()
            assert nack.pop("message")
            assert nack == {
                "type": "nack",
                "segment": "seg_x",
                "revision": 3,
                "code": code,
                "terminal": True,
            }
        await agent.send("utterance", **words())
        assert await agent.receive() == {"type": "ack", "segment": "seg_a", "revision": 1}
    assert [utterance.text for utterance in served.handler.utterances] == ["hello"]


@pytest.mark.parametrize(
    "data",
    [
        "x" * (64 * 1024 + 1),
        "ä" * (32 * 1024 + 1),
        '{"type": "ready", "x": "' + "y" * 65536 + '"}',
    ],
)
async def test_a_frame_over_64_kib_closes_with_1009(data: str) -> None:
    """The limit counts bytes, not characters, for any content."""
    async with serve() as served, joined(served) as agent:
        await agent.socket.send(data)
        assert await agent.closed() == 1009


@pytest.mark.parametrize("subprotocol", [None, "graphql-transport-ws", "voxql.bridge.v9"])
async def test_another_subprotocol_is_refused_with_a_reason(subprotocol: str | None) -> None:
    """It gets HTTP 400 with a reason, not a connection that never answers."""
    async with serve() as served:
        with pytest.raises(InvalidStatus) as caught:
            async with raw(served.url, subprotocol):
                pass
    assert caught.value.response.status_code == 400
    assert b"voxql.bridge.v1 or voxql.worker.v1" in (caught.value.response.body or b"")


async def test_a_page_from_anywhere_may_connect_because_it_needs_the_token() -> None:
    """The endpoint ignores the Origin header."""
    async with serve() as served, raw(served.url, origin="https://elsewhere.example") as agent:
        await agent.send("hello", token=served.token())
        assert (await agent.receive())["type"] == "welcome"


async def test_a_token_that_is_not_good_closes_with_unauthenticated() -> None:
    """Foreign, expired, other kinds of, and malformed tokens are refused."""
    async with serve() as served:
        for token in (
            "nonsense",
            "a.b.c",
            Tokens(b"another secret of at least 32 b.").bridge(SESSION, 1),
            Tokens(SECRET).bridge(SESSION, 1, lifetime=timedelta(seconds=-1)),
            Tokens(SECRET).media(SESSION, "agent", 1)[0],
        ):
            async with raw(served.url) as agent:
                await agent.send("hello", token=token)
                assert await agent.closed() == CloseCode.UNAUTHENTICATED
                assert token not in (agent.socket.close_reason or "")
    assert served.handler.events == []


async def test_a_first_frame_that_does_not_come_closes_with_hello_timeout() -> None:
    """A silent connection holds no resources."""
    async with serve(hello_seconds=0.05) as served, raw(served.url) as silent:
        assert await silent.closed() == CloseCode.HELLO_TIMEOUT
    assert served.endpoint.connections == 0


async def test_anything_before_the_hello_or_a_second_hello_is_out_of_place() -> None:
    """The state machine applies on the wire, to valid and invalid contents."""
    async with serve() as served:
        for members in (words(), words(text=" ")):
            async with raw(served.url) as early:
                await early.send("utterance", **members)
                assert await early.closed() == CloseCode.BAD_FRAME
        async with joined(served) as agent:
            await agent.send("hello", token=served.token())
            assert await agent.closed() == CloseCode.BAD_FRAME
    assert served.handler.utterances == []


async def test_a_session_that_is_gone_closes_with_gone() -> None:
    """It may be gone when the agent connects, or disappear while it is connected."""
    async with serve() as served:
        async with joined(served) as agent:
            served.command(Gone())
            assert await agent.closed() == CloseCode.GONE
        served.handler.gone.add(SESSION)
        async with raw(served.url) as late:
            await late.send("hello", token=served.token())
            assert await late.closed() == CloseCode.GONE


async def test_the_same_token_again_fences_the_first_connection() -> None:
    """The second stays and works; the first is told not to come back."""
    async with serve() as served, joined(served) as first, joined(served) as second:
        assert await first.closed() == CloseCode.FENCED
        await second.send("utterance", **words())
        assert (await second.receive())["type"] == "ack"


async def test_of_many_connections_with_one_token_exactly_one_is_left() -> None:
    """However close together they connect, they never all fence each other off."""
    async with serve() as served, asyncio.TaskGroup() as group:
        left: list[int] = []
        closed = asyncio.Semaphore(0)

        async def connect(number: int) -> None:
            async with raw(served.url) as agent:
                await agent.send("hello", token=served.token())
                left.append(number)
                try:
                    assert await agent.closed() in (CloseCode.FENCED, CloseCode.RESTARTING)
                finally:
                    left.remove(number)
                    closed.release()

        for number in range(12):
            group.create_task(connect(number))
        for _ in range(11):
            await closed.acquire()
        assert len(left) == 1
        await served.endpoint.drain()


async def test_a_fence_that_was_published_before_ours_does_not_reach_us_late() -> None:
    """Between processes both fences may follow both hellos; the topic's order decides."""
    hub = SlowHub()
    async with serve(hub=hub) as served, joined(served) as first, joined(served) as second:
        assert len(hub.held) == 2
        hub.deliver()
        assert await first.closed() == CloseCode.FENCED
        await second.send("utterance", **words())
        assert (await second.receive())["type"] == "ack"


async def test_an_older_attempt_drains_its_finals_and_is_then_fenced() -> None:
    """Its finals still count, its interims and states don't; then it is closed."""
    async with (
        serve(fence_seconds=5) as served,
        joined(served, attempt=1) as older,
        joined(served, attempt=2),
    ):
        assert await older.receive() == {"type": "stop", "reason": "FENCED"}
        await older.send("agentState", state="SPEAKING")
        await older.send("utterance", **words("seg_i", final=False))
        assert (await older.receive())["code"] == NackCode.FENCED
        await older.send("utterance", **words("seg_f"))
        assert (await older.receive())["type"] == "ack"
        assert await older.closed() == CloseCode.FENCED
    assert [utterance.segment for utterance in served.handler.utterances] == ["seg_f"]
    assert ("state", "SPEAKING") not in served.handler.events


async def test_a_fenced_attempt_may_leave_by_itself() -> None:
    """`bye` closes it cleanly before its time is over."""
    async with serve() as served, joined(served, attempt=1) as older:
        served.command(Fence(attempt=2))
        assert (await older.receive())["type"] == "stop"
        await older.send("bye", reason="FENCED")
        assert await older.closed() == 1000
    assert served.handler.events[-1] == ("bye", "FENCED")


async def test_an_attempt_that_is_not_current_is_told_so_and_gets_no_typed_lines() -> None:
    """It may connect once more to deliver what it holds."""
    handler = Recorder(found=HelloResult(is_current=False, inputs=(Input("k", "t"),)))
    async with serve(handler) as served, raw(served.url) as agent:
        await agent.send("hello", token=served.token())
        assert (await agent.receive())["isCurrent"] is False
        assert await agent.receive() == {"type": "stop", "reason": "FENCED"}
        await agent.send("utterance", **words())
        assert (await agent.receive())["type"] == "ack"


async def test_what_waits_for_an_agent_comes_right_after_the_welcome() -> None:
    """It gets a stop it missed and each unacknowledged typed line."""
    lines = (Input("k1", "one"), Input("k2", "two"))
    handler = Recorder(found=HelloResult(is_current=True, stop_reason="SAVED", inputs=lines))
    async with serve(handler) as served, joined(served) as agent:
        assert await agent.receive() == {"type": "stop", "reason": "SAVED"}
        assert await agent.receive() == {"type": "input", "key": "k1", "text": "one"}
        assert await agent.receive() == {"type": "input", "key": "k2", "text": "two"}
        await agent.send("inputAck", key="k1")
        await handler.saw("inputAck", "k1")


async def test_an_answer_may_come_much_later_and_speech_goes_on_meanwhile() -> None:
    """The final waits for its commit; the interim behind it is answered at once."""

    def only_interims(utterance: Any) -> Ack | None:
        return None if utterance.final else Ack(utterance.segment, utterance.revision)

    async with serve(Recorder(answer=only_interims)) as served, joined(served) as agent:
        await agent.send("utterance", **words("seg_f"))
        await agent.send("utterance", **words("seg_i", final=False))
        assert (await agent.receive())["segment"] == "seg_i"
        _, reply = served.handler.held[0]
        reply(Nack("seg_f", 1, NackCode.NOT_STORED, "the disk is full", terminal=False))
        assert (await agent.receive())["code"] == NackCode.NOT_STORED


async def test_after_bye_the_owed_answers_come_before_the_close() -> None:
    """An early bye loses nothing; the handler gets it after the answers."""
    async with (
        serve(Recorder(answer=lambda utterance: None)) as served,
        joined(served) as agent,
    ):
        await agent.send("utterance", **words())
        await agent.send("bye", reason="DONE")
        await served.handler.until(lambda: bool(served.handler.held))
        assert ("bye", "DONE") not in served.handler.events
        _, reply = served.handler.held[0]
        reply(Ack("seg_a", 1))
        assert (await agent.receive())["type"] == "ack"
        assert await agent.closed() == 1000
    assert served.handler.events[-1] == ("bye", "DONE")


async def test_answers_that_never_come_hold_a_bye_only_so_long() -> None:
    """The deadline for owed answers ends the wait."""
    async with (
        serve(Recorder(answer=lambda utterance: None), bye_seconds=0.05) as served,
        joined(served) as agent,
    ):
        await agent.send("utterance", **words())
        await agent.send("bye", reason="DONE")
        assert await agent.closed() == 1000


async def test_a_broken_connection_is_told_once_and_a_good_bye_is_not_a_broken_one() -> None:
    """The handler gets `disconnected` for the one and `bye` for the other."""
    async with serve() as served:
        async with joined(served) as agent:
            agent.socket.transport.abort()
            await served.handler.saw("disconnected", 1)
        async with joined(served) as agent:
            await agent.send("bye", reason="DONE")
            assert await agent.closed() == 1000
    assert [event[0] for event in served.handler.events] == [
        "hello",
        "disconnected",
        "hello",
        "bye",
    ]


async def test_a_fault_of_the_handler_closes_with_internal_and_says_nothing_of_it() -> None:
    """The agent may reconnect; the error goes only to the log."""

    def fail(utterance: Any) -> Ack:
        raise RuntimeError("secret")

    async with serve(Recorder(answer=fail)) as served, joined(served) as agent:
        await agent.send("utterance", **words())
        assert await agent.closed() == CloseCode.INTERNAL
        assert "secret" not in (agent.socket.close_reason or "")
        await served.handler.saw("disconnected", 1)


class Turns(Recorder):
    """Counts the states that come in each turn of the event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[int] = [0]

    def agent_state(self, binding: Binding, connection: str, state: State) -> None:
        self.turns[-1] += 1
        super().agent_state(binding, connection, state)

    async def count(self) -> None:
        while True:
            self.turns.append(0)
            await asyncio.sleep(0)


async def test_frames_that_come_at_once_are_taken_in_portions() -> None:
    """The loop serves others in between, and speech loses nothing."""
    handler, number = Turns(), 400
    async with serve(handler) as served, joined(served) as agent:
        counting = asyncio.create_task(handler.count())
        frame = json.dumps({"type": "agentState", "state": "THINKING"}).encode()
        burst = b"".join(Frame(Opcode.TEXT, frame).serialize(mask=True) for _ in range(number))
        assert len(burst) < 64 * 1024, "one read"
        agent.socket.transport.write(burst)
        await agent.send("utterance", **words())
        assert (await agent.receive())["type"] == "ack"
        counting.cancel()

    assert sum(handler.turns) == number
    assert max(handler.turns) <= FRAMES_IN_A_ROW + 1, "one more was read in the same turn"


async def test_an_agent_that_does_not_read_is_closed_and_does_not_grow_memory() -> None:
    """Typed lines for it queue up to a bound, and no other agent is delayed."""
    async with serve() as served:
        stuck = socket.socket()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", served.port))
        stuck.setblocking(False)
        async with raw(served.url, sock=stuck, max_queue=1) as agent:
            await agent.send("hello", token=served.token())
            await served.handler.saw("hello", 1, frozenset())
            line = "x" * (32 * 1024)
            async with asyncio.timeout(20):
                while ("disconnected", 1) not in served.handler.events:
                    served.type("k", line)
                    await asyncio.sleep(0)
            agent.socket.transport.abort()


async def test_draining_closes_everybody_with_1012_and_takes_nobody_new() -> None:
    """Agents can then reconnect to this server or another."""
    async with serve() as served, joined(served) as agent:
        await served.endpoint.drain()
        assert await agent.closed() == CloseCode.RESTARTING
        assert served.endpoint.connections == 0
        with pytest.raises(InvalidStatus) as caught:
            async with raw(served.url):
                pass
        assert caught.value.response.status_code == 503


async def test_stop_and_typed_lines_reach_the_agent_that_is_there() -> None:
    """They come through the hub, as from any process; those of other sessions do not."""
    async with serve() as served, joined(served) as agent:
        served.command(Stop("DELETED"), session="ses_other")
        served.type("k", "hello")
        served.command(Stop("SAVED"))
        assert await agent.receive() == {"type": "input", "key": "k", "text": "hello"}
        assert await agent.receive() == {"type": "stop", "reason": "SAVED"}


async def test_the_longest_line_full_of_control_characters_arrives() -> None:
    """It grows to 192 KiB in JSON, which must not break this or any later connection."""
    line = "\x01" * (32 * 1024)
    async with serve() as served, joined(served) as agent:
        served.type("k", line)
        assert json.loads(await agent.socket.recv())["text"] == line


async def test_an_agent_that_is_closed_while_it_arrives_is_counted_out_again() -> None:
    """Every accepted hello is followed by a bye or a disconnected."""
    arriving, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Recorder):
        async def hello(self, *arguments: Any) -> HelloResult:
            arriving.set()
            await go_on.wait()
            return await super().hello(*arguments)

    handler = Slow()
    async with serve(handler) as served, raw(served.url) as agent:
        await agent.send("hello", token=served.token())
        await arriving.wait()
        draining = asyncio.create_task(served.endpoint.drain())
        # After the connection was ended, which `drain` does at once.
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        await draining
        assert await agent.closed() == CloseCode.RESTARTING
    assert handler.events == [("hello", 1, frozenset()), ("disconnected", 1)]
