"""Which Redis a URL means.

`redis://`, `rediss://` and `unix://` name one server. `redis+sentinel://` and `redis+cluster://`,
with `rediss+` for TLS, name several hosts, as the library `limits` has it.
"""

import random
import re
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


def servers_at(url: str) -> Servers:
    """Return the Redis that this URL means; nothing connects yet.

    Raises:
        ValueError: It can't be understood.
    """
    parts = SEVERAL.fullmatch(url)
    if parts is None:
        tcp = {} if url.startswith("unix:") else TCP
        return OneServer(Redis.from_url(url, **CONNECTION, **tcp))
    kind, path = parts["kind"], parts["path"] or ""
    hosts = [host_and_port(host, PORTS[kind]) for host in parts["hosts"].split(",")]
    user = "" if parts["user"] is None else f"{parts['user']}@"
    options = dict(parse_qsl(parts["query"] or "", keep_blank_values=True))
    if kind == "sentinel":
        service, _, database = path.partition("/")
        return _mastered(hosts, unquote(service), f"{parts['scheme']}://{user}", database, options)
    if path.strip("/") not in ("", "0"):
        raise ValueError("a cluster has only the database 0")
    start, query = f"{parts['scheme']}://{user}", urlencode(options)

    def client(address: Address) -> Redis:
        return Redis.from_url(f"{start}{joined(address)}/0?{query}", **CONNECTION, **TCP)

    return Shards(hosts, client)


def _mastered(
    hosts: list[Address], service: str, start: str, database: str, options: dict[str, str]
) -> Servers:
    """Return the master of a service, which these Sentinels know."""
    if not service:
        raise ValueError("which service? As in redis+sentinel://host:26379/mymaster")
    own = {
        name: options.pop(f"sentinel_{name}")
        for name in ("username", "password")
        if f"sentinel_{name}" in options
    }
    given = cast(
        "dict[str, Any]",
        parse_url(f"{start}{joined(hosts[0])}/{database or 0}?{urlencode(options)}"),
    )
    given = {name: value for name, value in given.items() if name not in ("host", "port")}
    if given.pop("connection_class", None) is SSLConnection:
        given["ssl"] = True
    connection = {**CONNECTION, **TCP, **given}
    # The user is the same for both, unless the URL says otherwise; an empty value means none.
    to_sentinels = {name: value for name, value in connection.items() if name != "db"}
    to_sentinels.update({name: value or None for name, value in own.items()})
    to_sentinels["socket_timeout"] = SENTINEL_ANSWERS_WITHIN_S
    to_sentinels["socket_connect_timeout"] = SENTINEL_ANSWERS_WITHIN_S
    # In another order in each process, so that one that hangs is not the first for all.
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        random.sample(hosts, len(hosts)), sentinel_kwargs=to_sentinels
    )
    return OneServer(sentinel.master_for(service, **connection), sentinel.sentinels)
