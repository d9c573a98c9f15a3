"""The server tells connected clients that it stops before it disconnects them."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.server import ServerState
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.protocol import OPEN

from hub.subscription import ReaderTooSlow
from serving.process import server as server_module
from serving.process.address import listening_socket, local_address
from serving.process.server import Hook, Socket, WebServer, configured
from serving.refusal import CannotServe

CLOSE_FRAME: Final = bytes([0x88, 0x80, 0, 0, 0, 0])
"""A client's close frame, masked and empty: RFC 6455, section 5.2."""


@asynccontextmanager
async def running(app: Starlette, *hooks: Hook) -> AsyncIterator[tuple[WebServer, str]]:
    with listening_socket("127.0.0.1", 0) as sock:
        host, port = local_address(sock)
        server = WebServer(configured(app), hooks)
        task = asyncio.create_task(server.serve(sockets=[sock]))
        await server.opened.wait()
        try:
            yield server, f"ws://{host}:{port}/"
        finally:
            server.should_exit = True
            await task


async def test_hooks_run_while_connections_are_open() -> None:
    """A stream can still send its reason before its socket closes."""
    stopping = asyncio.Event()

    async def stream(websocket: WebSocket) -> None:
        await websocket.accept()
        await stopping.wait()
        await websocket.send_text("SERVER_SHUTDOWN")
        await websocket.close()

    async def hook() -> None:
        stopping.set()

    app = Starlette(routes=[WebSocketRoute("/", stream)])
    async with running(app, hook) as (server, url), connect(url) as client:
        server.handle_exit(signal.SIGTERM, None)

        assert await client.recv() == "SERVER_SHUTDOWN"


async def test_a_hook_that_fails_does_not_keep_the_others_from_running() -> None:
    """The agent must be stopped even if ending the streams failed."""
    order: list[str] = []

    async def broken() -> None:
        order.append("broken")
        raise RuntimeError("on purpose")

    async def sound() -> None:
        order.append("sound")

    async with running(Starlette(), broken, sound):
        pass

    assert order == ["broken", "sound"]


async def test_a_second_ctrl_c_stops_at_once() -> None:
    """A person who presses it twice doesn't want to wait for hooks."""
    began = asyncio.Event()

    async def endless() -> None:
        began.set()
        await asyncio.Event().wait()

    async with running(Starlette(), endless) as (server, _):
        server.handle_exit(signal.SIGINT, None)
        await began.wait()

        server.handle_exit(signal.SIGINT, None)


def test_a_port_in_use_is_refused_with_a_way_out() -> None:
    """The message suggests another port."""
    with listening_socket("127.0.0.1", 0) as taken:
        _, port = local_address(taken)

        with pytest.raises(CannotServe, match=f"Port {port} on 127.0.0.1 is in use already") as no:
            listening_socket("127.0.0.1", port)

    assert f"VOXQL_PORT={port + 1}" in str(no.value)


def test_a_host_that_is_none_is_refused() -> None:
    """A misspelt host gets a different message than a port in use."""
    with pytest.raises(CannotServe, match="isn't an address of this machine"):
        listening_socket("no such host", 0)


async def test_a_client_that_leaves_in_the_same_moment_does_not_break_the_stop() -> None:
    """Nothing is sent after its close frame, even before its connection is closed."""
    accepted = asyncio.Event()

    async def listen(websocket: WebSocket) -> None:
        await websocket.accept()
        accepted.set()
        with suppress(WebSocketDisconnect):
            await websocket.receive_text()

    async with (
        running(Starlette(routes=[WebSocketRoute("/", listen)])) as (server, url),
        connect(url),
    ):
        await accepted.wait()
        [connection] = server.server_state.connections
        assert isinstance(connection, Socket)
        connection.data_received(CLOSE_FRAME)
        server.handle_exit(signal.SIGTERM, None)
        connection.shutdown()

        assert connection.transport.is_closing()


def test_what_is_written_to_a_client_that_is_gone_is_dropped() -> None:
    """A publisher must not meet uvloop's error for a transport that is closed."""
    gone = asyncio.Event()

    async def listen(websocket: WebSocket) -> None:
        await websocket.accept()
        with suppress(WebSocketDisconnect):
            await websocket.receive_text()
        gone.set()

    async def work() -> None:
        async with (
            running(Starlette(routes=[WebSocketRoute("/", listen)])) as (server, url),
            connect(url),
        ):
            [connection] = server.server_state.connections
            assert isinstance(connection, Socket)
            connection.transport.abort()
            await gone.wait()

            connection.write("too late")
            connection.close(1000, "too late")

            assert connection.queue.empty()

    with asyncio.Runner(
        loop_factory=uvicorn.Config("", log_config=None).get_loop_factory()
    ) as runner:
        runner.run(work())


async def test_a_refused_handshake_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    """A wrong subprotocol is the client's error, so the error log stays empty."""

    async def refuse(websocket: WebSocket) -> None:
        await websocket.send_denial_response(PlainTextResponse("no", status_code=400))

    app = Starlette(routes=[WebSocketRoute("/", refuse)])
    async with running(app) as (_, url):
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)

    assert refused.value.response.body == b"no"
    assert [record for record in caplog.records if record.name == "uvicorn.error"] == []


class FullSoon(asyncio.Transport):
    """A client that reads nothing: after one message its buffer is full."""

    def __init__(self) -> None:
        super().__init__()
        self.socket: Socket | None = None
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))
        if self.socket is not None:
            self.socket.pause_writing()

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.written))


async def test_of_two_streams_that_wait_for_room_both_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both wake up; the first fills the buffer, and the second's time-out still applies."""
    monkeypatch.setattr(server_module, "STUCK_READER_S", 0.2)
    transport = FullSoon()
    config = configured(Starlette())
    socket = Socket(config, ServerState(), {})
    socket.connection_made(transport)
    socket.handshake_complete = True
    socket.conn.state = OPEN
    transport.socket = socket
    socket.pause_writing()

    async def send() -> None:
        while not socket.is_writable:
            await socket.until_writable()
        socket.write("x")

    sends = [asyncio.create_task(send()) for _ in range(2)]
    await asyncio.sleep(0)  # both have begun to wait
    socket.resume_writing()

    async with asyncio.timeout(20):
        told = await asyncio.gather(*sends, return_exceptions=True)

    assert told[0] is None
    assert isinstance(told[1], ReaderTooSlow)
    assert len(transport.written) == 1
