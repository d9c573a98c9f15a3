"""What `attach` costs an agent's event loop for each event: `python -m bench.attach_cost`.

A session and a room that only pass on events, and the real endpoint on the same machine. Measured
is the time that each call of a handler keeps the loop, not what goes on beside it.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable

from agent_bridge.attaching import attach
from tests.agent_bridge.serving import SESSION, serve
from tests.attach.fakes import FakeContext, FakeRoom, FakeSession

ROUNDS = 2_000
WORDS = [
    "so",
    "many",
    "words",
    "as",
    "a",
    "person",
    "says",
    "in",
    "a",
    "long",
    "breath",
    "before",
    "the",
    "next",
    "one",
    "comes",
]


async def measured(name: str, work: Callable[[int], Awaitable[None]]) -> dict[str, float | str]:
    """Return median and worst of many rounds, in microseconds."""
    took = []
    for number in range(ROUNDS):
        began = time.perf_counter()
        await work(number)
        took.append((time.perf_counter() - began) * 1e6)
        # The connection's own work has its turn between two events, as in an agent.
        await asyncio.sleep(0)
    took.sort()
    return {
        "event": name,
        "median_us": round(statistics.median(took), 1),
        "p99_us": round(took[int(len(took) * 0.99)], 1),
        "worst_us": round(took[-1], 1),
    }


async def main() -> None:
    """Print a line of JSON for each kind of event."""
    async with serve() as served:
        room, session = FakeRoom(), FakeSession("listening")
        member = {"url": served.url, "session": SESSION, "attempt": 1, "token": served.token()}
        attachment = attach(session, FakeContext({"voxql": member}, room))
        assert attachment is not None
        await served.handler.saw("ready", 1)

        async def interim(number: int) -> None:
            session.heard(" ".join(WORDS[: number % len(WORDS) + 1]))
            await room.show_person(f"SG_{number // 10}", "", final=False)

        async def final(number: int) -> None:
            session.heard(" ".join(WORDS), final=True)
            await room.show_person(f"SF_{number}", "", final=True)

        async def word(number: int) -> None:
            await room.show_agent(f"SA_{number // 15}", "word ")

        async def state(number: int) -> None:
            session.state("thinking" if number % 2 else "listening")

        async def reply(number: int) -> None:
            session.replied(" ".join(WORDS), began=0.0)

        for name, work in {
            "user_input_transcribed, interim": interim,
            "user_input_transcribed, final": final,
            "a word of the agent": word,
            "agent_state_changed": state,
            "conversation_item_added": reply,
        }.items():
            print(json.dumps(await measured(name, work)))
        await attachment.aclose()


if __name__ == "__main__":
    asyncio.run(main())
