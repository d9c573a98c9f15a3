"""Draws the icons that can't be SVG: for home screens, docks, and programs without SVG support."""

import asyncio
import struct
import sys
from pathlib import Path
from typing import Final

from playwright.async_api import Page, async_playwright

from tests.browser.chromium import CHROMIUM, FLAGS
from tests.programs.server_process import ROOT

PUBLIC: Final = ROOT / "frontend" / "public"
ROUND: Final = {"icon-192.png": 192, "icon-512.png": 512}
"""Sides in pixels. Round corners, like the SVG."""
FULL: Final = {"icon-maskable-512.png": 512, "apple-touch-icon.png": 180}
"""Without round corners: the system cuts its own. Everything important is in the middle 80 %."""
FAVICON_PX: Final = 32


def main() -> None:
    """Write the icons into the folder given, or into frontend/public."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PUBLIC
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_draw((PUBLIC / "icon.svg").read_text(), folder))


async def _draw(icon: str, folder: Path) -> None:
    full = icon.replace(' rx="9"', "")
    assert full != icon, "the ground of the icon has round corners no more"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        for names, svg in ((ROUND, icon), (FULL, full)):
            for name, side in names.items():
                (folder / name).write_bytes(await _png(page, svg, side))
        (folder / "favicon.ico").write_bytes(_ico(await _png(page, icon, FAVICON_PX)))
        await browser.close()


async def _png(page: Page, svg: str, side: int) -> bytes:
    """Return the SVG as a PNG with a transparent background."""
    await page.set_viewport_size({"width": side, "height": side})
    await page.set_content(f"<style>body {{ margin: 0 }} svg {{ display: block }}</style>{svg}")
    return await page.screenshot(omit_background=True)


def _ico(png: bytes) -> bytes:
    """Return an .ico file with one PNG of 32 px: a header, a directory, the picture."""
    header = struct.pack("<HHH", 0, 1, 1)
    entry = struct.pack("<BBBBHHII", FAVICON_PX, FAVICON_PX, 0, 0, 1, 32, len(png), 22)
    return header + entry + png


if __name__ == "__main__":
    main()
