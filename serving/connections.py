"""Deadlines for silent connections, and limits on the number of connections.

uvicorn by itself waits for ever for the rest of a request, reads a header of any size, and accepts
connections until no descriptor is left, so that a thousand silent ones lock everybody out.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final, Protocol, cast

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hub.direct import DIRECT
from resolvers.accounts.rate_limits import place_of

HEAD_S: Final = 20.0
"""Seconds to receive a request's header, from the connection or from its first byte."""
BODY_S: Final = 20.0
"""Seconds without a byte of an incomplete body."""
MAX_HEAD: Final = 64 * 1024
"""Bytes of a header. A little more is accepted if it arrives in one piece."""
MAX_TARGET: Final = 16 * 1024
"""Bytes of a path with its query string."""
MAX_CONNECTIONS: Final = 10_000
"""Connections in all, if the system allows so many descriptors."""
MAX_WITHOUT_REQUEST: Final = 256
"""Connections without a complete header; beyond this the oldest is closed."""
RESERVE: Final = 128
"""Descriptors for the database, logs, and whatever else the server opens."""
ADDRESS_FRACTION: Final = 1 / 4
"""The share of connections for one address; this machine and trusted proxies may use all."""
PROBES: Final = frozenset({b"/healthz", b"/readyz", b"/metrics"})
"""Paths answered even with too many connections; their connection is then closed."""
MAX_PROBES: Final = 16
"""Connections of such probes at once; their descriptors are taken from `RESERVE`."""
LOGGED_EVERY_S: Final = 60.0

log = structlog.get_logger(__name__)


class CountedConnection(Protocol):
    """A connection that is counted."""

    transport: asyncio.Transport
    client: tuple[str, int] | None


class ConnectionLimits:
    """Counts the connections of one server.

    Args:
        most: Maximum number of connections, without the silent ones.
        silent: Maximum number of connections that have not sent a complete header.
        proxies: Addresses and networks without a limit per address.
    """

    def __init__(self, most: int, silent: int, proxies: Sequence[str] = ()) -> None:
        self.most = most
        self.silent = silent
        self._proxies = [ip_network(each, strict=False) for each in proxies if each != "*"]
        self._trusts_all = "*" in proxies
        self._waiting: dict[CountedConnection, None] = {}
        self._counted: dict[CountedConnection, str] = {}
        """The address or network of each; "" if it has no limit per address."""
        self._by_place: Counter[str] = Counter()
        self._probes: set[CountedConnection] = set()
        self._logged: dict[str, float] = {}

    def opened(self, connection: CountedConnection) -> None:
        """Count a new connection, which has sent nothing yet."""
        self._waiting[connection] = None
        if len(self._waiting) > self.silent:
            oldest = next(iter(self._waiting))
            self._note("silent_connections_closed", limit=self.silent)
            self._waiting.pop(oldest)
            oldest.transport.abort()

    def began(self, connection: CountedConnection) -> None:
        """Note that a connection's header is complete; from now on it counts towards `most`."""
        if connection in self._waiting:
            del self._waiting[connection]
            address = connection.client[0] if connection.client else ""
            place = "" if self._is_trusted(address) else place_of(address)
            self._counted[connection] = place
            self._by_place[place] += 1

    def upgraded(self, connection: CountedConnection, other: CountedConnection) -> None:
        """Keep counting a connection that another protocol has taken over."""
        self._counted[other] = self._counted.pop(connection)

    def closed(self, connection: CountedConnection) -> None:
        """Stop counting a closed connection."""
        self._waiting.pop(connection, None)
        self._probes.discard(connection)
        self._leave(connection)

    def refusal(self, connection: CountedConnection) -> str | None:
        """Return why a request is refused, or None."""
        if len(self._counted) > self.most:
            self._note("too_many_connections", limit=self.most)
            return "There are too many connections. Try again in a moment."
        place = self._counted.get(connection, "")
        share = max(1, int(self.most * ADDRESS_FRACTION))
        if place and self._by_place[place] > share:
            self._note("too_many_connections_from_one_address", limit=share)
            return f"There are more than {share} connections from your address."
        return None

    def takes_probe(self, connection: CountedConnection) -> bool:
        """Return whether a probe is answered although there are too many connections.

        If so, its connection now counts as a probe's and must be closed after the answer.
        """
        if len(self._probes) >= MAX_PROBES:
            return False
        self._leave(connection)
        self._probes.add(connection)
        return True

    def _leave(self, connection: CountedConnection) -> None:
        place = self._counted.pop(connection, None)
        if place is not None:
            self._by_place[place] -= 1
            if not self._by_place[place]:
                del self._by_place[place]

    def _is_trusted(self, address: str) -> bool:
        if self._trusts_all or not address:
            return True
        parsed = ip_address(address)
        if isinstance(parsed, IPv6Address):
            # A dual-stack socket shows IPv4 addresses in this form.
            parsed = parsed.ipv4_mapped or parsed
        return parsed.is_loopback or any(parsed in network for network in self._proxies)

    def _note(self, what: str, **facts: int) -> None:
        now = time.monotonic()
        if now - self._logged.get(what, -LOGGED_EVERY_S) >= LOGGED_EVERY_S:
            self._logged[what] = now
            log.warning(what, **facts)


