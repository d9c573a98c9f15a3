"""The minimal example as a worker that announces itself, and whose jobs take four seconds to start.

Run it like `noting.py`.
"""

import asyncio
import os

from livekit.agents import AgentServer, JobContext, WorkerOptions, cli
from voxql_bridge import announce

from examples import livekit_minimal as minimal

SLOW_S = 4.0


async def entrypoint(ctx: JobContext) -> None:
    """Load something first, as many agents do."""
    await asyncio.sleep(SLOW_S)
    await minimal.entrypoint(ctx)


if __name__ == "__main__":
    name = os.environ["VOXQL_AGENT_NAME"]
    options = WorkerOptions(
        entrypoint_fnc=entrypoint,
        agent_name=name,
        num_idle_processes=1,
        initialize_process_timeout=60,
        load_fnc=lambda: 0.0,
        host="127.0.0.1",
        port=0,
    )
    server = AgentServer.from_server_options(options)
    announce(server, name)
    cli.run_app(server)
