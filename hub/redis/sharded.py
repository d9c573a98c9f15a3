"""A Redis cluster: each channel belongs to one shard, whose server carries its messages."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.crc import key_slot
from redis.exceptions import ClusterDownError, ConnectionError, MovedError, ResponseError

from hub.redis.servers import LOST, Command, Listener, Servers, Take, answers, receive

Address = tuple[str, int]
SLOTS: Final = 16384


class Shards(Servers):
    """The servers of a cluster.

    Which server has which slot is read again whenever one can't be used. redis-py's own cluster
    client would connect again by itself, which hides that events were lost.

    Args:
        hosts: Some of its servers, which know the others.
        client: Makes a client of one server.
    """

    publish = "SPUBLISH"

    def __init__(self, hosts: Sequence[Address], client: Callable[[Address], Redis]) -> None:
        self._hosts = hosts
        self._new_client = client
        self._clients: dict[Address, Redis] = {}
        self._owners: list[Address] = []
        """The server of each slot; empty while it is not known."""

    def named(self, topic: str) -> str:
        """See `Servers.named`: what concerns one session or user is in one slot, in its order."""
        kind, *ids = topic.split(":", 2)
        return ":".join([kind, *(f"{{{one}}}" for one in ids[:1]), *ids[1:]])

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """See `Servers.execute`; a round trip more for slots that have moved."""
        found = await self._execute(commands)
        moved = {n: error for n, error in enumerate(found) if isinstance(error, MovedError)}
        if moved:
            owners = list(await self._known_owners())
            for error in moved.values():
                # Without a host, it is the one that was asked.
                owners[error.slot_id] = error.host or owners[error.slot_id][0], error.port
            self._owners = owners
            again = await self._execute([commands[n] for n in moved])
            for n, answer in zip(moved, again, strict=True):
                found[n] = answer
        return found

    async def _execute(self, commands: Sequence[Command]) -> list[Any]:
        owners = await self._known_owners()
        places: defaultdict[Address, list[int]] = defaultdict(list)
        for n, command in enumerate(commands):
            places[owners[_slot(command[1])]].append(n)
        found: list[Any] = [None] * len(commands)

        async def execute_at(address: Address, numbers: list[int]) -> None:
            try:
                got = await answers(self._client(address), [commands[n] for n in numbers])
            except LOST as error:
                got = [error] * len(numbers)
            for n, answer in zip(numbers, got, strict=True):
                found[n] = answer

        try:
            await asyncio.gather(*(execute_at(*place) for place in places.items()))
        except asyncio.CancelledError:  # a server hangs
            self._owners = []
            raise
        if any(_is_away(answer) for answer in found):
            self._owners = []
        return found

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Listener]:
        """See `Servers.listening`: connects to all shards, so that one that is away is noticed."""
        self._owners = []
        owners = await self._known_owners()
        async with AsyncExitStack() as stack:
            pubsubs = {}
            for address in dict.fromkeys(owners):
                pubsub = self._client(address).pubsub()
                pubsubs[address] = await stack.enter_async_context(pubsub)
                await pubsub.connect()  # type: ignore[no-untyped-call]
            yield _ShardsListener(owners, pubsubs)

    async def aclose(self) -> None:
        """See `Servers.aclose`."""
        for client in list(self._clients.values()):
            await client.aclose()

    def _client(self, address: Address) -> Redis:
        if address not in self._clients:
            self._clients[address] = self._new_client(address)
        return self._clients[address]

    async def _known_owners(self) -> list[Address]:
        if not self._owners:
            self._owners = await self._read_owners()
        return self._owners

    async def _read_owners(self) -> list[Address]:
        """Ask one server after the other, in an order of chance: one may hang."""
        known = list({*self._hosts, *self._clients})
        trouble: BaseException | None = None
        for address in random.sample(known, len(known)):
            try:
                [ranges] = await answers(self._client(address), [("CLUSTER", "SLOTS")])
                owners = _owners_in(ranges, address)
                await self._forget({*self._clients} - {*owners, *self._hosts})
                return owners
            except LOST as error:
                trouble = error
        assert trouble is not None
        raise trouble

    async def _forget(self, addresses: Collection[Address]) -> None:
        """Close the connections to servers that have left the cluster, or have no slots."""
        for client in [self._clients.pop(address) for address in addresses]:
            await client.aclose()


class _ShardsListener(Listener):
    """One connection to each shard. All are given up when one breaks or a slot moves."""

    def __init__(self, owners: Sequence[Address], pubsubs: dict[Address, PubSub]) -> None:
        self._owners = owners
        self._pubsubs = pubsubs
        self._left: Counter[str] = Counter()
        """Channels that were left, and how often a server has yet to confirm it."""

    async def subscribe(self, channels: Collection[str]) -> None:
        await self._tell("SSUBSCRIBE", channels)

    async def unsubscribe(self, channels: Collection[str]) -> None:
        self._left.update(channels)
        await self._tell("SUNSUBSCRIBE", channels)

    async def _tell(self, command: str, channels: Collection[str]) -> None:
        by_slot: defaultdict[int, list[str]] = defaultdict(list)
        for channel in channels:
            by_slot[_slot(channel)].append(channel)
        for slot, together in by_slot.items():
            connection: Any = self._pubsubs[self._owners[slot]].connection
            # Its health is checked by what receives: two must not read from it at once.
            await connection.send_command(command, *together, check_health=False)

    async def receive(self, take: Take, heard: Callable[[], None]) -> None:
        def take_here(kind: str, channel: str, data: bytes) -> None:
            if kind != "unsubscribe":
                take(kind, channel, data)
            elif channel not in self._left:
                raise ConnectionError("a slot has moved to another server")
            elif self._left[channel] > 1:
                self._left[channel] -= 1
            else:
                del self._left[channel]

        async with asyncio.TaskGroup() as group:
            for pubsub in self._pubsubs.values():
                group.create_task(receive(pubsub, take_here, heard))


def host_and_port(text: str, port: int) -> Address:
    """Return the address in `host`, `host:port` or `[::1]:port`.

    Raises:
        ValueError: It can't be understood.
    """
    bare, _, after = text.rpartition("]")
    host, _, given = after.partition(":")
    host = bare.removeprefix("[") or host
    if not host or (given and not given.isdecimal()):
        raise ValueError("expected hosts and ports, as in host:6379,host:6379")
    return host, int(given or port)


def joined(address: Address) -> str:
    """Return an address as a URL has it."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _slot(key: str | bytes | int) -> int:
    assert isinstance(key, str)
    return key_slot(key.encode())


def _is_away(answer: object) -> bool:
    """Whether an answer says that the server of a slot has to be looked for."""
    if isinstance(answer, ResponseError):
        return isinstance(answer, ClusterDownError)
    return isinstance(answer, LOST)


def _owners_in(ranges: Any, asked: Address) -> list[Address]:
    """Return the server of each slot from the answer to `CLUSTER SLOTS`.

    Raises:
        ConnectionError: Some slot has none.
        ResponseError: The answer is an error.
    """
    if isinstance(ranges, Exception):
        raise ranges
    owners: list[Address | None] = [None] * SLOTS
    for first, last, (host, port, *_), *_replicas in ranges:
        # An empty host is the one that was asked.
        address = (host.decode() if host else asked[0]), port
        owners[first : last + 1] = [address] * (last + 1 - first)
    if None in owners:
        raise ConnectionError("no server has some of the cluster's slots")
    return [owner for owner in owners if owner is not None]
