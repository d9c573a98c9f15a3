"""The LiveKit backend: one room per conversation, created with its agent, deleted afterwards."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog
from livekit import api
from starlette.routing import BaseRoute, Route

from agent_bridge.livekit.control import (
    CALL_S,
    LiveKitControl,
    LiveKitTrouble,
    RoomGone,
    job_of,
)
from agent_bridge.livekit.rooms import EVERY_S, Rooms, person_identity
from agent_bridge.livekit.unanswered import Unanswered
from agent_bridge.livekit.webhooks import Webhooks
from agent_bridge.media.backend import Condition, MediaConnection, MediaListener, Traffic
from agent_bridge.server.workers import StartRequest

log = structlog.get_logger(__name__)

TRANSPORT: Final = "LIVEKIT"
WEBHOOK_PATH: Final = "/livekit/webhook"
CONDITION_S: Final = 5.0
"""Seconds for which a check of LiveKit is reused."""
PROBE_S: Final = 1.5
PROBED: Final = "voxql-is-livekit-there"
"""A room that never exists: asking for it shows that LiveKit answers and accepts our key."""


class LiveKitMedia:
    """Implements `agent_bridge.media.backend.MediaBackend` with LiveKit.

    Args:
        url: LiveKit's address, for this server, agents and people alike.
        key: LiveKit's API key.
        secret: LiveKit's API secret.
        public_url: The address at which agents reach this server.
        call_s: Seconds that a call to LiveKit may take, and `start` in total.
        every_s: Seconds between two polls of the rooms.
    """

    def __init__(
        self,
        url: str,
        key: str,
        secret: str,
        public_url: str,
        *,
        call_s: float = CALL_S,
        every_s: float = EVERY_S,
    ) -> None:
        self._control = LiveKitControl(url, key, secret, call_s=call_s)
        self._secrets = key, secret
        self._public_url = public_url
        self._call_s = call_s
        self._every_s = every_s
        self._condition: tuple[float, asyncio.Task[Condition]] | None = None

    def serve(self, listener: MediaListener) -> "LiveKitMediaServer":
        """Return what watches the rooms."""
        return LiveKitMediaServer(self._control, self._secrets, listener, every_s=self._every_s)

    # ------------------------------------------------------------------ agents

    def knows(self, agent_name: str) -> bool:
        """Return True: LiveKit does not say which agents exist before one is dispatched."""
        return True

    def free(self, agent_name: str) -> None:
        """Return None: LiveKit does not say."""

    async def start(self, request: StartRequest) -> None:
        """Dispatch an agent of this attempt, and leave none of an older attempt.

        Raises:
            LiveKitTrouble: LiveKit can't be reached, refuses, or is too slow.
        """
        try:
            async with asyncio.timeout(self._call_s):
                if request.attempt == 1:
                    await self._create(request)
                else:
                    await self._start_again(request)
        except (LiveKitTrouble, TimeoutError) as error:
            trouble = error if isinstance(error, LiveKitTrouble) else LiveKitTrouble("too slow")
            log.warning("livekit_not_asked", session=request.session, reason=trouble.reason)
            raise trouble from None

    async def _create(self, request: StartRequest) -> None:
        # Everybody in the room sees its metadata; only the agent sees the job's.
        room_metadata = json.dumps({"voxql": {"session": request.session}})
        await self._control.create(
            request.room, room_metadata, request.agent_name, self._job_metadata(request)
        )

    async def _start_again(self, request: StartRequest) -> None:
        """Dispatch again in the same room, or create it anew if it is gone."""
        try:
            if not await self._control.rooms([request.room]):
                raise RoomGone
            before = await self._control.dispatches(request.room)
            if any(job_of(one) == (request.session, request.attempt) for one in before):
                return
            for one in before:
                if job_of(one) is not None:
                    await self._withdraw(request.room, one)
            await self._control.dispatch(
                request.room, request.agent_name, self._job_metadata(request)
            )
        except RoomGone:
            await self._create(request)

    async def _withdraw(self, room: str, dispatch: api.AgentDispatch) -> None:
        with suppress(RoomGone):
            await self._control.withdraw(room, dispatch.id)
        # A killed worker does not say so: for a while, its agent would still seem to be there.
        for job in dispatch.state.jobs:
            if job.state.participant_identity:
                with suppress(RoomGone):
                    await self._control.remove(room, job.state.participant_identity)

    def _job_metadata(self, request: StartRequest) -> str:
        return json.dumps(
            {
                "voxql": {
                    "url": self._public_url,
                    "session": request.session,
                    "attempt": request.attempt,
                    "token": request.bridge_token,
                }
            }
        )

    # ------------------------------------------------------------------ people

    def connection(self, session: str, room: str, attempt: int, access: str) -> MediaConnection:
        """Make a token with which the person joins the room."""
        token, expires_at = self._control.token(room, person_identity(session), access)
        return MediaConnection(
            transport=TRANSPORT,
            url=self._control.url,
            token=token,
            expires_at=expires_at,
            room_name=room,
        )

    # ------------------------------------------------------------------ condition

    async def condition(self) -> Condition:
        """Report ready if LiveKit answers; it is asked once per `CONDITION_S`, however many ask."""
        now = asyncio.get_running_loop().time()
        if self._condition is None or now - self._condition[0] > CONDITION_S:
            self._condition = now, asyncio.create_task(self._probe())
        return await asyncio.shield(self._condition[1])

    async def _probe(self) -> Condition:
        try:
            async with asyncio.timeout(PROBE_S):
                await self._control.rooms([PROBED])
        except (LiveKitTrouble, TimeoutError):
            return Condition(False, {"livekit": "not ready"})
        return Condition(True, {"livekit": "ready"})


class LiveKitMediaServer:
    """Watches LiveKit's rooms; see `agent_bridge.media.backend.MediaServer`.

    Args:
        control: The way to LiveKit; closed when `run` ends.
        secrets: LiveKit's API key and secret, with which it signs webhooks.
        listener: Hears of people, and knows the conversations.
        every_s: Seconds between two polls of the rooms.
    """

    def __init__(
        self,
        control: LiveKitControl,
        secrets: tuple[str, str],
        listener: MediaListener,
        *,
        every_s: float,
    ) -> None:
        self._control = control
        self._secrets = secrets
        self._rooms = Rooms(control, listener, every_s=every_s)
        self._unanswered = Unanswered(control, listener)

    def routes(self) -> Sequence[BaseRoute]:
        """Return the route for LiveKit's webhooks."""
        calls = self._control.calls

        def count(outcome: str) -> None:
            calls["webhook", outcome] += 1

        webhooks = Webhooks(*self._secrets, self._rooms.look_soon, count)
        return [Route(WEBHOOK_PATH, webhooks.endpoint, methods=["POST"])]

    async def run(self) -> None:
        """Watch the rooms, delete those that are over, and dispatch again where no agent came."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._rooms.run())
                group.create_task(self._unanswered.run())
        finally:
            await self._control.close()

    def shut_down(self) -> None:
        """Do nothing: no media connects to this server."""

    def traffic(self) -> Traffic:
        """Return the counts of calls to LiveKit."""
        return Traffic(calls=self._control.calls)

    def end(self, session: str, room: str) -> None:
        """Delete the room soon."""
        self._rooms.end(room)
