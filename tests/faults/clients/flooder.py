"""A flooding agent in its own process, so that it slows only the server.

Usage: `python -m tests.faults.clients.flooder URL TOKEN`. For each line on standard input it sends
10,000 interims of one segment, at 10,000 a second unless the server reads more slowly, and prints
how long it took until the last one was acknowledged.
"""

import asyncio
import json
import sys
import time

from tests.agent_bridge.wire import Raw, raw, words

A_SECOND = 10_000
SECONDS = 1
AT_ONCE = 50


async def main(url: str, token: str) -> None:
    async with raw(url) as flooder:
        await flooder.send("hello", token=token)
        await flooder.receive()
        print("welcomed", flush=True)
        last = 0
        while await asyncio.to_thread(sys.stdin.readline):
            began = time.perf_counter()
            last = await flood(flooder, last)
            print(f"{time.perf_counter() - began:.2f}", flush=True)


async def flood(flooder: Raw, last: int) -> int:
    count = A_SECOND * SECONDS
    reading = asyncio.create_task(until_answered(flooder, last + count))
    began = time.perf_counter()
    for number in range(1, count + 1):
        members = words("seg_flood", last + number, f"so far {last + number}", final=False)
        await flooder.send("utterance", **members)
        if number % AT_ONCE == 0:
            ahead = began + number / A_SECOND - time.perf_counter()
            await asyncio.sleep(max(0.0, ahead))
    await reading
    return last + count


async def until_answered(flooder: Raw, revision: int) -> None:
    async for frame in flooder.socket:
        answer = json.loads(frame)
        if answer["type"] == "ack" and answer["revision"] >= revision:
            return


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
