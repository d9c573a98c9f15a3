"""Which Redis a URL means.

`redis://`, `rediss://` and `unix://` name one server. `redis+sentinel://` and `redis+cluster://`,
with `rediss+` for TLS, name several hosts, as the library `limits` has it.
"""

import random
import re
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import parse_qsl, unquote, urlencode

from redis.asyncio import Redis
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.sentinel import Sentinel

from hub.redis.servers import ANSWERS_WITHIN_S, CONNECTION, TCP, OneServer, Servers
from hub.redis.sharded import Address, Shards, host_and_port, joined

SEVERAL: Final = re.compile(
    r"(?P<scheme>rediss?)\+(?P<kind>sentinel|cluster)://((?P<user>[^@/?#]*)@)?"
    r"(?P<hosts>[^@/?#]+)(/(?P<path>[^?#]*))?(\?(?P<query>[^#]*))?"
)
PORTS: Final = {"sentinel": 26379, "cluster": 6379}
SENTINEL_ANSWERS_WITHIN_S: Final = ANSWERS_WITHIN_S / 5
"""Seconds within which a Sentinel has to answer, so that others are asked in time."""


@dataclass(frozen=True, slots=True)
class SeveralHosts:
    """What a URL with several hosts says."""

    kind: str
    """`sentinel` or `cluster`."""
    hosts: list[Address]
    service: str
    """Whose master the Sentinels know."""
    connection: dict[str, Any]
    """Arguments of a client of each server, except for its address."""
    to_sentinels: dict[str, Any]
    """Arguments of a client of each Sentinel, except for its address."""

    def master(self) -> tuple[Redis, list[Redis]]:
        """Return a client of the master, wherever it is, and the clients of the Sentinels."""
        # In another order in each process, so that one that hangs is not the first for all.
        sentinel = Sentinel(  # type: ignore[no-untyped-call]
            random.sample(self.hosts, len(self.hosts)), sentinel_kwargs=self.to_sentinels
        )
        return sentinel.master_for(self.service, **self.connection), list(sentinel.sentinels)

    def client(self, address: Address) -> Redis:
        """Return a client of one server of a cluster."""
        return Redis(host=address[0], port=address[1], **self.connection)


def servers_at(url: str) -> Servers:
    """Return the Redis that this URL means; nothing connects yet.

    Raises:
        ValueError: It can't be understood.
    """
    several = several_hosts(url)
    if several is None:
        tcp = {} if url.startswith("unix:") else TCP
        return OneServer(Redis.from_url(url, **CONNECTION, **tcp))
    if several.kind == "cluster":
        return Shards(several.hosts, several.client)
    return OneServer(*several.master())


def several_hosts(url: str) -> SeveralHosts | None:
    """Read a URL with several hosts; None for any other.

    Raises:
        ValueError: It can't be understood.
    """
    parts = SEVERAL.fullmatch(url)
    if parts is None:
        return None
    kind = parts["kind"]
    hosts = [host_and_port(host, PORTS[kind]) for host in parts["hosts"].split(",")]
    service, database = "", parts["path"] or ""
    if kind == "sentinel":
        service, _, database = database.partition("/")
        if not service:
            raise ValueError("which service? As in redis+sentinel://host:26379/mymaster")
    elif database.strip("/") not in ("", "0"):
        raise ValueError("a cluster has only the database 0")
    options = dict(parse_qsl(parts["query"] or "", keep_blank_values=True))
    own = {
        name: options.pop(f"sentinel_{name}")
        for name in ("username", "password")
        if f"sentinel_{name}" in options
    }
    user = "" if parts["user"] is None else f"{parts['user']}@"
    start = f"{parts['scheme']}://{user}{joined(hosts[0])}"
    connection = _connection(f"{start}/{database.strip('/') or 0}?{urlencode(options)}")
    # The user is the same for both, unless the URL says otherwise; an empty value means none.
    to_sentinels = {name: value for name, value in connection.items() if name != "db"}
    to_sentinels.update({name: value or None for name, value in own.items()})
    to_sentinels["socket_timeout"] = SENTINEL_ANSWERS_WITHIN_S
    to_sentinels["socket_connect_timeout"] = SENTINEL_ANSWERS_WITHIN_S
    return SeveralHosts(kind, hosts, unquote(service), connection, to_sentinels)


def _connection(url: str) -> dict[str, Any]:
    """Return the arguments of a client of the server at this URL, except for its address."""
    given = cast("dict[str, Any]", parse_url(url))
    given = {name: value for name, value in given.items() if name not in ("host", "port")}
    if given.pop("connection_class", None) is SSLConnection:
        given["ssl"] = True
    return {**CONNECTION, **TCP, **given}
