"""Polls the rooms: who is there, and which rooms are over.

LiveKit's webhooks only make this look sooner. So it does not matter whether they come twice, in
another order, from somebody else, or not at all.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Final

import structlog
from livekit import api

from agent_bridge.livekit.control import (
    ACCESS,
    LiveKitControl,
    LiveKitRefused,
    LiveKitTrouble,
    RoomGone,
)
from agent_bridge.livekit.few_at_once import for_each
from agent_bridge.media.backend import AccessEnded, MediaListener, NotNow, SessionGone

log = structlog.get_logger(__name__)

EVERY_S: Final = 5.0
"""Seconds between two polls of the rooms that this process watches."""
SWEEP_S: Final = 60.0
"""Seconds between two searches for rooms that were not deleted, mostly because of a crash."""
PAUSE_S: Final = 0.1
"""Seconds in which hints are collected before they are followed."""
LEAVES_S: Final = 3.0
"""Seconds that an agent has to leave a room after the conversation is over."""
PREFIX: Final = "voxql-"
"""The prefix of our rooms' names (resolvers/sessions/starting.py)."""

_AGENT: Final = api.ParticipantInfo.Kind.AGENT
_THERE: Final = (api.ParticipantInfo.State.JOINED, api.ParticipantInfo.State.ACTIVE)


@dataclass(slots=True)
class _Admission:
    """A person who was admitted to the conversation."""

    access: str
    """The login or API token behind their LiveKit token."""
    watch: AsyncExitStack = field(default_factory=AsyncExitStack)
    is_over: bool = False
    """Whether that access has ended."""


