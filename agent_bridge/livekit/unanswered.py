"""Dispatches again if no worker has taken a dispatch, and never if one may have.

LiveKit (1.13.5) does not queue jobs: a dispatch made while no worker has a place is lost, and
LiveKit does not say so. It lists the job of a dispatch that was taken, but up to five seconds late.
After a worker has registered, or after a minute without jobs, it takes that long to gather which
workers there are, and lists no job before then (pkg/agent/client.go: CheckEnabledTimeout;
docs/decisions/0020).
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog
from livekit import api

from agent_bridge.attaching.announcing import notice_of
from agent_bridge.livekit.control import (
    CALL_S,
    LiveKitControl,
    LiveKitRefused,
    LiveKitTrouble,
    RoomGone,
    job_of,
)
from agent_bridge.livekit.few_at_once import for_each
from agent_bridge.media.backend import Awaited, MediaListener, NotNow

log = structlog.get_logger(__name__)

EVERY_S: Final = 1.0
"""Seconds between two checks of the waiting conversations."""
LISTED_S: Final = 6.0
"""Seconds after which LiveKit has listed every job that was taken: five, and one to spare."""
SPREAD_S: Final = 1.0
"""The longest random delay in seconds, so that those who wait together don't ask together."""
BEFORE_S: Final = 0.3
"""Seconds from a worker's registration with LiveKit until its notice exists. A dispatch made this
shortly before the notice may have gone to that worker."""
A_ROUND: Final = 50
"""The most conversations handled in one check; the others come next."""

_AGENT: Final = api.ParticipantInfo.Kind.AGENT


@dataclass(slots=True)
class _Wait:
    """One attempt to get an agent, while none has come."""

    awaited: Awaited
    listed_by: float
    """When LiveKit lists the attempt's job, if it has one."""
    may_hurry: bool
    """Whether a new worker is a reason to dispatch again. Not if one was the reason last time: the
    first of two workers that came together may have the job."""
    heeded: str = ""
    """The last notice that was compared with the dispatches."""


class Unanswered:
    """Tracks conversations that wait for an agent, and since when; belongs to one event loop.

    Args:
        control: Calls LiveKit.
        listener: Knows which conversations wait, and asks for a new attempt.
        every_s: Seconds between two checks.
        listed_s: See `LISTED_S`.
    """

    def __init__(
        self,
        control: LiveKitControl,
        listener: MediaListener,
        *,
        every_s: float = EVERY_S,
        listed_s: float = LISTED_S,
    ) -> None:
        self._control = control
        self._listener = listener
        self._every_s = every_s
        self._listed_s = listed_s
        self._waits: dict[str, _Wait] = {}

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self.look()
            except (LiveKitTrouble, NotNow):
                pass  # `Rooms` logs it; without an answer, nothing is known
            except Exception:  # a task boundary: one fault must not end the checks
                log.exception("unanswered_not_looked_at")
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """Dispatch again where it is certain that no worker has taken the dispatch.

        Raises:
            LiveKitTrouble: LiveKit can't be reached, or refuses.
            NotNow: The database can't be written now.
        """
        await self._note_who_waits()
        notices = await self._notices()
        now = asyncio.get_running_loop().time()
        due = [wait for wait in self._waits.values() if self._is_due(wait, notices, now)]
        due.sort(key=lambda wait: wait.listed_by)

        async def tried(wait: _Wait) -> None:
            with suppress(LiveKitRefused):  # a call for another room may succeed
                await self._attend(wait, notices.get(notice_of(wait.awaited.agent_name)))

        await for_each(due[:A_ROUND], tried)

    async def _note_who_waits(self) -> None:
        now = asyncio.get_running_loop().time()
        waits: dict[str, _Wait] = {}
        for awaited in await self._listener.awaited():
            wait = self._waits.get(awaited.session)
            if wait is None or wait.awaited.attempt != awaited.attempt:
                unseen = 0.0 if awaited.is_ours else CALL_S
                wait = _Wait(awaited, now + self._patience() + unseen, may_hurry=True)
            elif awaited.is_being_asked:
                wait.listed_by = now + self._patience()
            wait.awaited = awaited
            waits[awaited.session] = wait
        self._waits = waits

    def _patience(self) -> float:
        return self._listed_s + random.uniform(0.0, SPREAD_S)  # noqa: S311 - jitter is no secret

    async def _notices(self) -> dict[str, api.Room]:
        """Return the rooms that announce the awaited agents, by name; one call for all."""
        names = {notice_of(wait.awaited.agent_name) for wait in self._waits.values()}
        if not names:
            return {}
        return {room.name: room for room in await self._control.rooms(names)}

    def _is_due(self, wait: _Wait, notices: dict[str, api.Room], now: float) -> bool:
        if wait.awaited.is_being_asked:
            return False
        notice = notices.get(notice_of(wait.awaited.agent_name))
        is_news = notice is not None and wait.may_hurry and wait.heeded != notice.sid
        return is_news or now >= wait.listed_by

    async def _attend(self, wait: _Wait, notice: api.Room | None) -> None:
        awaited = wait.awaited
        is_listed = asyncio.get_running_loop().time() >= wait.listed_by
        asked, people = await self._asked(awaited)
        if any(_is_taken(one, people) for one in asked):
            wait.listed_by = asyncio.get_running_loop().time() + self._patience()
            return
        was_made = awaited.is_ours or bool(asked)
        was_before = (
            notice is not None and was_made and all(_was_before(one, notice) for one in asked)
        )
        if notice is not None:
            wait.heeded = notice.sid
        if not is_listed and not (wait.may_hurry and was_before):
            return
        attempt = await self._listener.ask_anew(awaited.session, awaited.attempt)
        if attempt is not None:
            log.info("agent_asked_anew", session=awaited.session, attempt=attempt)
            wait.awaited = Awaited(awaited.session, attempt, awaited.agent_name, awaited.room)
            wait.listed_by = asyncio.get_running_loop().time() + self._patience()
            wait.may_hurry = is_listed

    async def _asked(
        self, awaited: Awaited
    ) -> tuple[list[api.AgentDispatch], Sequence[api.ParticipantInfo]]:
        """Return the dispatches of this attempt, and who is in its room."""
        key = awaited.session, awaited.attempt
        try:
            asked = [o for o in await self._control.dispatches(awaited.room) if job_of(o) == key]
        except RoomGone:
            return [], []
        return asked, await self._control.participants(awaited.room)


def _is_taken(dispatch: api.AgentDispatch, people: Sequence[api.ParticipantInfo]) -> bool:
    """Whether a dispatch has a job, or an agent has joined since, which is seen sooner."""
    # Older servers report only the second in which somebody joined.
    since = dispatch.state.created_at // 1_000_000_000
    came = any(one.kind == _AGENT and one.joined_at >= since for one in people)
    return came or len(dispatch.state.jobs) > 0


def _was_before(dispatch: api.AgentDispatch, notice: api.Room) -> bool:
    """Whether a dispatch was made before that worker came; both times are by LiveKit's clock."""
    return dispatch.state.created_at / 1e9 + BEFORE_S < notice.creation_time_ms / 1e3