def limits_for(proxies: Sequence[str] = ()) -> ConnectionLimits:
    """Return limits that fit the number of descriptors this process may have."""
    limit = open_files()
    silent = min(MAX_WITHOUT_REQUEST, limit // 8)
    most = max(1, min(MAX_CONNECTIONS, limit - silent - RESERVE))
    return ConnectionLimits(most, silent, proxies)


def open_files() -> int:
    """Raise the soft limit of open files towards the hard one, as far as needed; return it.

    If the system does not allow it, the old limit stays.
    """
    enough = MAX_CONNECTIONS + MAX_WITHOUT_REQUEST + RESERVE
    if sys.platform == "win32":
        return enough
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = enough if hard == resource.RLIM_INFINITY else min(enough, hard)
    if soft != resource.RLIM_INFINITY and soft < highest:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
        except (OSError, ValueError):  # macOS and sandboxes may allow less than the hard limit
            log.warning("open_files_not_raised", limit=soft, wanted=highest)
            return soft
    return highest if soft == resource.RLIM_INFINITY else max(soft, highest)


class Http(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with deadlines and limits."""

    def __init__(self, config: Any, server_state: Any, app_state: Any, **options: Any) -> None:
        super().__init__(config, server_state, app_state, **options)
        self.limits: ConnectionLimits = config.limits
        self._deadline: asyncio.TimerHandle | None = None
        self._reads_head = True
        self._head = 0
        self._is_last = False
        """Whether the connection is closed after the current request."""
        self._is_over = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for a request."""
        super().connection_made(transport)
        self.limits.opened(self)
        self._wait(HEAD_S, self._head_is_late)

    def on_message_begin(self) -> None:
        """Tell the app what this server offers its WebSockets."""
        super().on_message_begin()
        cast(dict[str, object], self.scope)["extensions"] = {DIRECT: {}}

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting the connection, unless a WebSocket has taken it over."""
        self._wait_no_more()
        self.limits.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received data while it is within the limits."""
        if self._is_over:
            return
        if self._reads_head:
            self._head += len(data)
            if self._deadline is None:
                self._wait(HEAD_S, self._head_is_late)
        super().data_received(data)
        if not self._reads_head or self.transport.is_closing():
            return
        if len(getattr(self, "url", b"")) > MAX_TARGET:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG)
        elif self._head > MAX_HEAD:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Accept the request, or refuse it if there are too many connections."""
        self._is_over = self._is_over or self._is_last
        if self._is_over:
            return
        self._reads_head = False
        self._head = 0
        self._wait_no_more()
        self._unset_keepalive_if_required()
        self.limits.began(self)
        if len(self.url) > MAX_TARGET:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG)
            return
        refusal = self.limits.refusal(self)
        if refusal is not None and not (self._is_probe() and self.limits.takes_probe(self)):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, refusal)
            return
        super().on_headers_complete()
        if refusal is not None:
            self.cycle.keep_alive = False
            self._is_last = True
        self._wait(BODY_S, self._body_is_late)

    def on_body(self, body: bytes) -> None:
        """Accept a piece of a body."""
        if self._is_over:
            return
        self._wait(BODY_S, self._body_is_late)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next request, once this one is answered."""
        self._wait_no_more()
        self._reads_head = True
        if self._is_over:
            return
        super().on_message_complete()
        newest = self._newest()
        if newest is not None and newest.response_complete and newest.more_body:
            # It was answered before its body was complete. The rest of the body stopped uvicorn's
            # keep-alive timer, which only an answer starts.
            newest.more_body = False
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection to a WebSocket."""
        if self._is_over:
            return
        self._wait_no_more()
        super().handle_websocket_upgrade()
        self.limits.upgraded(self, cast(CountedConnection, self.transport.get_protocol()))

    def _newest(self) -> RequestResponseCycle | None:
        # uvicorn's annotation claims that there is always one.
        return self.cycle

    def _is_probe(self) -> bool:
        is_upgrade = self.parser.should_upgrade() and self._should_upgrade()
        return self.url.partition(b"?")[0] in PROBES and not is_upgrade

    def _wait(self, seconds: float, late: Any) -> None:
        self._wait_no_more()
        self._deadline = self.loop.call_later(seconds, late)

    def _wait_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _head_is_late(self) -> None:
        self._deadline = None
        newest = self._newest()
        if newest is not None and not newest.response_complete:
            # The previous request is not answered yet.
            self._wait(HEAD_S, self._head_is_late)
        elif self._head:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _body_is_late(self) -> None:
        self._deadline = None
        if self.cycle.response_complete:
            self.transport.close()
        elif self.flow.read_paused or self.pipeline or self.cycle.response_started:
            # The app has not read the rest yet, has not reached this request, or is answering
            # without the rest.
            self._wait(BODY_S, self._body_is_late)
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus, why: str = "") -> None:
        """Answer without the app, and stop reading.

        If earlier requests are unanswered, let the app answer them and then close the connection
        without an answer of ours, which would end up in the middle of theirs.
        """
        self._is_over = True
        before = self._newest()
        if before is not None and not before.more_body and not before.response_complete:
            before.keep_alive = False
            return
        body = (why or f"{status.phrase}.").encode()
        more = "retry-after: 5\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else ""
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            "content-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\n"
            f"content-length: {len(body)}\r\n{more}connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
