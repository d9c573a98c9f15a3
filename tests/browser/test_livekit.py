"""People at real browsers whose sound travels through the rooms of a real LiveKit server."""

import re
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from playwright.async_api import expect

from tests.browser import test_equipment, test_failures, test_talking
from tests.browser.conftest import Visit
from tests.browser.person import Person
from tests.e2e.sound import RATE, Clip, recording
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="session")]

YOUNG_MAN = recording("0880")
PUBLISHED_S = 6.0
"""Silence for a room to carry another microphone in the place of the one before."""

Scenario = Callable[[ServerProcess, Visit], Awaitable[None]]

SAME: tuple[Scenario, ...] = (
    test_talking.test_what_was_said_is_in_the_history_after_new_chat,
    test_talking.test_three_conversations_keep_their_own_words,
    test_talking.test_double_and_triple_clicks_count_once,
    test_talking.test_a_conversation_in_which_nothing_was_said_is_skipped,
    test_talking.test_a_reload_in_the_middle_of_a_sentence_loses_and_doubles_nothing,
    test_talking.test_what_is_said_while_muted_is_heard_by_nobody,
    test_talking.test_a_second_window_shows_the_same_and_takes_over_when_asked,
    test_talking.test_two_windows_show_the_same_words_in_the_same_order,
    test_failures.test_a_save_that_fails_in_three_ways_is_repeated_until_it_works,
    test_equipment.test_who_may_not_have_the_microphone_types,
    test_equipment.test_who_has_no_microphone_types,
    test_equipment.test_a_microphone_that_is_unplugged_can_be_plugged_in_again,
)


def after(seconds: float, clip: Clip) -> Clip:
    """Return it with silence before it."""
    silence = np.zeros(int(seconds * RATE), np.int16)
    return Clip(clip.name, clip.text, np.concatenate([silence, clip.pcm]))


@pytest.mark.parametrize("scenario", SAME, ids=lambda test: test.__name__.removeprefix("test_"))
async def test_it_is_as_over_the_other_transport(
    scenario: Scenario, in_rooms: ServerProcess, visit: Visit
) -> None:
    """One suite, two transports: what people see, do and find is the same."""
    await scenario(in_rooms, visit)


# Keeps what is there for a moment only: interims, and how large each voice was drawn. What moves
# while the agent thinks is no voice, and not of the element's own style.
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
    """Look at what moves from now on."""
    await person.page.evaluate(WATCH)


async def has_shown_a_voice(person: Person, bars: str, at_rest: float) -> None:
    """Wait until what moves with a voice has been larger than it is while nobody speaks."""
    await person.page.wait_for_function(
        "([bars, atRest]) => largest[bars] > atRest + 0.05", arg=[bars, at_rest]
    )


async def hears_the_agent(person: Person) -> None:
    """Wait until the agent's voice has been played, and seen to be, since somebody `watches`."""
    await has_shown_a_voice(person, ".voice i", 0.16)
    await person.page.wait_for_function("""() => {
      const played = [...document.querySelectorAll('audio')]
      return played.length === 1 && !played[0].paused && played[0].currentTime > 0
    }""")


async def test_both_voices_are_carried_and_shown(in_rooms: ServerProcess, visit: Visit) -> None:
    """Own words come as interims and finals, and the answer is played, and seen to be."""
    person = await visit(in_rooms.url, speaks_on_demand=True)
    await person.comes_as_guest()
    await person.starts_talking()
    await watches(person)

    await person.says(YOUNG_MAN)
    await has_shown_a_voice(person, ".own-voice", 1.0)
    await person.hears_himself_say("young man")
    assert await person.page.evaluate("window.hasSeenInterim") is True

    await expect(person.answers).not_to_have_count(0)
    await watches(person)
    await person.types("Repeat after me: this is the voice of the agent in the room")
    await hears_the_agent(person)
    await expect(person.answers.filter(has_text=re.compile("voice of the agent"))).to_have_count(1)


async def test_the_agent_falls_silent_when_it_is_spoken_over(
    in_rooms: ServerProcess, visit: Visit
) -> None:
    """The line keeps what was heard of it, and the next words are understood."""
    person = await visit(in_rooms.url, speaks_on_demand=True)
    await person.comes_as_guest()
    await person.starts_talking()
    await watches(person)
    await person.types(test_talking.LONG)
    await hears_the_agent(person)
    await person.says(YOUNG_MAN)

    cut = person.page.locator('.line[data-role="AGENT"]').filter(has_text="interrupted").first
    await cut.wait_for()
    await person.hears_himself_say("young man")
    text = await cut.locator(".line-text").text_content() or ""
    assert 0 < len(text.split()) < len(test_talking.LONG.split()) - 3


# Which microphones the page has opened.
OPENED = """() => {
  window.opened = []
  const open = navigator.mediaDevices.getUserMedia
  navigator.mediaDevices.getUserMedia = wanted => {
    opened.push(wanted.audio.deviceId?.ideal ?? '')
    return open.call(navigator.mediaDevices, wanted)
  }
}"""


async def test_another_microphone_is_heard_in_the_place_of_the_first(
    in_rooms: ServerProcess, visit: Visit
) -> None:
    """It is chosen in mid-conversation; what is said then is said into that one alone."""
    # Without it, microphones have no names before one of the real ones has been opened.
    allowed = ["microphone"]
    person = await visit(in_rooms.url, speaks_on_demand=True, permissions=allowed)
    await person.comes_as_guest()
    await person.page.evaluate(OPENED)
    await person.starts_talking()
    await person.says(YOUNG_MAN)
    await person.hears_himself_say("young man")

    await person.page.get_by_role("button", name="Choose the microphone").click()
    other = person.page.get_by_role("menuitemradio").last
    name = await other.text_content()
    await other.click()
    await person.says(after(PUBLISHED_S, YOUNG_MAN))

    await expect(person.finals.filter(has_text="young man")).to_have_count(2)
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
    """After a reload nobody has clicked yet: the page asks for it, and then the agent is heard."""
    person = await visit(in_rooms.url)
    # Chromium itself lets a page sound that hears the microphone; other browsers do not.
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

    await test_equipment.sees_one_notice(person, "The browser waits for a click")
    await person.page.get_by_role("button", name="Hear the agent").click()

    await expect(person.page.locator(".notice")).to_have_count(0)
    await watches(person)
    await person.types("Repeat after me: can you hear me now")
    await hears_the_agent(person)
