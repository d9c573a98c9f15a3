"""Measures the time from an agent's interim to the frame that shows it.

    .venv/bin/python -m tests.browser.speed [EVENTS]

An agent sends 500 finals, then ten numbered interims a second; the page notes when the frame that
shows each of them has been painted. Both use the clock of one machine.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from playwright.async_api import async_playwright, expect
from voxql_bridge import BridgeClient, StartJob, Utterance, Worker, new_segment

from tests.browser.person import Person, at_a_browser
from tests.programs.server_process import ServerProcess

LINES: Final = 500
PAUSE_S: Final = 0.1
LIMIT_MS: Final = 50

# A message posted in an animation frame arrives once that frame is painted.
WATCH: Final = """() => {
  window.shown = {}
  window.shifts = 0
  new PerformanceObserver(list => {
    for (const entry of list.getEntries()) window.shifts += entry.value
  }).observe({type: 'layout-shift'})
  new MutationObserver(() => {
    const last = document.querySelector('.page:last-child > .turn:last-child .line:last-child')
    const number = last.querySelector('.line-text').textContent.match(/^#(\\d+) /)?.[1]
    if (number === undefined || number in window.shown) return
    window.shown[number] = 0
    requestAnimationFrame(() => {
      const {port1, port2} = new MessageChannel()
      port1.onmessage = () => {
        window.shown[number] = performance.timeOrigin + performance.now()
      }
      port2.postMessage(null)
    })
  }).observe(
    document.querySelector('.lines'), {subtree: true, childList: true, characterData: true}
  )
}"""


class Speaker:
    """An agent that says what a test passes to its bridge."""

    def __init__(self) -> None:
        self.bridge: asyncio.Future[BridgeClient] = asyncio.get_running_loop().create_future()

    async def converse(self, job: StartJob) -> None:
        async with BridgeClient(job.url, job.bridge_token) as bridge:
            await bridge.ready()
            bridge.state("LISTENING")
            self.bridge.set_result(bridge)
            async for _ in bridge.commands():
                pass


def said(segment: str, text: str, *, final: bool) -> Utterance:
    now = datetime.now(UTC)
    return Utterance(
        segment=segment,
        role="USER",
        text=text,
        final=final,
        started_at=now,
        ended_at=now if final else None,
        source="SPEECH",
    )


async def measure(
    url: str, key: str, events: int, folder: Path, *, lines: int = LINES
) -> tuple[list[float], float]:
    """Return the latency of each painted interim in milliseconds, and the total layout shift."""
    speaker = Speaker()
    worker = Worker(url, key, agent_names=["voxql"], places=2, on_start=speaker.converse)
    working = asyncio.create_task(worker.run())
    try:
        async with (
            async_playwright() as playwright,
            at_a_browser(playwright, url, [], folder) as person,
        ):
            await worker.connected()
            return await _observed(person, speaker, events, lines)
    finally:
        await worker.stop(timeout=1)
        await working


async def _observed(
    person: Person, speaker: Speaker, events: int, lines: int
) -> tuple[list[float], float]:
    await person.comes_as_guest()
    await person.starts_talking()
    bridge = await speaker.bridge
    for number in range(lines):
        bridge.utter(said(new_segment(), f"Line {number} of what was said before.", final=True))
    await expect(person.lines).to_have_count(lines)
    await person.page.evaluate(WATCH)
    sent: dict[str, float] = {}
    segment = new_segment()
    for number in range(events):
        # A sentence grows for three seconds before the next one begins.
        if number % 30 == 0 and number:
            bridge.utter(said(segment, "and that was that.", final=True))
            segment = new_segment()
        sent[str(number)] = time.time() * 1000
        words = " ".join(["and so on"] * (1 + number % 30))
        bridge.utter(said(segment, f"#{number} {words}", final=False))
        await asyncio.sleep(PAUSE_S)
    last = f"#{events - 1} "
    await expect(person.lines.last).to_contain_text(last)
    await person.page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    shown: dict[str, float] = await person.page.evaluate("window.shown")
    shifts: float = await person.page.evaluate("window.shifts")
    return [at - sent[number] for number, at in shown.items() if at], shifts


def main() -> None:
    """Print the figures; exit with 1 if the p95 is over the limit."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as scratch:
        key = "the key of a measurement"
        server = ServerProcess(
            Path(scratch) / "server", VOXQL_AGENT="external", VOXQL_WORKER_KEY=key
        ).start()
        try:
            took, shifts = asyncio.run(measure(server.url, key, events, Path(scratch)))
        finally:
            server.stop()
    p50, p95 = statistics.median(took), statistics.quantiles(took, n=20)[-1]
    print(
        f"{len(took)} of {events} interims painted, {LINES} lines on the page: "
        f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, most {max(took):.1f} ms; layout shifts {shifts:.4f}"
    )
    sys.exit(p95 > LIMIT_MS)


if __name__ == "__main__":
    main()
