"""Two agents in one conversation, the first with tools; VoxQL hears both across the handoff.

Has the same requirements as livekit_minimal.py:
    python examples/livekit_handoff.py start
"""

import os

from livekit.agents import (
    Agent,
    AgentSession,
    JobContext,
    RunContext,
    WorkerOptions,
    cli,
    function_tool,
)
from standins import Answer, Ears, Mind, Voice
from voxql_bridge import attach


class Billing(Agent):
    """Answers questions about invoices."""

    def __init__(self) -> None:
        super().__init__(instructions="You answer questions about invoices.")

    async def on_enter(self) -> None:
        """Greet the transferred caller."""
        self.session.say("Billing speaking.")


class Reception(Agent):
    """Takes every call, and transfers some."""

    def __init__(self) -> None:
        super().__init__(instructions="You are the reception of a shop.")

    @function_tool
    async def opening_hours(self, context: RunContext[None]) -> str:
        """Called when somebody asks for the opening hours."""
        return "from nine to five"

    @function_tool
    async def transfer_to_billing(self, context: RunContext[None]) -> Agent:
        """Called when somebody has a question about an invoice."""
        return Billing()


def answer(said: str, by_tool: bool) -> Answer:
    """Return what to say, or a tool to call."""
    if by_tool:
        return f"We are open {said}."
    if "open" in said:
        return {"tool": "opening_hours"}
    return {"tool": "transfer_to_billing"} if "an invoice" in said else f"I see: {said}"


async def entrypoint(ctx: JobContext) -> None:
    """Hold one conversation."""
    session: AgentSession[None] = AgentSession(
        stt=Ears(["When are you open?", "I have an invoice here.", "It is far too high."]),
        llm=Mind(answer),
        tts=Voice(),
        vad=None,
        turn_detection="stt",
    )
    attach(session, ctx)
    await session.start(Reception(), room=ctx.room)


if __name__ == "__main__":
    options = WorkerOptions(
        entrypoint_fnc=entrypoint,
        agent_name=os.environ.get("VOXQL_AGENT_NAME", "voxql"),
        num_idle_processes=1,
        initialize_process_timeout=60,
        load_fnc=lambda: 0.0,  # an example accepts every job
        host="127.0.0.1",
        port=0,
    )
    cli.run_app(options)
