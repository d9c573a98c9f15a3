"""A page that can't have its loudspeaker for a while: answers are read, and heard later."""

import json
from typing import Final

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.server_process import ServerProcess

pytestmark = pytest.mark.timeout(180)

# The program of the loudspeaker can't be fetched until a test says so, as while a server is away;
# and what the page reports of the playing is kept, with what it promises to report.
NO_LOUDSPEAKER: Final = """
window.isAway = true
window.tries = 0
window.hasLoudspeaker = false
const {addModule} = AudioWorklet.prototype
AudioWorklet.prototype.addModule = async function (url, ...options) {
  const isLoudspeaker = String(url).includes('playback')
  if (isLoudspeaker && ++tries && isAway)
    throw new DOMException("Unable to load a worklet's module.", 'AbortError')
  await addModule.call(this, url, ...options)
  if (isLoudspeaker) hasLoudspeaker = true
}
window.frames = []
const {send} = WebSocket.prototype
WebSocket.prototype.send = function (data) {
  if (this.protocol === 'voxql.audio.v1' && typeof data === 'string') frames.push(data)
  return send.call(this, data)
}
"""


async def test_a_loudspeaker_that_cannot_be_fetched_at_first_is_there_later(
    speaking: ServerProcess, visit: Visit
) -> None:
    """Without it answers are shown and stored; as soon as it is there they are heard."""
    person = await visit(speaking.url)
    await person.page.add_init_script(NO_LOUDSPEAKER)
    await person.comes_as_guest()
    session = await person.starts_talking()

    async def frames(kind: str) -> list[dict[str, object]]:
        sent = map(json.loads, await person.page.evaluate("frames"))
        return [frame for frame in sent if frame["type"] == kind]

    await person.types("Repeat after me: nobody hears this")
    await expect(person.answers.filter(has_text="nobody hears this")).to_have_count(1)
    await person.sees_what_is_stored(session)
    assert [hello["reportsPlayed"] for hello in await frames("hello")] == [False]
    assert await frames("played") == []

    # It asks by itself, again and again.
    tries = await person.page.evaluate("tries")
    await person.page.wait_for_function("before => tries > before", arg=tries)
    await person.page.evaluate("isAway = false")
    await person.page.wait_for_function("() => hasLoudspeaker")
    await person.types("Repeat after me: everybody hears this")

    await expect(person.answers.filter(has_text="everybody hears this")).to_have_count(1)
    await person.page.wait_for_function("""() => frames.some(frame => {
      const {type, samples} = JSON.parse(frame)
      return type === 'played' && samples > 0
    })""")
    await person.sees_what_is_stored(session)
    await expect(person.page.locator(".notice")).to_have_count(0)
