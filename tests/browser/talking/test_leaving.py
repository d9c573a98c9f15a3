"""Signing out, here and in another window, and coming back: no microphone stays open unseen."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.browser.person import Person, broken, guest_signs_out
from tests.programs.server_process import ServerProcess

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

# Every microphone track that the page has opened.
TRACKS = """
if (navigator.mediaDevices) {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices)
  window.tracks = []
  navigator.mediaDevices.getUserMedia = async wanted => {
    const stream = await open(wanted)
    tracks.push(...stream.getAudioTracks())
    return stream
  }
}
"""


async def talks(visit: Visit, server: ServerProcess) -> tuple[Person, str]:
    """Return a person in the middle of a conversation, and the session's id."""
    person = await visit(server.url)
    await person.context.add_init_script(TRACKS)
    await person.comes_as_guest()
    session = await person.starts_talking()
    await person.microphone.wait_for()
    await person.types("Before")
    return person, session


async def is_heard(person: Person) -> bool:
    """Return whether a microphone is open."""
    return bool(await person.page.evaluate("tracks.some(track => track.readyState === 'live')"))


async def test_a_sign_out_in_another_window_turns_the_microphone_off(
    answering: ServerProcess, visit: Visit
) -> None:
    """The mute and End buttons are gone, so the microphone closes; the next guest can start."""
    person, session = await talks(visit, answering)
    assert await is_heard(person)
    other = await person.context.new_page()
    await other.goto(f"{answering.url}/settings")

    await guest_signs_out(other)

    await person.page.get_by_role("button", name="Continue as guest").first.wait_for()
    assert not await is_heard(person)
    await expect(person.page.get_by_text("Before")).to_have_count(0)
    # The conversation stays on the server, inaccessible to the next guest.
    await person.page.get_by_role("button", name="Continue as guest").first.click()
    await person.page.get_by_role("button", name="Start talking").wait_for()
    assert await person.query(f'{{ session(id: "{session}") {{ id }} }}') == {"session": None}
    assert not await is_heard(person)


async def test_a_sign_out_that_fails_changes_nothing(
    answering: ServerProcess, visit: Visit
) -> None:
    """The page reports the error, and the conversation goes on; the next try works."""
    person, session = await talks(visit, answering)
    async with person.answered(broken, operation="SignOut"):
        await person.page.get_by_role("link", name="Guest", exact=True).click()
        await guest_signs_out(person.page)
        await expect(person.page.get_by_role("alert")).to_contain_text("You're still signed in.")

    await person.page.go_back()
    assert await person.is_listened_to() == session
    await person.types("After")
    assert await is_heard(person)

    await person.page.get_by_role("link", name="Guest", exact=True).click()
    await guest_signs_out(person.page)
    await person.page.get_by_role("button", name="Continue as guest").first.wait_for()
    assert not await is_heard(person)


async def test_a_reload_beside_the_conversation_goes_on_with_it(
    answering: ServerProcess, visit: Visit
) -> None:
    """After a reload of the settings, the conversation's bar and the microphone are back."""
    person, session = await talks(visit, answering)
    await person.page.get_by_role("link", name="Guest", exact=True).click()
    bar = person.page.get_by_role("region", name="Your conversation")
    await bar.wait_for()

    await person.page.reload()

    await bar.wait_for()
    await person.page.wait_for_function("() => tracks.some(one => one.readyState === 'live')")
    await person.page.goto(f"{answering.url}/c/{session}")
    assert await person.is_listened_to() == session
    await person.types("After")


async def test_a_double_click_on_new_chat_makes_one(answering: ServerProcess, visit: Visit) -> None:
    """The second click makes no chat even if the first has already made one."""
    person, first = await talks(visit, answering)
    box = await person.new_chat.bounding_box()
    assert box is not None
    place = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    await person.page.mouse.click(*place)
    second = await person.is_listened_to(other_than=first)
    # The second click of a double click has a click count of 2.
    await person.page.mouse.down(click_count=2)
    await person.page.mouse.up(click_count=2)
    await person.page.keyboard.down("Control")
    await person.page.keyboard.down("Shift")
    for _ in range(5):
        await person.page.keyboard.down("O")  # held: every press after the first is a repeat
    for key in ("O", "Shift", "Control"):
        await person.page.keyboard.up(key)
    third = await person.is_listened_to(other_than=second)
    await person.types("Once")

    assert person.session_id == third
    assert person.asked.count("StartNewChat") == 3
