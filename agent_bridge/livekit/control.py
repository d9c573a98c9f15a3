"""Calls a LiveKit server; every call is limited in time and counted."""

import json
from collections import Counter
from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from livekit import api

from agent_bridge.server.workers import NoAgent

T = TypeVar("T")

CALL_S: Final = 3.0
"""Seconds that one call may take: less than any sensible start time-out."""
TOKEN_LIFETIME: Final = timedelta(minutes=15)
"""How long a person has to connect; LiveKit renews the token of an open connection."""
ACCESS: Final = "voxql.access"
"""The participant attribute that names the login or API token behind a person's token."""
UNATTENDED_S: Final = 6 * 3600
"""Seconds that LiveKit keeps a room without a person.

Long, because a conversation may go on by typing alone, and because the server ends it by its own
rules; LiveKit must not close the room before that. Short enough for a server that never comes back.
"""


class LiveKitTrouble(NoAgent):
    """LiveKit can't be reached, or refuses. The message is shown to the person."""

    def __init__(self, reason: str) -> None:
        super().__init__("The voice service can't be reached just now. Please try again soon.")
        self.reason = reason
        """For the log; contains no secret."""


class LiveKitRefused(LiveKitTrouble):
    """LiveKit answers but can't do this; a call for another room may succeed."""


class RoomGone(Exception):
    """The room does not exist, or no longer does."""


class LiveKitControl:
    """Makes VoxQL's calls to LiveKit. Use it from one event loop, and close it.

    Args:
        url: LiveKit's address, with ws, wss, http or https.
        key: LiveKit's API key.
        secret: LiveKit's API secret.
        call_s: Seconds that one call may take.
    """

    def __init__(self, url: str, key: str, secret: str, *, call_s: float = CALL_S) -> None:
        self.url = _with_scheme(url, {"http": "ws", "https": "wss"})
        """Where clients connect."""
        self._key = key
        self._secret = secret
        self._call_s = call_s
        self._api: api.LiveKitAPI | None = None
        self.calls: Counter[tuple[str, str]] = Counter()
        """Calls by name and outcome: `ok`, `gone` or `failed`."""

    async def close(self) -> None:
        """Close its connections; the next call opens them again."""
        if self._api is not None:
            opened, self._api = self._api, None
            await opened.aclose()

    # ------------------------------------------------------------------ rooms

    async def create(self, room: str, metadata: str, agent_name: str, job_metadata: str) -> None:
        """Create a room and dispatch its agent, in one call.

        In a room that already exists LiveKit dispatches no agent: see `dispatch`.
        """
        request = api.CreateRoomRequest(
            name=room,
            metadata=metadata,
            empty_timeout=UNATTENDED_S,
            departure_timeout=UNATTENDED_S,
            agents=[api.RoomAgentDispatch(agent_name=agent_name, metadata=job_metadata)],
        )
        await self._call("create_room", self._opened().room.create_room(request))

    async def rooms(self, names: Iterable[str] = ()) -> list[api.Room]:
        """Return those of the named rooms that exist; every room if there are no names."""
        request = api.ListRoomsRequest(names=list(names))
        answer = await self._call("list_rooms", self._opened().room.list_rooms(request))
        return list(answer.rooms)

    async def delete(self, room: str) -> None:
        """Close a room and disconnect everybody in it.

        Raises:
            RoomGone: The room was already gone.
        """
        request = api.DeleteRoomRequest(room=room)
        await self._call("delete_room", self._opened().room.delete_room(request))

    # ------------------------------------------------------------------ who is in a room

    async def participants(self, room: str) -> list[api.ParticipantInfo]:
        """Return who is in a room; an empty list if it does not exist."""
        request = api.ListParticipantsRequest(room=room)
        service = self._opened().room
        try:
            answer = await self._call("list_participants", service.list_participants(request))
        except RoomGone:
            return []
        return list(answer.participants)

    async def remove(self, room: str, identity: str) -> None:
        """Remove a participant from a room.

        Raises:
            RoomGone: The participant, or the room, was already gone.
        """
        request = api.RoomParticipantIdentity(room=room, identity=identity)
        await self._call("remove_participant", self._opened().room.remove_participant(request))

    def token(self, room: str, identity: str, access: str) -> tuple[str, datetime]:
        """Make a person's token: one room, one identity, the microphone, and no data.

        Somebody who may publish data could fake what other clients take for the agent's transcript.
        LiveKit can't revoke a token. So the access that it was made from is an attribute of the
        participant, who can't change it, and VoxQL checks that attribute in the room.
        """
        expires_at = (datetime.now(UTC) + TOKEN_LIFETIME).replace(microsecond=0)
        grants = api.VideoGrants(
            room_join=True,
            room=room,
            can_publish=True,
            can_publish_sources=["microphone"],
            can_publish_data=False,
            can_subscribe=True,
            can_update_own_metadata=False,
        )
        token = api.AccessToken(self._key, self._secret).with_identity(identity).with_grants(grants)
        token = token.with_attributes({ACCESS: access})
        return token.with_ttl(TOKEN_LIFETIME).to_jwt(), expires_at

    # ------------------------------------------------------------------ agents

    async def dispatches(self, room: str) -> list[api.AgentDispatch]:
        """Return the dispatches of a room.

        Raises:
            RoomGone: The room does not exist.
        """
        service = self._opened().agent_dispatch
        return await self._call("list_dispatch", service.list_dispatch(room))

    async def dispatch(self, room: str, agent_name: str, job_metadata: str) -> None:
        """Dispatch an agent into an existing room.

        Raises:
            RoomGone: The room does not exist.
        """
        request = api.CreateAgentDispatchRequest(
            room=room, agent_name=agent_name, metadata=job_metadata
        )
        service = self._opened().agent_dispatch
        await self._call("create_dispatch", service.create_dispatch(request))

    async def withdraw(self, room: str, dispatch_id: str) -> None:
        """Withdraw a dispatch; LiveKit tells an agent that has come to leave.

        Raises:
            RoomGone: The room, or the dispatch, was already gone.
        """
        service = self._opened().agent_dispatch
        await self._call("delete_dispatch", service.delete_dispatch(dispatch_id, room))

    # ------------------------------------------------------------------ calling

    def _opened(self) -> api.LiveKitAPI:
        if self._api is None:
            timeout = aiohttp.ClientTimeout(total=self._call_s)
            self._api = api.LiveKitAPI(self.url, self._key, self._secret, timeout=timeout)
        return self._api

    async def _call(self, name: str, call: Awaitable[T]) -> T:
        outcome = "failed"
        try:
            answer = await call
            outcome = "ok"
            return answer
        except api.ServerError as error:
            if error.code == api.ServerErrorCode.NOT_FOUND:
                outcome = "gone"
                raise RoomGone(name) from None
            is_ours = error.status in (401, 403)  # a wrong key is wrong for every room
            kind = LiveKitTrouble if is_ours else LiveKitRefused
            raise kind(f"{name}: {error.code} ({error.status})") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise LiveKitTrouble(f"{name}: {type(error).__name__}") from error
        finally:
            self.calls[name, outcome] += 1


def job_of(dispatch: api.AgentDispatch) -> tuple[str, int] | None:
    """Return the session and attempt of a dispatch; None if it is not one of ours."""
    try:
        told = json.loads(dispatch.metadata)["voxql"]
        return str(told["session"]), int(told["attempt"])
    except (ValueError, KeyError, TypeError):
        return None


def _with_scheme(url: str, schemes: dict[str, str]) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme=schemes.get(parts.scheme, parts.scheme))).rstrip("/")
