"""A page whose sound fails silently detects it and recovers."""

import json
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import expect

from tests.browser.conftest import READY_WITHIN_S, Visit
from tests.network import island
from tests.programs.server_process import START_TIMEOUT_S, ServerProcess
from tests.speech.sound import recording

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

# The loudspeaker's worklet can't be fetched until a test allows it, as during a server outage. The
# page's playback reports are recorded, with whether its hello promises them.
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

# The audio connections that the page has opened, and those that it has closed.
LINES: Final = """
window.opened = 0
window.givenUp = 0
const {send, close} = WebSocket.prototype
WebSocket.prototype.send = function (data) {
  if (typeof data === 'string' && data.includes('"hello"')) opened++
  return send.call(this, data)
}
WebSocket.prototype.close = function (...how) {
  if (this.protocol === 'voxql.audio.v1') givenUp++
  return close.apply(this, how)
}
"""


async def test_a_loudspeaker_that_cannot_be_fetched_at_first_is_there_later(
    speaking: ServerProcess, visit: Visit
) -> None:
    """Without the loudspeaker, answers are shown and stored; once it loads, they are heard."""
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

    # The page retries by itself.
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


@pytest.mark.own_network
async def test_a_line_that_dies_without_a_word_is_joined_again(
    visit: Visit, tmp_path: Path
) -> None:
    """With every packet lost, the page closes its connection, reconnects, and is heard again."""
    with island() as place:
        server = ServerProcess(
            tmp_path / "server",
            VOXQL_AGENT="local",
            VOXQL_HOST=place.cable.there,
            VOXQL_START_TIMEOUT_S=START_TIMEOUT_S,
        )
        server.prefix = place.prefix
        server.start()
        try:
            server.wait_for("ready: conversations can begin", READY_WITHIN_S)
            person = await visit(server.url, speaks_on_demand=True, own_browser=True)
            await person.page.add_init_script(LINES)
            await person.comes_as_guest()
            session = await person.starts_talking()
            assert await person.page.evaluate("[opened, givenUp]") == [1, 0]

            place.cable.lose()
            await person.page.wait_for_function("() => givenUp > 0", timeout=60_000)
            await expect(person.state).to_have_text("Reconnecting…")
            place.cable.carry()

            await person.page.wait_for_function("() => opened > 1", timeout=60_000)
            await expect(person.state).to_have_text("Listening", timeout=60_000)
            await person.says(recording("0880"))
            await person.hears_himself_say(recording("0880").text)
            assert person.session_id == session
        finally:
            server.stop()
