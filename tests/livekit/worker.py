"""A small LiveKit worker whose agents and timing a test controls."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import uuid4

import aiohttp
from livekit import api

from agent_bridge.attaching.announcing import give_notice
from tests.programs.livekit_server import KEY, SECRET


@dataclass
class Job:
    """A job that LiveKit has assigned."""

    id: str
    dispatch: str
    room: str
    identity: str
    metadata: str = field(repr=False)
    url: str
    token: str = field(repr=False)
    is_terminated: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def told(self) -> dict[str, Any]:
        """The part of the metadata that VoxQL adds."""
        told: dict[str, Any] = json.loads(self.metadata)["voxql"]
        return told


class Worker:
    """`async with Worker(livekit.url) as worker`, then `await worker.job()`.

    Args:
        url: LiveKit's address.
        name: The agent that it runs.
        announces: Whether it announces itself to VoxQL, as `voxql_bridge.announce` does.
    """

    def __init__(self, url: str, name: str = "voxql", *, announces: bool = False) -> None:
        self._url = url
        self._announces = announces
        self._name = name
        self._jobs: asyncio.Queue[Job] = asyncio.Queue()
        self.taken: dict[str, Job] = {}
        """Every job that it was ever assigned, by id."""
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reading: asyncio.Task[None] | None = None
        self._known = asyncio.Event()

    async def __aenter__(self) -> Self:
        grants = api.VideoGrants(agent=True)
        token = api.AccessToken(KEY, SECRET).with_grants(grants).to_jwt()
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(
            f"{self._url}/agent", headers={"Authorization": f"Bearer {token}"}
        )
        register = api.RegisterWorkerRequest(
            type=api.JobType.JT_ROOM,
            agent_name=self._name,
            version="0",
            allowed_permissions=api.ParticipantPermission(
                can_publish=True, can_subscribe=True, can_publish_data=True, agent=True
            ),
        )
        await self._send(register=register)
        assert (await self._receive()).HasField("register")
        available = api.UpdateWorkerStatus(status=api.WorkerStatus.WS_AVAILABLE, load=0.0)
        await self._send(update_worker=available)
        self._reading = asyncio.create_task(self._read())
        # LiveKit says "registered" before it can assign jobs; it processes messages in order.
        await self._send(ping=api.WorkerPing(timestamp=1))
        async with asyncio.timeout(30):
            await self._known.wait()
        if self._announces:
            await give_notice(self._name, self._url, KEY, SECRET)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.vanish()

    async def job(self, within: float = 30.0) -> Job:
        """Return the next job."""
        async with asyncio.timeout(within):
            return await self._jobs.get()

    async def vanish(self) -> None:
        """Disconnect without reporting the jobs, like a killed process."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        if self._http is not None:
            await self._http.close()

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message.HasField("availability"):
                answer = api.AvailabilityResponse(
                    job_id=message.availability.job.id,
                    available=True,
                    participant_identity=f"agent-{uuid4().hex}",
                )
                await self._send(availability=answer)
            elif message.HasField("assignment"):
                await self._take(message.assignment)
            elif message.HasField("pong"):
                self._known.set()
            elif message.HasField("termination"):
                self.taken[message.termination.job_id].is_terminated.set()

    async def _take(self, given: api.JobAssignment) -> None:
        job = Job(
            id=given.job.id,
            dispatch=given.job.dispatch_id,
            room=given.job.room.name,
            identity=given.job.state.participant_identity,
            metadata=given.job.metadata,
            url=self._url,
            token=given.token,
        )
        self.taken[job.id] = job
        running = api.UpdateJobStatus(job_id=job.id, status=api.JobStatus.JS_RUNNING)
        await self._send(update_job=running)
        self._jobs.put_nowait(job)

    async def _send(self, **message: Any) -> None:
        assert self._socket is not None
        await self._socket.send_bytes(api.WorkerMessage(**message).SerializeToString())

    async def _receive(self) -> api.ServerMessage:
        assert self._socket is not None
        return api.ServerMessage.FromString(await self._socket.receive_bytes())
