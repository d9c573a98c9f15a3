"""The minimal example, which also records what its session committed, as the test's reference.

Run it in an agent's environment, with this repository and its examples in PYTHONPATH.
"""

import json
import os
from typing import Any, Final

from livekit.agents import AgentSession, JobContext, WorkerOptions, cli
from standins import Ears

from examples import livekit_minimal as minimal

SENTENCES: Final = [f"This is sentence number {number}." for number in range(1, 100)]
_attach: Any = vars(minimal)["attach"]


def note(role: str, text: str) -> None:
    """Write a line that survives an immediate kill."""
    with open(os.environ["NOTED"], "a") as notes:
        notes.write(json.dumps([role, text.strip()]) + "\n")


def attach_and_note(session: AgentSession[None], ctx: JobContext) -> Any:
    """Attach, and listen to the same events."""

    def heard(event: Any) -> None:
        if event.is_final:
            note("USER", event.transcript)

    def added(event: Any) -> None:
        if getattr(event.item, "role", None) == "assistant" and event.item.text_content:
            note("AGENT", event.item.text_content)

    session.on("user_input_transcribed", heard)
    session.on("conversation_item_added", added)
    return _attach(session, ctx)


async def entrypoint(ctx: JobContext) -> None:
    """Hold the example's conversation, with distinct sentences."""
    vars(minimal).update(attach=attach_and_note, Ears=lambda _: Ears(SENTENCES))
    await minimal.entrypoint(ctx)


if __name__ == "__main__":
    options = WorkerOptions(
        entrypoint_fnc=entrypoint,
        agent_name=os.environ["VOXQL_AGENT_NAME"],
        num_idle_processes=1,
        initialize_process_timeout=60,
        load_fnc=lambda: 0.0,
        host="127.0.0.1",
        port=0,
    )
    cli.run_app(options)
