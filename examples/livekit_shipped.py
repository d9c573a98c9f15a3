"""Runs VoxQL's own agent as a LiveKit worker from your own program.

`voxql agent --livekit` does the same and more. Use this to choose the parts in code: `recogniser`
and `voice` accept your own `package.module:function`, which returns a livekit-agents STT or TTS
(docs/speech.md). Needs `make setup` and LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET:
    .venv/bin/python examples/livekit_shipped.py
"""

import asyncio
import logging
import os
import signal

from agent import LiveKitSettings, run_livekit_agent


async def main() -> None:
    """Serve until Ctrl-C or SIGTERM, then let every conversation report its last words."""
    livekit = LiveKitSettings(
        os.environ["LIVEKIT_URL"],
        os.environ["LIVEKIT_API_KEY"],
        os.environ["LIVEKIT_API_SECRET"],
    )
    agent = asyncio.ensure_future(
        run_livekit_agent(
            livekit,
            os.environ.get("VOXQL_AGENT_NAME", "voxql"),
            places=2,
            recogniser="moonshine",
            voice="hibari",
        )
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, agent.cancel)
    await asyncio.wait([agent])
    if not agent.cancelled():
        agent.result()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main())
