"""Test doubles: an agent that a test controls, and workers."""

import asyncio
from datetime import UTC, datetime

from agent_bridge.protocol import Utterance
from agent_bridge.server.handler import Binding
from agent_bridge.server.workers import StartRequest
from resolvers.backend import Backend

CONNECTION = "con-1"


class WillingAgents:
    """Workers that accept every conversation and record the requests."""

    def __init__(self) -> None:
        self.asked: list[StartRequest] = []

    def knows(self, agent_name: str) -> bool:
        return agent_name == "voxql"

    def free(self, agent_name: str) -> int:
        return 1

    async def start(self, request: StartRequest) -> None:
        self.asked.append(request)


class Agent:
    """An agent in one session, which reports what a bridge connection would."""

    def __init__(self, backend: Backend, session_id: str, attempt: int = 1) -> None:
        self._events = backend.agent_events
        self._backend = backend
        self._binding = Binding(session_id, attempt)
        self._revisions: dict[str, int] = {}

    async def come(self) -> None:
        await self._events.hello(self._binding, CONNECTION, frozenset())
        await self._events.ready(self._binding, CONNECTION)

    def state(self, state: str) -> None:
        self._events.agent_state(self._binding, CONNECTION, state)  # type: ignore[arg-type]

    async def say(
        self, text: str, *, segment: str = "SG_1", final: bool = True, role: str = "USER"
    ) -> None:
        """Report an utterance; return once it is answered."""
        revision = self._revisions[segment] = self._revisions.get(segment, 0) + 1
        answered: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._events.utterance(
            self._binding,
            CONNECTION,
            Utterance(
                segment=segment,
                revision=revision,
                role=role,  # type: ignore[arg-type]
                text=text,
                final=final,
                started_at=datetime.now(UTC),
            ),
            lambda answer: None if answered.done() else answered.set_result(answer),
        )
        await answered

    async def bye(self) -> None:
        await self._events.bye(self._binding, CONNECTION, "STOPPED")
