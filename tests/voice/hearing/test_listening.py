"""An agent reports that it listens only once it does."""

import asyncio

from agent.answers import Responder
from agent.conversation import Conversation, Minds
from agent_bridge.client.worker import StartJob
from agent_bridge.protocol.audio import Begin, Clear, End
from tests.voice.server import Server


class DeafLine:
    """A line that hears nobody until a test allows it."""

    def __init__(self) -> None:
        self.is_heard = asyncio.Event()
        self.shown: list[str] = []

    def say(self, frame: Begin | End | Clear) -> None:
        pass

    def sound(self, pcm: bytes) -> None:
        pass

    def state(self, state: str) -> None:
        self.shown.append(state)

    async def hears(self) -> None:
        await self.is_heard.wait()

    async def run(self) -> None:
        await asyncio.Event().wait()


async def test_it_says_so_once_the_person_is_heard(server: Server) -> None:
    """Typed lines are answered before that; the page and the room show the same state."""
    line = DeafLine()
    job = StartJob(
        session="ses_a",
        attempt=1,
        agent_name="voxql",
        bridge_token=server.tokens.bridge("ses_a", 1),
        audio_token="",
        url=server.url,
    )
    minds = Minds(Responder(), None, None)
    notes = server.notebook.of("ses_a")
    running = asyncio.create_task(Conversation(job, minds, lambda _: line).run())
    await server.notebook.until(lambda: notes.is_ready)

    server.type("ses_a", "line-1", "Thank you.")
    await server.notebook.until(lambda: notes.acknowledged == ["line-1"])
    assert "LISTENING" not in [state for _, state in notes.states]
    assert not {"listening", "idle"} & set(line.shown)

    line.is_heard.set()
    await server.notebook.until(lambda: notes.states[-1][1] == "LISTENING")
    assert line.shown[-1] in ("listening", "idle")

    server.stop("ses_a")
    await running
    assert notes.byes == ["STOPPED"]
