"""Takes screenshots of the page: heard, muted, asking for the microphone, offline, in Arabic.

axe-core must find no violation in any of them.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page, Playwright, async_playwright, expect

from tests.browser.in_the_page import NO_ANSWER
from tests.browser.person import Person, at_a_browser
from tests.browser.scripted import Scripted, with_a_script
from tests.speech.sound import recording

VIEWS: Final = (("light", 1280, 800), ("dark", 1280, 800), ("light", 360, 740), ("dark", 360, 740))


async def main() -> None:
    """Write the screenshots into the folder given as the first argument."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        async with (
            async_playwright() as playwright,
            with_a_script(Path(scratch) / "server", VOXQL_START_TIMEOUT_S="60") as (server, agent),
        ):
            studio = Studio(playwright, server.url, agent, folder, Path(scratch))
            await studio.not_asked_yet()
            await studio.refused()
            await studio.heard()
            await studio.right_to_left()
            await studio.without_an_agent()


class Studio:
    """A server with a scripted agent, and browsers that visit it."""

    def __init__(
        self, playwright: Playwright, url: str, agent: Scripted, folder: Path, scratch: Path
    ) -> None:
        self._playwright, self._url, self._agent = playwright, url, agent
        self._folder, self._scratch = folder, scratch

    async def not_asked_yet(self) -> None:
        """Shoot the page while the browser's permission prompt is open."""
        async with self._somebody("asked") as person:
            await person.page.add_init_script(NO_ANSWER)
            await self._starts(person, "Allow the microphone…")
            await person.page.get_by_role("heading", name="Allow your microphone").wait_for()
            await self._shoot(person, "allow")

    async def refused(self) -> None:
        """Shoot the page after the person refused the microphone."""
        async with self._somebody("refused", may_use_microphone=False) as person:
            await self._starts(person, "Microphone off")
            await self._shoot(person, "microphone-off")

    async def heard(self) -> None:
        """Shoot a person speaking, muted, offline, typing, and failing to end while offline."""
        async with self._somebody("heard", speaks_on_demand=True) as person:
            await self._starts(person, "Listening")
            await person.types("How much is 12 times 12?")
            await person.says(recording("0870"))
            # The middle bar scales with the voice level; at rest its scale is one sixth.
            await person.page.wait_for_function(
                "() => new DOMMatrix(document.querySelector('.voice i:nth-child(3)')"
                ".style.transform).d > 0.5"
            )
            await self._shoot(person, "listening")
            await person.page.get_by_role("button", name="Mute").click()
            await expect(person.state).to_have_text("Muted")
            await self._shoot(person, "muted")
            await person.context.set_offline(True)
            await expect(person.state).to_have_text("Offline, reconnecting…")
            await self._types(person, "Does this arrive?", "And this, in order?")
            await self._shoot(person, "offline")
            await person.page.get_by_role("button", name="End", exact=True).click()
            await expect(person.page.get_by_role("alert")).to_contain_text("Can't reach")
            await self._shoot(person, "offline-not-saved")
            await person.context.set_offline(False)
            await expect(person.state).to_have_text("Muted")
            await expect(person.page.locator("[data-pending]")).to_have_count(0)
            await self._shoot(person, "online-again")

    async def right_to_left(self) -> None:
        """Shoot Arabic and Hebrew lines, and a search for an Arabic word."""
        async with self._somebody("arabic") as person:
            await self._starts(person, "Listening")
            await person.types("كيف الطقس اليوم؟")
            await person.types("מה השעה?")
            await person.page.get_by_role("searchbox").first.fill("الطقس")
            await expect(person.page.locator(".row mark")).to_have_count(1)
            await self._shoot(person, "right-to-left")

    async def without_an_agent(self) -> None:
        """Shoot lines that wait for an agent that has not joined."""
        self._agent.comes = False
        async with self._somebody("early", has_microphone=True) as person:
            await self._starts(person, "Waiting for the agent…")
            await self._types(person, "Are you there?")
            await self._shoot(person, "no-agent-yet")

    @asynccontextmanager
    async def _somebody(self, name: str, **options: Any) -> AsyncIterator[Person]:
        profile = self._scratch / name
        profile.mkdir()
        options = {"reduced_motion": "reduce", **options}
        async with at_a_browser(self._playwright, self._url, [], profile, **options) as person:
            yield person

    async def _starts(self, person: Person, state: str) -> None:
        await person.comes_as_guest()
        await person.page.get_by_role("button", name="Start talking").click()
        await expect(person.state).to_have_text(state)

    async def _types(self, person: Person, *lines: str) -> None:
        for line in lines:
            await person.field.fill(line)
            await person.field.press("Enter")

    async def _shoot(self, person: Person, name: str) -> None:
        page: Page = person.page
        await page.mouse.move(640, 5)
        for scheme, width, height in VIEWS:
            await page.set_viewport_size({"width": width, "height": height})
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            await page.screenshot(path=self._folder / f"{name}-{scheme}-{width}.png")
            assert await person.axe() == [], (name, scheme, width)


if __name__ == "__main__":
    asyncio.run(main())
