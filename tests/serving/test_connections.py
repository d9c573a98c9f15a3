"""Who says nothing, too slowly or too much is sent away, and keeps nobody else out."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from serving import connections
from serving.address import listening_socket, local_address
from serving.connections import ConnectionLimits
from serving.server import Config, Server, configured

WITHIN_S = 20.0
GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


async def _echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def _socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive()


APP = Starlette(
    routes=[
        Route("/", _echo, methods=["GET", "POST"]),
        Route("/healthz", _echo),
        WebSocketRoute("/socket", _socket),
    ]
)


class Line:
    """A connection on which a test says each byte itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def status(self) -> int:
        async with asyncio.timeout(WITHIN_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1])

    async def rest(self) -> bytes:
        """Read until the server closes it."""
        async with asyncio.timeout(WITHIN_S):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    def close(self) -> None:
        self._writer.close()


class Place:
    """A running server."""

    def __init__(self, config: Config, port: int, exits: AsyncExitStack) -> None:
        self.config = config
        self.port = port
        self._exits = exits

    async def line(self, *said: bytes) -> Line:
        line = Line(*await asyncio.open_connection("127.0.0.1", self.port))
        self._exits.callback(line.close)
        for piece in said:
            line.say(piece)
        return line

    async def until_open(self, count: int) -> None:
        async with asyncio.timeout(WITHIN_S):
            while True:
                if len(self.config.limits._counted) == count:
                    return
                await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(most: int = 100, silent: int = 100) -> AsyncIterator[Place]:
    with listening_socket("127.0.0.1", 0) as sock:
        config = configured(APP)
        config.limits = ConnectionLimits(most, silent)
        server = Server(config, [])
        task = asyncio.create_task(server.serve(sockets=[sock]))
        await server.opened.wait()
        async with AsyncExitStack() as exits:
            yield Place(config, local_address(sock)[1], exits)
        server.should_exit = True
        await task


async def test_silent_connections_lock_nobody_out() -> None:
    """The oldest gives way to the newest; who asks is answered. The log says so once."""
    with capture_logs() as logs:
        async with serving(silent=10) as place:
            silent = [await place.line() for _ in range(60)]
            asking = await place.line(GET % b"/")

            assert await asking.status() == 200
            assert await silent[0].rest() == b""
            assert len(place.config.limits._waiting) <= 10
    assert [log for log in logs if log["event"] == "silent_connections_closed"] == [
        {"event": "silent_connections_closed", "limit": 10, "log_level": "warning"}
    ]


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Half: "])
async def test_a_request_that_is_not_completed_is_given_up(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 408 where something of it came; a connection that says nothing is just closed."""
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    async with serving() as place:
        line = await place.line(said)

        answer = await line.rest()

        assert answer.startswith(b"HTTP/1.1 408 ") if said else answer == b""


async def test_a_second_request_has_a_deadline_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a connection that is kept alive."""
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    async with serving() as place:
        line = await place.line(GET % b"/")
        assert await line.status() == 200
        line.say(b"GET / HT")

        assert b"HTTP/1.1 408 " in await line.rest()


async def test_a_body_that_stops_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its length was promised; the rest does not come."""
    monkeypatch.setattr(connections, "BODY_S", 0.2)
    async with serving() as place:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
        line = await place.line(head, b"12345")

        assert (await line.rest()).startswith(b"HTTP/1.1 408 ")


async def test_a_body_may_come_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then is enough."""
    monkeypatch.setattr(connections, "BODY_S", 1.0)
    async with serving() as place:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n"
        line = await place.line(head)
        for _ in range(6):
            await asyncio.sleep(0.2)
            line.say(b"x")

        assert await line.status() == 200


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /" + b"a" * 200_000, 414),
        (b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 200_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"X-Many: aaaa\r\n" * 20_000, 431),
    ],
)
async def test_what_is_too_long_is_refused_before_it_is_complete(said: bytes, status: int) -> None:
    """A path, a header, headers without end."""
    async with serving() as place:
        line = await place.line(said)

        assert await line.status() == status


async def test_past_the_bound_only_probes_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 503 and when to come again; WebSockets count, and are refused, like requests."""
    async with serving(most=3) as place:
        url = f"ws://127.0.0.1:{place.port}/socket"
        async with connect(url) as one, connect(url), connect(url):
            await place.until_open(3)
            refused = await place.line(GET % b"/")
            assert await refused.status() == 503
            assert b"too many connections" in await refused.rest()
            with pytest.raises(InvalidStatus) as status:
                await connect(url)
            assert status.value.response.status_code == 503
            assert status.value.response.headers["Retry-After"] == "5"
            probe = await place.line(GET % b"/healthz")
            assert await probe.status() == 200
            probe.close()
            await place.until_open(3)

            await one.close()
            await place.until_open(2)
            assert await (await place.line(GET % b"/")).status() == 200


async def test_one_address_can_not_have_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter; but this machine, on which a proxy may be, and proxies that are trusted."""
    monkeypatch.setattr(ConnectionLimits, "_is_trusted", lambda self, address: False)
    async with serving(most=8) as place:
        url = f"ws://127.0.0.1:{place.port}/socket"
        async with connect(url), connect(url):
            refused = await place.line(GET % b"/")
            assert await refused.status() == 503
            assert b"more than 2 connections from your address" in await refused.rest()


def test_who_is_trusted() -> None:
    """This machine, and what VOXQL_TRUSTED_PROXIES names: addresses and networks."""
    some = ConnectionLimits(8, 8, ["203.0.113.7", "198.51.100.0/24"])
    trusted = ["127.0.0.1", "::1", "", "203.0.113.7", "198.51.100.9"]
    assert all(some._is_trusted(address) for address in trusted)
    assert not some._is_trusted("203.0.113.8")
    assert ConnectionLimits(8, 8, ["*"])._is_trusted("203.0.113.8")


@pytest.mark.parametrize(
    ("limits", "raised", "most"),
    [
        ((1_024, 4_096), (4_096, 4_096), 4_096 - 256 - connections.RESERVE),
        ((1_024, 1_024), None, 1_024 - 128 - connections.RESERVE),
        ((1_024, resource.RLIM_INFINITY), (10_384, resource.RLIM_INFINITY), connections.MOST),
        ((20_000, 20_000), None, connections.MOST),
        ((64, 64), None, 1),
    ],
)
def test_there_may_be_as_many_as_the_system_has_descriptors_for(
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[int, int],
    raised: tuple[int, int] | None,
    most: int,
) -> None:
    """The soft limit of open files is raised as far as it helps, and some are kept back."""
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: told.append(wanted))

    assert connections.limits_for().most == most
    assert told == ([raised] if raised else [])
