"""A scripted agent: it says what a test passes to it, and loads no models."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec.structs import replace
from voxql_bridge import BridgeClient, InputCommand, StartJob, Utterance, Worker, new_segment

from tests.programs.server_process import START_TIMEOUT_S, ServerProcess

KEY: Final = "the key of an agent in a script"


class Scripted:
    """Answers typed lines; tests supply the spoken ones."""

    def __init__(self) -> None:
        self.bridges: dict[str, BridgeClient] = {}
        """By session id."""
        self.comes = True
        """Whether it joins when dispatched, or hangs."""
        self._talking: dict[str, asyncio.Future[None]] = {}

    async def converse(self, job: StartJob) -> None:
        """Hold one conversation until it `dies`."""
        talking = self._talking[job.session] = asyncio.ensure_future(self._talk(job))
        await asyncio.wait({talking})

    async def _talk(self, job: StartJob) -> None:
        if not self.comes:
            await asyncio.Event().wait()
        async with BridgeClient(job.url, job.bridge_token) as bridge:
            await bridge.ready()
            bridge.state("LISTENING")
            self.bridges[job.session] = bridge
            async for command in bridge.commands():
                if not isinstance(command, InputCommand):
                    return
                bridge.utter(_utterance("AGENT", f"You typed: {command.text}"))

    def hears(self, session: str, text: str, *, is_final: bool = True) -> None:
        """Report an interim or a final of the person."""
        self.bridges[session].utter(_utterance("USER", text, is_final=is_final))

    def says(self, session: str, text: str, segment: str, *, is_final: bool = True) -> None:
        """Report an interim or a final of the agent; a final completes its segment's interims."""
        said = _utterance("AGENT", text, is_final=is_final)
        self.bridges[session].utter(replace(said, segment=segment))

    def dies(self, session: str) -> None:
        """End the session's connection without a message."""
        self._talking[session].cancel()


def _utterance(role: str, text: str, *, is_final: bool = True) -> Utterance:
    now = datetime.now(UTC)
    return Utterance(
        segment=new_segment(),
        role="USER" if role == "USER" else "AGENT",
        text=text,
        final=is_final,
        started_at=now,
        ended_at=now if is_final else None,
        source="SPEECH",
    )


@asynccontextmanager
async def with_a_script(
    folder: Path, /, places: str = "9", **environment: str
) -> AsyncIterator[tuple[ServerProcess, Scripted]]:
    """Start a server whose only agent is scripted; the agent outlives the server."""
    settings = {"VOXQL_START_TIMEOUT_S": START_TIMEOUT_S, **environment}
    server = ServerProcess(folder, VOXQL_AGENT="external", VOXQL_WORKER_KEY=KEY, **settings)
    await asyncio.to_thread(server.start)
    agent = Scripted()
    address = f"http://127.0.0.1:{port_of(server)}"
    worker = Worker(
        address, KEY, agent_names=["voxql"], places=int(places), on_start=agent.converse
    )
    working = asyncio.create_task(worker.run())
    try:
        await worker.connected()
        yield server, agent
    finally:
        await worker.stop(timeout=1)
        await working
        server.stop()


def port_of(server: ServerProcess) -> str:
    """Return the server's port."""
    return server.wait_for("127.0.0.1, port ").partition(", port ")[2].split()[0]