class Rooms:
    """The rooms of this server's conversations; belongs to one event loop.

    Args:
        control: Calls LiveKit.
        listener: Is told about people, and knows the conversations.
        every_s: Seconds between two polls.
        sweep_s: Seconds between two searches for leftover rooms.
    """

    def __init__(
        self,
        control: LiveKitControl,
        listener: MediaListener,
        *,
        every_s: float = EVERY_S,
        sweep_s: float = SWEEP_S,
    ) -> None:
        self._control = control
        self._listener = listener
        self._every_s = every_s
        self._sweep_s = sweep_s
        self._present: dict[str, _Admission] = {}
        """By session: the person who was there at the last poll, and was admitted."""
        self._over: dict[str, float] = {}
        """Rooms to delete, and until when their agent may still leave by itself."""
        self._hints: set[str] = set()
        """Rooms to check before the next poll."""
        self._refused: set[str] = set()
        """Rooms for which a refusal of LiveKit has been logged."""
        self._wake = asyncio.Event()
        self._is_reached = True

    def end(self, room: str) -> None:
        """Delete this room soon, and retry until it is gone.

        Its agent may leave first: LiveKit marks a job as failed if its room is deleted under it.
        """
        self._over.setdefault(room, asyncio.get_running_loop().time() + LEAVES_S)
        self._wake.set()

    def look_soon(self, room: str) -> None:
        """Check this room now, if it has a running conversation."""
        self._hints.add(room)
        self._wake.set()

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            await self._look_on()
        finally:
            for session in list(self._present):
                await self._release(session)

    async def _look_on(self) -> None:
        loop = asyncio.get_running_loop()
        look_at = sweep_at = loop.time()
        while True:
            self._wake.clear()
            now = loop.time()
            is_due = now >= look_at
            is_swept = await self._round(is_whole=is_due, with_sweep=is_due and now >= sweep_at)
            if is_due:
                look_at = loop.time() + self._every_s
            if is_swept:
                sweep_at = now + self._sweep_s
            try:
                async with asyncio.timeout_at(look_at):
                    # After a failure, an immediate retry would gain nothing.
                    await (self._wake.wait() if self._is_reached else asyncio.Event().wait())
                    await asyncio.sleep(PAUSE_S)
            except TimeoutError:
                continue

    async def _round(self, *, is_whole: bool, with_sweep: bool) -> bool:
        """Do what is due; return whether this included the search for leftover rooms."""
        try:
            await self._look(is_whole=is_whole)
            await self._for_each(list(self._over), self._delete_when_left)
            if with_sweep:
                await self._sweep()
        except LiveKitTrouble as trouble:
            # While it is not known who is there, nobody counts as gone.
            if self._is_reached:
                log.warning("livekit_not_reached", reason=trouble.reason)
            self._is_reached = False
            return False
        except NotNow:
            return False
        except Exception:  # a task boundary: a full disk now must not end all later polls
            log.exception("rooms_not_looked_into")
            return False
        if not self._is_reached:
            log.info("livekit_reached_again")
            self._is_reached = True
        return with_sweep

    async def _delete_when_left(self, room: str) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._over.get(room, 0.0):
            people = await self._control.participants(room)
            if any(one.kind == _AGENT and one.state in _THERE for one in people):
                loop.call_later(PAUSE_S, self._wake.set)
                return
        await self._delete(room)

    async def _delete(self, room: str) -> None:
        with suppress(RoomGone):
            await self._control.delete(room)
        self._over.pop(room, None)
        self._refused.discard(room)

    async def _look(self, *, is_whole: bool) -> None:
        hints, self._hints = self._hints, set()
        if not is_whole and not hints:
            return
        rooms = await self._listener.rooms()
        chosen = [room for room in rooms if is_whole or room in hints]
        await self._for_each(chosen, lambda room: self._look_into(room, rooms[room]))
        for session in self._present.keys() - set(rooms.values()):
            await self._release(session)
            await self._listener.person_left(session)

    async def _look_into(self, room: str, session: str) -> None:
        identity = person_identity(session)
        people = await self._control.participants(room)
        there = [one for one in people if one.identity == identity and one.state in _THERE]
        access = there[0].attributes.get(ACCESS, "") if there else None
        was_there = session in self._present
        held = self._present.get(session)
        if held is not None and (held.is_over or held.access != access):
            await self._release(session)
        is_there = access is not None and await self._admit(room, session, access)
        if there and not is_there:
            log.info("person_removed", session=session)
            with suppress(RoomGone):
                await self._control.remove(room, identity)
        if was_there and not is_there:
            await self._listener.person_left(session)

    async def _admit(self, room: str, session: str, access: str) -> bool:
        """Admit a person, unless the access behind their token has ended."""
        if session in self._present:
            return True
        admission = _Admission(access)

        def end() -> None:
            admission.is_over = True
            self.look_soon(room)

        try:
            await admission.watch.enter_async_context(self._listener.admitted(session, access, end))
        except AccessEnded:
            return False
        try:
            await self._listener.person_came(session)
        except SessionGone:
            await admission.watch.aclose()
            return True  # the room is deleted soon
        except BaseException:
            await admission.watch.aclose()
            raise
        self._present[session] = admission
        return True

    async def _release(self, session: str) -> None:
        await self._present.pop(session).watch.aclose()

    async def _sweep(self) -> None:
        """Delete leftover rooms of the conversations that we know.

        An unknown room may belong to another server that shares this LiveKit.
        """
        names = [room.name for room in await self._control.rooms() if room.name.startswith(PREFIX)]
        over = await self._listener.ended_among(names)
        if over:
            log.info("rooms_left_over", rooms=len(over))
        await self._for_each(over, self._delete)

    async def _for_each(self, rooms: Iterable[str], act: Callable[[str], Awaitable[None]]) -> None:
        """Call `act` for each room, a few at once; stop if LiveKit can't be reached."""

        async def tried(room: str) -> None:
            try:
                await act(room)
            except LiveKitRefused as refusal:
                if room not in self._refused:
                    log.warning("livekit_refused", room=room, reason=refusal.reason)
                self._refused.add(room)

        await for_each(rooms, tried)


def person_identity(session: str) -> str:
    """Return the identity of a session's person in its room."""
    return f"person-{session}"
