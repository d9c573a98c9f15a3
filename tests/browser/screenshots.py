"""Takes the README's screenshots: light, dark and narrow, of a real conversation."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.async_api import Page, async_playwright, expect

from tests.browser.chapters import LEISURE
from tests.browser.person import Person, at_a_browser
from tests.programs.server_process import ROOT, START_TIMEOUT_S, ServerProcess
from tests.speech.sound import recording

WOMAN, DASHWOOD = map(recording, ("0920", "0870"))
IMAGES: Final = ROOT / "docs" / "images"
SHOWN: Final = frozenset({"conversation", "search"})
"""The screenshots that the documents show."""

LINES: Final = ("Good morning! What can you do?", "How much is 12 times 12?", "Thank you, goodbye.")


def main() -> None:
    """Write the screenshots into the folder given, or into docs/images."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        server = ServerProcess(
            Path(scratch) / "server", VOXQL_AGENT="local", VOXQL_START_TIMEOUT_S=START_TIMEOUT_S
        ).start()
        try:
            server.wait_for("ready: conversations can begin")
            asyncio.run(_take(server.url, folder, Path(scratch)))
        finally:
            server.stop()


async def _take(url: str, folder: Path, scratch: Path) -> None:
    profile = scratch / "person"
    profile.mkdir()
    async with (
        async_playwright() as playwright,
        at_a_browser(
            playwright, url, [], profile, speaks_on_demand=True, reduced_motion="reduce"
        ) as person,
    ):
        page = person.page
        await page.set_viewport_size({"width": 1280, "height": 800})
        await page.goto(url)
        await page.get_by_role("button", name="Continue as guest").first.wait_for()
        await _shoot(page, folder, "welcome")
        await person.comes_as_guest()
        await _shoot(page, folder, "start")
        await _typed_conversations(person)
        await person.starts_talking()
        await person.says(WOMAN)
        await person.hears_himself_say(WOMAN.text)
        await person.answers.first.wait_for()
        await expect(person.state).to_have_text("Listening")
        await person.says(DASHWOOD)
        await person.is_saying(LEISURE)
        await _shoot(page, folder, "conversation")
        await _the_rest(person, folder)


async def _typed_conversations(person: Person) -> None:
    """Fill the history with conversations."""
    page = person.page
    session = await person.starts_talking()
    for number, line in enumerate(LINES):
        await person.types(line)
        await person.answers.first.wait_for()
        if number + 1 < len(LINES):
            await person.new_chat.click()
            session = await person.is_listened_to(other_than=session)
    await page.get_by_role("button", name="End", exact=True).click()
    await page.get_by_role("button", name="Start talking").wait_for()
    for number, title in enumerate(("Farewell", "Some arithmetic", "First words")):
        row = page.locator(".row").nth(number)
        await row.hover()
        await row.get_by_role("button", name="Options for").click()
        await page.get_by_role("menuitem", name="Rename").click()
        await expect(page.get_by_label("Title")).to_be_focused()
        await page.get_by_label("Title").fill(title)
        await page.keyboard.press("Enter")
        await expect(row).to_contain_text(title)


async def _the_rest(person: Person, folder: Path) -> None:
    page = person.page
    session = person.session_id
    await person.new_chat.click()
    await person.is_listened_to(other_than=session)
    await page.get_by_role("button", name="End", exact=True).click()
    await page.get_by_role("button", name="Start talking").wait_for()
    await page.locator(".row-link").first.click()
    await page.get_by_text("End of the conversation").wait_for()
    await page.get_by_label("Search conversations").fill("woman")
    await page.locator("mark").first.wait_for()
    await _shoot(page, folder, "search")
    await page.goto(f"{person.url}/settings")
    await page.get_by_text("API tokens").wait_for()
    await _shoot(page, folder, "settings")


async def _shoot(page: Page, folder: Path, name: str) -> None:
    """Take it in both themes and on a narrow page."""
    await page.mouse.move(640, 5)
    if folder == IMAGES and name not in SHOWN:
        return
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.screenshot(path=folder / f"{name}-{scheme}.png")
    await page.set_viewport_size({"width": 360, "height": 740})
    history = page.get_by_role("navigation", name="History")
    await expect(history).to_have_count(0)
    await page.emulate_media(color_scheme="light")
    await page.screenshot(path=folder / f"{name}-narrow.png")
    await page.set_viewport_size({"width": 1280, "height": 800})
    if name != "welcome":
        await expect(history).to_be_visible()


if __name__ == "__main__":
    main()
