"""Your own LiveKit agent plus one line, which gives VoxQL every word of its conversations.

Needs `pip install livekit-agents ./clients/python`, LIVEKIT_URL, LIVEKIT_API_KEY and
LIVEKIT_API_SECRET, and a server with VOXQL_AGENT=livekit and the same three settings:
    python examples/livekit_minimal.py start
"""

import os

from livekit.agents import Agent, AgentSession, JobContext, WorkerOptions, cli
from standins import Answer, Ears, Mind, Voice
from voxql_bridge import attach


def answer(said: str, _: bool) -> Answer:
    """Return what to say."""
    return f"You said: {said}"


async def entrypoint(ctx: JobContext) -> None:
    """Hold one conversation."""
    session: AgentSession[None] = AgentSession(
        stt=Ears(["Good morning to you all.", "What a lovely day this is."]),
        llm=Mind(answer),
        tts=Voice(),
        vad=None,
        turn_detection="stt",
    )
    attach(session, ctx)  # this line is all that VoxQL needs
    await session.start(Agent(instructions="You are polite."), room=ctx.room)


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
