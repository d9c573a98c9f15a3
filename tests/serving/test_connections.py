"""Clients that send nothing, too slowly or too much are dropped and lock nobody out."""

import asyncio
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from serving import connections
from serving.connections import ConnectionLimits
from serving.process.address import listening_socket, local_address
from serving.process.server import WebServer, WebServerConfig, configured

WITHIN_S = 20.0
GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


async def _echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


class Slow:
    """Answers in two parts; a test triggers the second."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def answer(self, request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one "
            await self.go_on.wait()
            yield b"two"

        return StreamingResponse(parts(), headers={"content-length": "7"})


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


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not is_so():  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.01)


class Line:
    """A connection on which a test sends each byte itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def status(self) -> int:
        async with asyncio.timeout(WITHIN_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1])

    async def until(self, end: bytes) -> bytes:
        async with asyncio.timeout(WITHIN_S):
            return await self._reader.readuntil(end)

    async def rest(self) -> bytes:
        """Read until the server closes the connection."""
        async with asyncio.timeout(WITHIN_S):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    def close(self) -> None:
        self._writer.close()


class Place:
    """A running server."""

    def __init__(self, config: WebServerConfig, port: int, exits: AsyncExitStack) -> None:
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
        await until(lambda: len(self.config.limits._counted) == count)

    async def until_probes(self, count: int) -> None:
        await until(lambda: len(self.config.limits._probes) == count)


@asynccontextmanager
async def serving(most: int = 100, silent: int = 100, app: Starlette = APP) -> AsyncIterator[Place]:
    with listening_socket("127.0.0.1", 0) as sock:
        config = configured(app)
        config.limits = ConnectionLimits(most, silent)
        server = WebServer(config, [])
        task = asyncio.create_task(server.serve(sockets=[sock]))
        await server.opened.wait()
        async with AsyncExitStack() as exits:
            yield Place(config, local_address(sock)[1], exits)
        server.should_exit = True
        await task


