"""Network namespaces whose links drop every packet on request."""

import asyncio
import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path
from typing import Final, Self, TypeVar

import pytest

T = TypeVar("T")

_CLONE_NEWNET: Final = 0x40000000
_FIRST: Final = int(IPv4Address("198.18.0.0"))
"""The first of 2^17 addresses reserved for network tests (RFC 2544)."""
_CABLES: Final = 2**15
"""Each cable takes four addresses: network, both ends, and broadcast."""
_NOWHERE: Final = "02:00:00:00:00:01"
"""A locally administered Ethernet address that no device has."""
_NAMESPACES: Final = Path("/run/netns")
_serial = count()


@dataclass(frozen=True)
class Cable:
    """A link between this machine and an island, with an address and a device at each end."""

    island: str
    here: str
    there: str
    device_here: str
    device_there: str

    def lose(self) -> None:
        """Drop every packet in both directions from now on, without a notification.

        Each end sends to an Ethernet address that no device has. So the devices stay up, sending
        never fails, nothing is refused and nothing ends, as on a distant network.
        """
        told = ("lladdr", _NOWHERE, "nud", "permanent")
        _ip("neigh", "replace", self.there, *told, "dev", self.device_here)
        _ip("-n", self.island, "neigh", "replace", self.here, *told, "dev", self.device_there)

    def carry(self) -> None:
        """Carry packets again."""
        _ip("neigh", "del", self.there, "dev", self.device_here)
        _ip("-n", self.island, "neigh", "del", self.here, "dev", self.device_there)

    def pull(self) -> None:
        """Take down the island's end: the island can't send, and this machine is not notified."""
        _ip("-n", self.island, "link", "set", self.device_there, "down")

    def lay(self) -> None:
        """Create the link."""
        _ip("link", "add", self.device_here, "type", "veth", "peer", "name", self.device_there)
        _ip("link", "set", self.device_there, "netns", self.island)
        for inside, device, address in (
            ((), self.device_here, self.here),
            (_inside(self.island), self.device_there, self.there),
        ):
            # No IPv6: it would bypass the addresses whose packets are dropped.
            _run(*inside, "ip", "link", "set", device, "addrgenmode", "none")
            _run(*inside, "ip", "addr", "add", f"{address}/30", "dev", device)
            _run(*inside, "ip", "link", "set", device, "up")
            # Strict: an end with two cables must not be reached through the other cable.
            strict = f"echo 1 > /proc/sys/net/ipv4/conf/{device}/rp_filter"
            _run(*inside, "sh", "-c", strict)

    def take_up(self) -> None:
        """Remove the link."""
        _ip("link", "del", self.device_here, check=False)


class Island:
    """A network namespace that only its cables connect to this machine, and nothing else.

    Args:
        cables: The number of cables.
    """

    def __init__(self, cables: int = 1) -> None:
        self.name = f"vxq{os.getpid()}-{next(_serial)}"
        self.cables = [_cable(self.name) for _ in range(cables)]
        self.prefix = _inside(self.name)
        """The start of a command line that runs a program inside the island."""

    @property
    def cable(self) -> Cable:
        """The island's only cable."""
        [cable] = self.cables
        return cable

    def build(self) -> Self:
        """Create the namespace and its cables.

        Raises:
            subprocess.CalledProcessError, OSError: When this user or this machine can't create it.
        """
        _ip("netns", "add", self.name)
        _ip("-n", self.name, "link", "set", "lo", "up")
        for cable in self.cables:
            cable.lay()
        return self

    def destroy(self) -> None:
        """Remove whatever `build` created."""
        for cable in self.cables:
            cable.take_up()
        _ip("netns", "del", self.name, check=False)

    async def connect(self, connect: Callable[[], T]) -> T:
        """Call `connect` inside the island and return its result; its sockets stay there."""
        return await asyncio.to_thread(self._connect, connect)

    def _connect(self, connect: Callable[[], T]) -> T:
        # Only this thread changes its namespace.
        with _moved(_NAMESPACES / self.name):
            return connect()


@contextmanager
def island(cables: int = 1) -> Iterator[Island]:
    """Create an island for a test. Where that is impossible, skip the test, or fail it on CI."""
    made = Island(cables)
    try:
        try:
            made.build()
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or ""
            reason = (
                f"NOT SHOWN: a network that loses packets, as none can be made here: {error!r} "
                f"{said}\nRun this test as root, on Linux, with `ip` (apt-get install iproute2)."
            )
            if os.environ.get("CI") == "true":
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)
        yield made
    finally:
        made.destroy()


def _cable(island: str) -> Cable:
    serial = next(_serial)
    # Other processes run tests on this machine too.
    network = _FIRST + 4 * ((64 * os.getpid() + serial) % _CABLES)
    device = f"vxq{os.getpid() % 10**7}x{serial % 1000}"
    return Cable(
        island,
        here=str(IPv4Address(network + 1)),
        there=str(IPv4Address(network + 2)),
        device_here=f"{device}a",
        device_there=f"{device}b",
    )


def _inside(island: str) -> tuple[str, ...]:
    return "nsenter", f"--net={_NAMESPACES / island}"


@contextmanager
def _moved(namespace: Path) -> Iterator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(namespace, os.O_RDONLY)
    try:
        _checked(libc.setns(there, _CLONE_NEWNET))
        yield
    finally:
        _checked(libc.setns(home, _CLONE_NEWNET))
        os.close(home)
        os.close(there)


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), "setns failed")


def _ip(*arguments: str, check: bool = True) -> None:
    _run("ip", *arguments, check=check)


def _run(*command: str, check: bool = True) -> None:
    subprocess.run(command, check=check, capture_output=True, text=True, timeout=10)
