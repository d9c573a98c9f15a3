"""People at real browsers whose sound goes through the rooms of a real LiveKit server."""

import numpy as np
import pytest
from livekit import api
from playwright.async_api import expect

from tests.browser import chapters
from tests.browser.chapters import sees_one_notice
from tests.browser.conftest import Visit
from tests.browser.person import Person
from tests.browser.rooms.test_livekit_faults import room_of
from tests.livekit.hall import until
from tests.programs.livekit_server import KEY, SECRET, LiveKitServer
from tests.programs.server_process import ServerProcess
from tests.speech.sound import RATE, Clip

pytestmark = [pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="session")]

SUBSCRIBED_S = 1.0
"""The time for an agent to subscribe to a newly published microphone."""


def after(seconds: float, clip: Clip) -> Clip:
    """Return the clip with silence before it."""
    silence = np.zeros(int(seconds * RATE), np.int16)
    return Clip(clip.name, clip.text, np.concatenate([silence, clip.pcm]))


# Records what is visible only briefly: interims, and the largest size of each voice bar. Animations
# while the agent thinks are not in the element's own style, so they don't count.
WATCH = """() => {
  const interim = '[data-role="USER"][data-final="false"]'
  window.hasSeenInterim = false
  window.largest = {}
  new MutationObserver(() => {
    window.hasSeenInterim ||= !!document.querySelector(interim)
    for (const bars of ['.own-voice', '.voice i'])
      for (const bar of document.querySelectorAll(bars)) {
        const size = new DOMMatrix(bar.style.transform).d
        largest[bars] = Math.max(largest[bars] ?? 0, size)
      }
  }).observe(document.body, {
    childList: true, subtree: true, attributes: true, attributeFilter: ['style']
  })
}"""


async def watches(person: Person) -> None:
    """Start to record interims and voice bars."""
    await person.page.evaluate(WATCH)


async def has_shown_a_voice(person: Person, bars: str, at_rest: float) -> None:
    """Wait until a voice bar has been larger than it is at rest."""
    await person.page.wait_for_function(
        "([bars, atRest]) => largest[bars] > atRest + 0.05", arg=[bars, at_rest]
    )


async def hears_the_agent(person: Person) -> None:
    """Wait until the agent's voice has been played and shown since `watches`."""
    await has_shown_a_voice(person, ".voice i", 0.16)
    await person.page.wait_for_function("""() => {
      const played = [...document.querySelectorAll('audio')]
      return played.length === 1 && !played[0].paused && played[0].currentTime > 0
    }""")


# The microphones that the page has opened since it was loaded.
OPENED = """
window.opened = []
const {getUserMedia} = navigator.mediaDevices
navigator.mediaDevices.getUserMedia = wanted => {
  opened.push(wanted.audio.deviceId?.ideal ?? '')
  return getUserMedia.call(navigator.mediaDevices, wanted)
}
"""


async def test_a_talk_in_a_room_from_the_first_word_to_the_history(
    in_rooms: ServerProcess, livekit: LiveKitServer, visit: Visit
) -> None:
    """Every word of three conversations is in the history, once."""
    # Without the permission, devices have no names before a real microphone was opened.
    person = await visit(
        in_rooms.url,
        own_browser=True,
        speaks_on_demand=True,
        permissions=["microphone"],
        reduced_motion="no-preference",
    )
    await person.page.add_init_script(OPENED)

    empty = await chapters.double_click_begins_one(person)
    first = await chapters.nothing_said_is_skipped(person, empty)
    await watches(person)
    await chapters.a_sentence_is_settled_where_it_grew(person)
    await has_shown_a_voice(person, ".own-voice", 1.0)
    assert await person.page.evaluate("window.hasSeenInterim") is True
    await watches(person)
    await person.has_said(chapters.WOMAN)
    await hears_the_agent(person)
    await chapters.the_agent_is_spoken_over(person)

    second = await chapters.three_clicks_save_once(person, first)
    await chapters.nobody_hears_the_muted(person)
    await chapters.a_reload_in_mid_sentence_loses_nothing(person)
    await expect(person.lines.filter(has_text="young man")).to_have_count(0)

    third = await chapters.a_blocked_save_is_repeated(person, chapters.LEISURE)
    assert third not in (first, second)
    other = await chapters.a_second_window_follows(person)
    await another_microphone_is_heard_in_the_place_of_the_first(person, livekit)
    await chapters.a_microphone_that_is_unplugged_can_be_plugged_in_again(person)
    await chapters.the_second_window_takes_over(person, other)

    said = {
        chapters.SELFISH.text: first,
        chapters.LEISURE: second,
        chapters.YOUNG_MAN.text: third,
    }
    previews = ["unless to be rather", "Thank you", "Repeat after me: one"]
    await chapters.each_is_found_with_its_own_words(person, other, said, previews)


async def microphone_in_the_room(livekit: LiveKitServer, session: str) -> str:
    """Return the ids of the tracks that the person has published; empty if there are none."""
    room = await room_of(livekit, session)
    async with api.LiveKitAPI(livekit.url, KEY, SECRET) as control:
        listed = await control.room.list_participants(api.ListParticipantsRequest(room=room))
    people = [one for one in listed.participants if one.kind == api.ParticipantInfo.Kind.STANDARD]
    return "".join(track.sid for person in people for track in person.tracks)


async def another_microphone_is_heard_in_the_place_of_the_first(
    person: Person, livekit: LiveKitServer
) -> None:
    """Choose another microphone in mid-conversation; only it is heard from then on."""
    await person.page.get_by_role("button", name="Choose microphone").click()
    other = person.page.get_by_role("menuitemradio").last
    name = await other.text_content()
    session = person.session_id
    before = await microphone_in_the_room(livekit, session)
    await other.click()

    async def is_published() -> bool:
        return await microphone_in_the_room(livekit, session) not in ("", before)

    await until(is_published)
    await person.says(after(SUBSCRIBED_S, chapters.AMIABLE))

    await person.hears_himself_say(chapters.AMIABLE.text)
    first, second = await person.page.evaluate("opened")
    names = await person.page.evaluate(
        """async () => Object.fromEntries((await navigator.mediaDevices.enumerateDevices())
          .map(device => [device.deviceId, device.label]))"""
    )
    assert first == "", "the system's choice"
    assert names[second] == name


async def test_a_browser_that_wants_a_click_first_gets_one(
    in_rooms: ServerProcess, visit: Visit
) -> None:
    """After a reload the page asks for a click; then the agent is heard."""
    person = await visit(in_rooms.url)
    # Chromium lets a page that captures the microphone play sound; other browsers do not.
    await person.page.add_init_script(
        """let isClicked = false
        addEventListener('pointerdown', () => { isClicked = true }, true)
        const {play} = HTMLMediaElement.prototype
        HTMLMediaElement.prototype.play = function () {
          if (isClicked) return play.call(this)
          this.pause()
          return Promise.reject(new DOMException('a click is missing', 'NotAllowedError'))
        }"""
    )
    await person.comes_as_guest()
    await person.starts_talking()
    await person.types("Hello")
    await person.page.reload()
    await person.is_listened_to()

    await sees_one_notice(person, "Click to turn on sound.")
    await person.page.get_by_role("button", name="Turn on sound").click()

    await expect(person.page.locator(".notice")).to_have_count(0)
    await watches(person)
    await person.types("Repeat after me: can you hear me now")
    await hears_the_agent(person)
