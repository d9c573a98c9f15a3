"""The agent's voice can be turned down and off; answers still count as heard."""

import json
from typing import Final

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.programs.server_process import ServerProcess

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

# The page's playback reports, and the gains that it set, in order.
PLAYING: Final = """
window.frames = []
window.gains = []
const {send} = WebSocket.prototype
WebSocket.prototype.send = function (data) {
  if (this.protocol === 'voxql.audio.v1' && typeof data === 'string') frames.push(data)
  return send.call(this, data)
}
const {setTargetAtTime} = AudioParam.prototype
AudioParam.prototype.setTargetAtTime = function (value, ...how) {
  gains.push(value)
  return setTargetAtTime.call(this, value, ...how)
}
"""
HEARD: Final = "Repeat after me: nobody hears this, and all of it is played"


async def test_a_voice_that_is_turned_off_is_played_to_nobody_and_stays_off(
    speaking: ServerProcess, visit: Visit
) -> None:
    """Keys turn the voice down, off and on; answers are stored whole; a reload changes nothing."""
    person = await visit(speaking.url)
    page = person.page
    await page.add_init_script(PLAYING)
    await person.comes_as_guest()
    session = await person.starts_talking()
    voice = page.get_by_role("button", name="Agent's voice")
    slider = page.get_by_role("slider", name="Volume of the agent's voice")
    await expect(voice).to_have_attribute("aria-pressed", "true")

    await slider.focus()
    await page.keyboard.press("ArrowLeft")
    await expect(slider).to_have_attribute("aria-valuetext", "95%")
    await expect(page.locator(".agent-slider")).to_have_css("opacity", "1")
    await page.keyboard.press("Escape")
    await expect(page.locator(".agent-slider")).to_have_css("opacity", "0")
    await voice.press("Enter")
    await expect(voice).to_have_attribute("aria-pressed", "false")
    await expect(slider).to_have_attribute("aria-valuetext", "0%")
    assert await page.evaluate("gains.at(-1)") == 0

    await person.types(HEARD)
    await expect(person.answers.filter(has_text="all of it is played")).to_have_count(1)
    await page.wait_for_function("""() => frames.some(frame => {
      const {type, samples} = JSON.parse(frame)
      return type === 'played' && samples > 24_000
    })""")
    await expect(page.get_by_text("interrupted")).to_have_count(0)
    await person.sees_what_is_stored(session)

    await page.reload()
    await person.is_listened_to()
    await expect(voice).to_have_attribute("aria-pressed", "false")
    await voice.click()
    await expect(slider).to_have_attribute("aria-valuetext", "95%")
    kept = await page.evaluate("localStorage.getItem('voxql.voice')")
    assert list(json.loads(kept).values()) == [[95, False]]