async def test_silent_connections_lock_nobody_out() -> None:
    """The oldest gives way to the newest, requests are answered, and one warning is logged."""
    with capture_logs() as logs:
        async with serving(silent=10) as place:
            silent = [await place.line() for _ in range(60)]
            dispatching = await place.line(GET % b"/")

            assert await dispatching.status() == 200
            assert await silent[0].rest() == b""
            assert len(place.config.limits._waiting) <= 10
    assert [log for log in logs if log["event"] == "silent_connections_closed"] == [
        {"event": "silent_connections_closed", "limit": 10, "log_level": "warning"}
    ]


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Half: "])
async def test_a_request_that_is_not_completed_is_given_up(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partial request gets 408; a silent connection is just closed."""
    monkeypatch.setattr(connections, "HEAD_S", 1.0)
    async with serving() as place:
        line = await place.line(said)

        answer = await line.rest()

        assert answer.startswith(b"HTTP/1.1 408 ") if said else answer == b""


async def test_a_second_request_has_a_deadline_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds for later requests on a keep-alive connection."""
    monkeypatch.setattr(connections, "HEAD_S", 1.0)
    async with serving() as place:
        line = await place.line(GET % b"/")
        assert await line.status() == 200
        line.say(b"GET / HT")

        assert b"HTTP/1.1 408 " in await line.rest()


async def test_a_body_that_stops_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body shorter than its Content-Length gets 408."""
    monkeypatch.setattr(connections, "BODY_S", 0.2)
    async with serving() as place:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
        line = await place.line(head, b"12345")

        assert (await line.rest()).startswith(b"HTTP/1.1 408 ")


async def test_a_body_may_come_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte restarts the time-out."""
    deadlines: list[float] = []
    wait = connections.Http._wait

    def watched(self: connections.Http, seconds: float, late: object) -> None:
        wait(self, seconds, late)
        if late == self._body_is_late:
            assert self._deadline is not None
            deadlines.append(self._deadline.when())

    monkeypatch.setattr(connections.Http, "_wait", watched)
    async with serving() as place:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n"
        line = await place.line(head)
        for count in range(1, 7):
            await until(lambda count=count: len(deadlines) >= count)  # type: ignore[misc]
            assert deadlines == sorted(set(deadlines))
            line.say(b"x")

        assert await line.status() == 200


async def test_a_body_that_comes_after_its_answer_does_not_keep_the_connection() -> None:
    """After a refused upload's body has arrived, the connection counts as idle."""
    async with serving() as place:
        place.config.timeout_keep_alive = 1
        line = await place.line(b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        await line.until(b"\r\n\r\nNot Found")
        line.say(b"ab")

        assert await line.rest() == b""


async def test_a_body_that_stops_after_its_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connection closes without a second response."""
    monkeypatch.setattr(connections, "BODY_S", 1.0)
    async with serving() as place:
        line = await place.line(b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        await line.until(b"\r\n\r\nNot Found")
        line.say(b"ab")

        assert await line.rest() == b""


async def test_a_request_after_a_late_body_is_not_cut_off() -> None:
    """The next request cancels the idle timer, even if it came with the body."""
    slow = Slow()
    async with serving(app=Starlette(routes=[Route("/slow", slow.answer)])) as place:
        line = await place.line(b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        await line.until(b"\r\n\r\nNot Found")
        line.say(b"ab" + GET % b"/slow")
        await line.until(b"one ")

        [connection] = place.config.limits._counted
        assert isinstance(connection, connections.Http)
        assert connection.timeout_keep_alive_task is None
        slow.go_on.set()
        assert await line.until(b"two") == b"two"


async def test_what_follows_a_request_is_not_late_before_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a stray empty line, a 408 would corrupt the response in progress."""
    late = asyncio.Event()

    class Watched(connections.Http):
        def _head_is_late(self) -> None:
            super()._head_is_late()
            late.set()

    slow = Slow()
    monkeypatch.setattr(connections, "HEAD_S", 1.0)
    async with serving(app=Starlette(routes=[Route("/slow", slow.answer)])) as place:
        place.config.http = place.config.http_protocol_class = Watched
        line = await place.line(GET % b"/slow")
        await line.until(b"one ")
        line.say(b"\r\n")
        async with asyncio.timeout(WITHIN_S):
            await late.wait()
        slow.go_on.set()

        assert await line.until(b"two") == b"two"


@pytest.mark.parametrize(
    "refused", [GET % (b"/" + b"a" * 20_000), b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 2_000]
)
async def test_a_refusal_does_not_stand_in_the_answer_before(
    refused: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The earlier request is answered; then the connection closes."""
    # Short enough to come in one piece: nothing is unread when the connection closes.
    monkeypatch.setattr(connections, "MAX_HEAD", 1_024)
    slow = Slow()
    async with serving(app=Starlette(routes=[Route("/slow", slow.answer)])) as place:
        line = await place.line(GET % b"/slow")
        await line.until(b"one ")
        [connection] = place.config.limits._counted
        assert isinstance(connection, connections.Http)
        line.say(refused)
        await until(lambda: connection._is_over)
        slow.go_on.set()

        assert await line.rest() == b"two"


async def test_nothing_is_taken_after_a_refusal() -> None:
    """A request sent together with a refused one is ignored."""
    asked: list[str] = []

    async def note(request: Request) -> Response:
        asked.append(request.url.path)
        return PlainTextResponse("")

    async with serving(app=Starlette(routes=[Route("/{path:path}", note)])) as place:
        line = await place.line(GET % (b"/" + b"a" * 20_000) + GET % b"/second")

        assert (await line.rest()).startswith(b"HTTP/1.1 414 ")
        assert asked == []


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
    """This covers a path, one header, and endless headers."""
    async with serving() as place:
        line = await place.line(said)

        assert await line.status() == status


async def test_past_the_bound_only_probes_are_answered() -> None:
    """Others get 503 with Retry-After; WebSockets count and are refused like requests."""
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
            probe = await place.line(GET % b"/healthz" + GET % b"/")
            answer = await probe.rest()
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.count(b"HTTP/1.1 ") == 1
            assert b"\r\nconnection: close\r\n" in answer
            with pytest.raises(InvalidStatus, match="503"):
                await connect(f"ws://127.0.0.1:{place.port}/healthz")
            await place.until_open(3)

            await one.close()
            await place.until_open(2)
            assert await (await place.line(GET % b"/")).status() == 200


async def test_probes_have_a_bound_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not counted with the others, and end with their answer."""
    monkeypatch.setattr(connections, "MAX_PROBES", 2)
    half = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1"
    async with serving(most=1) as place:
        async with connect(f"ws://127.0.0.1:{place.port}/socket"):
            await place.until_open(1)
            probes = [await place.line(half), await place.line(half)]
            await place.until_probes(2)
            refused = await place.line(GET % b"/healthz")
            assert await refused.status() == 503
            await refused.rest()
            assert len(place.config.limits._counted) <= 2

            for probe in probes:
                probe.say(b"2")
                assert (await probe.rest()).startswith(b"HTTP/1.1 200 ")
            await place.until_probes(0)
            assert await (await place.line(GET % b"/healthz")).status() == 200
        await place.until_open(0)
        assert await (await place.line(GET % b"/")).status() == 200


async def test_one_address_can_not_have_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address may have a quarter of them.

    This machine, which may run a proxy, and trusted proxies have no such limit.
    """
    monkeypatch.setattr(ConnectionLimits, "_is_trusted", lambda self, address: False)
    async with serving(most=8) as place:
        url = f"ws://127.0.0.1:{place.port}/socket"
        async with connect(url), connect(url):
            refused = await place.line(GET % b"/")
            assert await refused.status() == 503
            assert b"more than 2 connections from your address" in await refused.rest()


def test_who_is_trusted() -> None:
    """This machine and the addresses and networks of VOXQL_TRUSTED_PROXIES are trusted."""
    some = ConnectionLimits(8, 8, ["203.0.113.7", "198.51.100.0/24"])
    trusted = ["127.0.0.1", "::1", "", "203.0.113.7", "198.51.100.9"]
    assert all(some._is_trusted(address) for address in trusted)
    assert not some._is_trusted("203.0.113.8")
    assert ConnectionLimits(8, 8, ["*"])._is_trusted("203.0.113.8")


class Peer:
    """A connection from a given address."""

    transport: asyncio.Transport

    def __init__(self, host: str) -> None:
        self.client: tuple[str, int] | None = (host, 1)


def refusals(limits: ConnectionLimits, *hosts: str) -> list[bool]:
    """Open a connection from each address; return which ones are refused."""
    found = []
    for host in hosts:
        peer = Peer(host)
        limits.opened(peer)
        limits.began(peer)
        found.append(limits.refusal(peer) is not None)
    return found


def test_a_network_of_one_subscriber_is_one_address() -> None:
    """An IPv6 /64 (RFC 6177) counts as one address, as does an IPv4 address in any notation."""
    limits = ConnectionLimits(8, 8)
    one, other = "2001:db8:0:1::%x", "2001:db8:0:2::%x"
    assert refusals(limits, one % 1, one % 2, one % 3) == [False, False, True]
    assert refusals(limits, other % 1) == [False]
    mapped = ["203.0.113.8", "::ffff:203.0.113.8", "::ffff:203.0.113.8"]
    assert refusals(limits, *mapped) == [False, False, True]


def test_this_machine_and_proxies_have_all_where_one_socket_listens_for_both_kinds() -> None:
    """VOXQL_HOST=:: maps their IPv4 to IPv6; a proxy's neighbour has its own quarter."""
    limits = ConnectionLimits(8, 8, ["10.0.0.0/8", "2001:db8::1"])
    trusted = ["::ffff:127.0.0.1", "::ffff:127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"]
    assert not any(refusals(limits, *trusted))
    assert not any(refusals(limits, *["2001:db8::1"] * 3, "2001:db8::2"))


@pytest.mark.parametrize(
    ("limits", "raised", "most"),
    [
        ((1_024, 4_096), (4_096, 4_096), 4_096 - 256 - connections.RESERVE),
        ((1_024, 1_024), None, 1_024 - 128 - connections.RESERVE),
        (
            (1_024, resource.RLIM_INFINITY),
            (10_384, resource.RLIM_INFINITY),
            connections.MAX_CONNECTIONS,
        ),
        ((20_000, 20_000), None, connections.MAX_CONNECTIONS),
        ((64, 64), None, 1),
    ],
)
def test_there_may_be_as_many_as_the_system_has_descriptors_for(
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[int, int],
    raised: tuple[int, int] | None,
    most: int,
) -> None:
    """The soft limit of open files is raised as needed, and some files are kept in reserve."""
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: told.append(wanted))

    assert connections.limits_for().most == most
    assert told == ([raised] if raised else [])


@pytest.mark.parametrize("error", [OSError(1, "no"), ValueError("no")])
def test_a_limit_that_can_not_be_raised_is_used_as_it_is(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Some systems accept less than the hard limit they report; the server must still start."""

    def refuse(what: int, wanted: tuple[int, int]) -> None:
        raise error

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)

    assert connections.limits_for().most == 1_024 - 128 - connections.RESERVE
