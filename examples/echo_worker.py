"""A complete VoxQL worker: echoes typed lines as utterances of the agent, word by word.

Needs only `pip install ./clients/python`, and a server started with VOXQL_AGENT=external (set
VOXQL_URL if its address is not http://127.0.0.1:8000):
    VOXQL_WORKER_KEY="$(cat var/worker.key)" python examples/echo_worker.py
"""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime

import voxql_bridge as vox

WORD_SECONDS = 0.05


async def converse(job: vox.StartJob) -> None:
    """Take part in one conversation until the server says stop."""
    async with vox.BridgeClient(job.url, job.bridge_token) as bridge:
        await bridge.ready()
        bridge.state("LISTENING")
        async for command in bridge.commands():
            if not isinstance(command, vox.InputCommand):
                break
            bridge.state("SPEAKING")
            await echo(bridge, command.text)
            bridge.state("LISTENING")


async def echo(bridge: vox.BridgeClient, text: str) -> None:
    """Echo a text: an interim for each word, then the final."""
    segment, started_at = vox.new_segment(), datetime.now(UTC)

    def say(words: str, *, final: bool) -> None:
        bridge.utter(
            vox.Utterance(
                segment=segment,
                role="AGENT",
                text=words,
                final=final,
                started_at=started_at,
                ended_at=datetime.now(UTC) if final else None,
                source="TYPED",
            )
        )

    words = text.split()
    for count in range(1, len(words)):
        say(" ".join(words[:count]), final=False)
        await asyncio.sleep(WORD_SECONDS)
    say(text, final=True)


async def main() -> None:
    """Serve until Ctrl-C or SIGTERM, then let running conversations end."""
    worker = vox.Worker(
        os.environ.get("VOXQL_URL", "http://127.0.0.1:8000"),
        os.environ["VOXQL_WORKER_KEY"],
        agent_names=[os.environ.get("VOXQL_AGENT_NAME", "voxql")],
        places=int(os.environ.get("ECHO_PLACES", "10")),
        on_start=converse,
    )
    stopping: list[asyncio.Task[None]] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(
            number, lambda: stopping.append(asyncio.create_task(worker.stop(timeout=2)))
        )
    await worker.run()


if __name__ == "__main__":
    if not os.environ.get("VOXQL_WORKER_KEY"):
        sys.exit("Set VOXQL_WORKER_KEY to what is in the server's data folder: var/worker.key")
    try:
        asyncio.run(main())
    except vox.BridgeClosed as closed:
        sys.exit(f"The server does not want this worker: {closed}")
