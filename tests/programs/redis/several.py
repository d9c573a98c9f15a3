"""Run several real Redis servers: a master and its replica with Sentinels, or a cluster."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import redis

from tests.programs.ports import free_port
from tests.programs.redis.server import RedisServer, has_tls, url

SERVICE: Final = "voxql-test"
PASSWORD: Final = "the-password"
SLOTS: Final = 16384
_READY_WITHIN_S: Final = 30.0


class _Sentinel(RedisServer):
    """Watches a master."""

    def __init__(
        self,
        folder: Path,
        master: RedisServer,
        quorum: int,
        down_after_ms: int,
        settings: Mapping[str, str],
    ) -> None:
        super().__init__(**settings, requirepass=PASSWORD)
        self._file = folder / f"sentinel-{self.port}.conf"
        given = {**self._ports(), **settings}
        self._file.write_text(
            "".join(f"{name} {value}\n" for name, value in given.items())
            + f"bind {self.host}\ndir {folder}\nrequirepass {PASSWORD}\n"
            f"sentinel sentinel-pass {PASSWORD}\n"
            f"sentinel monitor {SERVICE} {master.host} {master.port} {quorum}\n"
            f"sentinel auth-pass {SERVICE} {PASSWORD}\n"
            f"sentinel down-after-milliseconds {SERVICE} {down_after_ms}\n"
            f"sentinel failover-timeout {SERVICE} 2000\n"
        )

    def _arguments(self) -> list[str]:
        return [str(self._file), "--sentinel"]

    def _is_open(self) -> bool:
        return any("+monitor master" in line for line in self.lines)


class SentinelRedis:
    """A master, a replica, and Sentinels that choose another master when it is gone.

    All of them want the same password.

    Args:
        settings: Settings of all of them to add.
    """

    count = 1
    """How many Sentinels there are. Several may not know each other at the start."""
    down_after_ms = 30_000
    """Milliseconds without an answer after which the master is replaced.

    On a busy machine a server that lives may not answer for a while.
    """

    def __init__(self, **settings: str) -> None:
        self._settings = settings
        self._stack = contextlib.ExitStack()
        self.servers: list[RedisServer] = []
        self.sentinels: list[RedisServer] = []

    @property
    def url(self) -> str:
        """The URL of the Redis that is the master."""
        hosts = ",".join(f"{one.host}:{one.port}" for one in self.sentinels)
        return url(self._settings, f":{PASSWORD}@{hosts}/{SERVICE}/0", "+sentinel")

    def kill(self) -> None:
        """Kill the master."""
        self.servers[0].kill()

    def freeze(self) -> None:
        """Let the master keep its connections, and answer nothing."""
        self.servers[0].freeze()

    def hand_over(self) -> None:
        """Let the replica become the master while the master lives."""
        _until(self._is_handed_over)

    def _is_handed_over(self) -> bool:
        if _asked(self.servers[1], "ROLE")[0] == b"master":
            return True
        # The Sentinel refuses while it does not know enough of the replica, or hands over already.
        # It gives up if the replica looks dead for a moment.
        with contextlib.suppress(redis.ResponseError):
            _asked(self.sentinels[0], "SENTINEL", "FAILOVER", SERVICE)
        return False

    def __enter__(self) -> Self:
        """Start everything, and wait until the master may fail."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        common = {
            **self._settings,
            "dir": str(folder),
            "requirepass": PASSWORD,
            "masterauth": PASSWORD,
            "repl-diskless-sync-delay": "0",
        }
        master = RedisServer(**common)
        replica = RedisServer(**common, replicaof=f"{master.host} {master.port}")
        self.servers = [master, replica]
        for server in self.servers:
            self._stack.enter_context(server)
        _until(lambda: b"master_link_status:up" in _asked(replica, "INFO", "replication"))
        self.sentinels = [
            _Sentinel(folder, master, self.count // 2 + 1, self.down_after_ms, self._settings)
            for _ in range(self.count)
        ]
        for sentinel in self.sentinels:
            self._stack.enter_context(sentinel)
            # They look at the servers more often than real ones, which take 10 s for a hand-over.
            for period in ("info-period", "ping-period", "publish-period"):
                _asked(sentinel, "SENTINEL", "DEBUG", period, 100)
        for sentinel in self.sentinels:
            _until(partial(self._is_watched_by, sentinel))
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self._stack.close()

    def _is_watched_by(self, sentinel: RedisServer) -> bool:
        told = _asked(sentinel, "SENTINEL", "MASTER", SERVICE)
        state = dict(zip(told[::2], told[1::2], strict=True))
        return int(state[b"num-slaves"]) == 1


class HastySentinelRedis(SentinelRedis):
    """One whose master is soon replaced."""

    down_after_ms = 300


class ThreeSentinels(SentinelRedis):
    """The same with three Sentinels."""

    count = 3


class ClusterRedis:
    """A cluster of three servers, each with a third of the slots, without replicas.

    Args:
        settings: Settings of all of them to add.
    """

    def __init__(self, **settings: str) -> None:
        self._settings = settings
        self._stack = contextlib.ExitStack()
        self.servers: list[RedisServer] = []

    @property
    def url(self) -> str:
        """The URL of the cluster; it names two of its servers."""
        hosts = ",".join(f"{one.host}:{one.port}" for one in self.servers[:2])
        return url(self._settings, hosts, "+cluster")

    def kill(self) -> None:
        """Kill one server."""
        self.servers[2].kill()

    def freeze(self) -> None:
        """Let one server keep its connections, and answer nothing."""
        self.servers[2].freeze()

    def start(self) -> None:
        """Start the killed server, which knows the others."""
        self.servers[2].start()
        self._wait()

    def thaw(self) -> None:
        """Let it go on."""
        self.servers[2].thaw()

    def move(self, slot: int) -> None:
        """Let another server have this slot."""
        ids = [_asked(server, "CLUSTER", "MYID") for server in self.servers]
        owner = next(n for n in range(3) if slot < _first(n + 1))
        target = (owner + 1) % 3
        # The new owner first: it tells the others that the slot is its own.
        for n in (target, owner, 3 - owner - target):
            _asked(self.servers[n], "CLUSTER", "SETSLOT", slot, "NODE", ids[target])

    def __enter__(self) -> Self:
        """Start everything, and wait until the servers know each other."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        for n in range(3):
            server = RedisServer(
                **{
                    **self._settings,
                    "dir": str(folder),
                    "cluster-enabled": "yes",
                    "cluster-config-file": f"nodes-{n}.conf",
                    "cluster-node-timeout": "5000",
                    "cluster-port": str(free_port()),
                }
            )
            self.servers.append(self._stack.enter_context(server))
            _asked(server, "CLUSTER", "ADDSLOTSRANGE", _first(n), _first(n + 1) - 1)
        first = self.servers[0]
        for server in self.servers[1:]:
            bus = server.settings["cluster-port"]
            _asked(first, "CLUSTER", "MEET", server.host, server.port, bus)
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self._stack.close()

    def _wait(self) -> None:
        for server in self.servers:
            _until(partial(_is_whole, server))


def _first(n: int) -> int:
    return SLOTS * n // 3


def _is_whole(server: RedisServer) -> bool:
    info = _asked(server, "CLUSTER", "INFO")
    return b"cluster_state:ok" in info and b"cluster_known_nodes:3" in info


def _asked(server: RedisServer, *command: str | int | bytes) -> Any:
    """Return the answer as it was sent."""
    password = server.settings.get("requirepass")
    tls: dict[str, Any] = {"ssl": True, "ssl_cert_reqs": "none"} if has_tls(server.settings) else {}
    with redis.Redis(server.host, server.port, password=password, protocol=2, **tls) as client:
        client.response_callbacks.clear()
        return client.execute_command(*command)


def _until(is_so: Callable[[], object]) -> None:
    before = time.monotonic() + _READY_WITHIN_S
    while not is_so():
        assert time.monotonic() < before, "Redis did not become ready"
        time.sleep(0.02)
