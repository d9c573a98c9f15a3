"""A connection whose client is slow, or whose messages fail: what it writes, and in which order."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from hub.subscription import ReaderTooSlow
from resolvers.backend import Backend
from schema.executable import EXECUTABLE
from schema.operations import long_json
from schema.operations.documents import Documents
from schema.operations.events import Selections
from schema.operations.execution import execute
from schema.transport.connection import Connection, SocketContext
from schema.transport.protocol import ACK, INTERNAL_ERROR, PONG
from serving.access import Access

URL = "http://127.0.0.1:8000"
EXECUTE = "schema.transport.connection.execute"
WITHIN_S = 10.0


@dataclass
class Slow:
    """An outlet whose client reads only when the test says so."""

    is_writable: bool = True
    is_paused: bool = False
    messages: list[dict[str, Any]] = field(default_factory=list)
    closed: tuple[int, str] | None = None
    waits: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    async def until_writable(self) -> None:
        self.waits += 1
        self.changed.set()
        await asyncio.sleep(0)
        if not self.is_writable:
            raise ReaderTooSlow

    def write(self, text: str) -> None:
        self.messages.append(json.loads(text))
        self.changed.set()

    def close(self, code: int, reason: str) -> None:
        self.closed = code, reason

    async def until(self, count: int) -> None:
        """Wait until so many messages were written."""
        async with asyncio.timeout(WITHIN_S):
            while len(self.messages) < count:
                self.changed.clear()
                await self.changed.wait()

    async def until_waited(self, times: int) -> None:
        """Wait until the connection has waited for the client so often again."""
        async with asyncio.timeout(WITHIN_S):
            times += self.waits
            while self.waits < times:
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
async def connection(backend: Backend, slow: Slow) -> AsyncIterator[Connection]:
    """A connection that has been acknowledged."""
    handshake = HTTPConnection({"type": "websocket", "headers": []})
    documents = Documents(EXECUTABLE._schema)
    context = SocketContext(backend, Access(backend, URL), documents, Selections(), handshake)
    connection = Connection(context, slow)
    connection.receive('{"type":"connection_init"}')
    await slow.until(1)
    assert slow.messages.pop() == json.loads(ACK)
    yield connection
    await connection.closed()


def subscribe(id_: str) -> str:
    message = {"id": id_, "type": "subscribe", "payload": {"query": "{ viewer { id } }"}}
    return json.dumps(message)


ANSWER = [
    {"id": "1", "type": "next", "payload": {"data": {"viewer": None}}},
    {"id": "1", "type": "complete"},
]


async def test_an_answer_waits_for_a_client_that_reads_again_later(
    connection: Connection, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client gets the answer, however long it did not read, and may use the id again."""

    async def executed(*args: Any) -> Any:
        slow.is_writable = False
        return await execute(*args)

    monkeypatch.setattr(EXECUTE, executed)
    connection.receive(subscribe("1"))
    await slow.until_waited(3)
    assert slow.messages == []

    slow.is_writable = True
    await slow.until(2)
    assert slow.messages == ANSWER
    monkeypatch.undo()
    connection.receive(subscribe("1"))
    await slow.until(4)

    assert slow.messages == ANSWER * 2
    assert slow.closed is None


async def test_what_must_be_answered_waits_until_the_client_reads(
    connection: Connection, slow: Slow
) -> None:
    """Otherwise a client that reads nothing would have answers without limit written."""
    slow.is_writable = False
    connection.receive('{"type":"ping"}')
    connection.receive(subscribe("1"))
    await slow.until_waited(3)
    assert slow.is_paused
    assert slow.messages == []

    slow.is_writable = True
    await slow.until(3)

    assert slow.messages == [json.loads(PONG), *ANSWER]
    assert not slow.is_paused


async def test_complete_is_taken_although_the_client_does_not_read(
    connection: Connection, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server stops work that the client does not want any more."""
    began, stopped = asyncio.Event(), asyncio.Event()

    async def executed(*_: Any) -> Any:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    monkeypatch.setattr(EXECUTE, executed)
    connection.receive(subscribe("1"))
    async with asyncio.timeout(WITHIN_S):
        await began.wait()
        slow.is_writable = False
        connection.receive('{"id":"1","type":"complete"}')
        await stopped.wait()

    assert slow.messages == []
    assert not slow.is_paused


async def test_a_fault_in_a_message_closes_only_its_connection(
    connection: Connection, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is not hit by it, and the client learns no details."""

    def broken(_: str) -> object:
        raise LookupError("what somebody said")

    monkeypatch.setattr(long_json, "read_short", broken)
    connection.receive('{"type":"ping"}')

    assert slow.closed == (INTERNAL_ERROR, "Internal server error")
    monkeypatch.undo()
    connection.receive('{"type":"ping"}')
    assert slow.messages == []
