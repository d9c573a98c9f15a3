"""Steps of a conversation that are the same over either transport."""

import asyncio
import re
from contextlib import suppress
from typing import Final

from playwright.async_api import Locator, Route, TimeoutError, expect

from tests.browser.person import Person, blocked
from tests.speech.sound import recording
from tests.speech.words import places, starts_with

DASHWOOD, YOUNG_MAN, SELFISH, WOMAN, AMIABLE = map(
    recording, ("0870", "0880", "0890", "0920", "0930")
)
LEISURE: Final = "and mister john dashwood had then leisure"
"""How `DASHWOOD` begins."""

# Record the text history of every announcement, and return every final line.
HEARD: Final = """() => {
  window.announcements = new Map()
  new MutationObserver(() => {
    for (const p of document.querySelectorAll('[role=log] p')) {
      const said = announcements.get(p) ?? []
      if (said.at(-1) !== p.textContent) announcements.set(p, [...said, p.textContent])
    }
  }).observe(document.body, {subtree: true, childList: true, characterData: true})
  window.heard = () => [...announcements.values()].flat().sort()
  window.settled = () => [...document.querySelectorAll('.line[data-final="true"]')].map(
    line => line.querySelector('.unseen').textContent + line.querySelector('.line-text').textContent
  ).sort()
}"""
GROWING: Final = '.line[data-grows="true"]'
KEYS: Final = "lines => lines.map(line => [line.dataset.key, line.querySelector('p').textContent])"


async def double_click_begins_one(person: Person) -> str:
    """Start with two clicks; return the one session's id."""
    await person.comes_as_guest()
    await person.page.get_by_role("button", name="Start talking").dblclick()
    session = await person.is_listened_to()
    assert person.asked.count("StartNewChat") == 1
    return session


async def nothing_said_is_skipped(person: Person, first: str) -> str:
    """Start the next conversation before anything is said; check that the first leaves no trace."""
    await person.page.keyboard.press("Control+Shift+O")
    second = await person.is_listened_to(other_than=first)
    await expect(person.rows).to_have_count(0)
    await expect(person.page.get_by_text("Conversation saved")).to_have_count(0)
    await expect(person.page.get_by_role("alert")).to_have_count(0)
    return second


async def a_sentence_is_settled_where_it_grew(person: Person) -> None:
    """Speak: interims become one final line; finals are announced once, interims never."""
    await person.page.evaluate(HEARD)
    await person.says(SELFISH)
    key = await person.is_saying("unless to be rather cold hearted")
    assert await person.hears_himself_say(SELFISH.text) == key
    await expect(person.answers).not_to_have_count(0)
    await expect(person.page.locator(GROWING)).to_have_count(0)

    # A line is announced a moment after it appears.
    with suppress(TimeoutError):
        await person.page.wait_for_function("() => String(heard()) === String(settled())")
    heard, settled = await person.page.evaluate("[heard(), settled()]")
    assert heard == settled
    assert {line.partition(":")[0] for line in heard} == {"You", "Agent"}


async def the_agent_is_spoken_over(person: Person) -> None:
    """Interrupt a sentence: the agent falls silent, and its line keeps only what was heard."""
    said = person.page.locator('.line[data-role="AGENT"]')
    await (
        said.and_(person.page.locator('[data-final="false"]')).filter(has_text="I heard").wait_for()
    )
    await person.says(AMIABLE)
    cut = said.filter(has_text="interrupted").first
    await cut.wait_for()
    await person.hears_himself_say(AMIABLE.text)
    text = await cut.locator(".line-text").text_content() or ""
    assert text.startswith("I heard")
    assert "\N{RIGHT DOUBLE QUOTATION MARK}" not in text, "not all of it was heard"


async def three_clicks_save_once(person: Person, first: str) -> str:
    """Check that clicks and keys during a save are ignored, and that an empty chat follows."""
    asked = person.asked.count("StartNewChat")
    pressed = asyncio.Event()

    async def held(route: Route) -> None:
        # Hold the request: on a busy machine the new chat could begin before the last key press,
        # which would end it.
        await pressed.wait()
        await route.continue_()

    clicks = "button => { button.click(); button.click(); button.click() }"
    async with person.answered(held, operation="StartNewChat"):
        await person.new_chat.evaluate(clicks)
        await expect(person.new_chat).to_have_text("Saving…")
        await person.page.keyboard.press("Control+Shift+O")
        assert person.session_id == first
        pressed.set()
        second = await person.is_listened_to(other_than=first)

    assert person.asked.count("StartNewChat") == asked + 1
    await expect(person.lines).to_have_count(0)
    await expect(person.page.get_by_role("heading", level=1)).to_have_text("New Conversation")
    assert person.session_id == second
    await expect(person.page.get_by_text("Started ")).to_be_visible()
    await expect(person.rows).to_have_count(1)
    await begins(person.rows.first, "unless to be rather")
    return second


async def begins(row: Locator, words: str) -> None:
    """Check that a row of the history shows these first words, as they were heard."""
    await expect(row).not_to_contain_text("New Conversation")
    shown = await row.inner_text()
    assert starts_with(shown, words), shown


async def nobody_hears_the_muted(person: Person) -> None:
    """Speak while the dock says "Muted", then unmute."""
    mute = person.page.get_by_role("button", name="Mute")
    await mute.click()
    await expect(person.state).to_have_text("Muted")
    await person.has_said(YOUNG_MAN)
    await mute.click()
    await expect(person.state).to_have_text("Listening")


async def a_reload_in_mid_sentence_loses_nothing(person: Person) -> None:
    """Reload: the page rejoins the same session, and the sentence is finalized in its own line."""
    session = person.session_id
    await person.types("Thank you.")
    await expect(person.answers).to_have_count(1)
    before = await person.finals.all_text_contents()
    await person.says(DASHWOOD)
    key = await person.is_saying(LEISURE)

    await person.page.reload()

    assert await person.is_listened_to() == session
    assert await person.hears_himself_say(LEISURE) == key
    assert (await person.finals.all_text_contents())[: len(before)] == before
    await person.has_said(AMIABLE)
    await person.hears_himself_say(AMIABLE.text)
    await person.sees_what_is_stored(session)


async def nothing_is_lost(
    person: Person, message: str, said: str, comfort: str = "Nothing is lost"
) -> Locator:
    """Wait for this error and its reassurance; return its retry button."""
    alert = person.page.get_by_role("alert").filter(has_text=message)
    await expect(alert).to_be_visible()
    await expect(alert).to_contain_text(comfort)
    await person.hears_himself_say(said)
    await expect(person.new_chat).to_be_enabled()
    return alert.get_by_role("button", name="Try again")


async def a_blocked_save_is_repeated(person: Person, said: str) -> str:
    """Block the server: the page says so, and Retry saves; return the next session's id."""
    first = person.session_id
    asked = person.asked.count("StartNewChat")
    async with person.answered(blocked, operation="StartNewChat"):
        await person.new_chat.click()
        retry = await nothing_is_lost(person, "Can't reach the server", said)
        assert person.asked.count("StartNewChat") == asked + 3
    assert person.session_id == first
    await retry.click()
    second = await person.is_listened_to(other_than=first)
    await expect(person.page.get_by_role("alert")).to_have_count(0)
    return second


async def types_and_is_answered(person: Person) -> None:
    """Type a line, and wait for the answer."""
    await person.types("Repeat after me: typed words")
    await expect(person.answers.filter(has_text="yped words")).to_have_count(1)


async def sees_one_notice(person: Person, text: str) -> None:
    """Wait until the page shows this notice and no other."""
    await expect(person.page.locator(".notice")).to_have_count(1)
    await expect(person.page.locator(".notice")).to_contain_text(text)


async def a_microphone_that_is_unplugged_can_be_plugged_in_again(person: Person) -> None:
    """Unplug: the page says so, typing still works, and "Try again" restores the microphone."""
    await person.page.evaluate("window.unplug()")
    await sees_one_notice(person, "Your microphone was unplugged.")
    await types_and_is_answered(person)

    await person.page.locator(".notice").get_by_role("button", name="Try again").click()
    await expect(person.page.locator(".notice")).to_have_count(0)
    await expect(person.focused).to_have_accessible_name("Type instead of speaking")
    await person.says(YOUNG_MAN)
    await person.hears_himself_say(YOUNG_MAN.text, times=2)


async def a_second_window_follows(person: Person) -> Person:
    """Open a second window that shows all lines in the same order; return it."""
    await person.types("Repeat after me: one")
    await expect(person.answers).to_have_text([re.compile("one", re.IGNORECASE)])
    other = Person(person.url, await person.context.new_page(), person.context)
    await other.page.goto(person.page.url)
    await expect(other.finals).to_have_text(["Repeat after me: one"])
    await expect(other.state).to_have_text("Following along")
    await expect(person.state).not_to_have_text("Following along")

    await person.has_said(YOUNG_MAN)
    await person.hears_himself_say(YOUNG_MAN.text)
    await expect(person.answers).not_to_have_count(1)
    await other.hears_himself_say(YOUNG_MAN.text)
    await person.is_listened_to()
    for each in (person, other):
        await expect(each.page.locator(GROWING)).to_have_count(0)
    shown = await person.page.locator(".line").evaluate_all(KEYS)
    await expect(other.lines).to_have_text([text for _, text in shown])
    assert await other.page.locator(".line").evaluate_all(KEYS) == shown
    return other


async def the_second_window_takes_over(person: Person, other: Person) -> None:
    """Move the sound to the window that asked last; both windows show every line."""
    await other.page.get_by_role("button", name="Talk here", exact=True).click()
    await other.is_listened_to()
    await expect(
        person.page.get_by_text("This conversation is active in another window.")
    ).to_be_visible()
    await other.page.get_by_label("Type instead of speaking").fill("from the other window")
    await other.page.keyboard.press("Enter")
    await expect(person.finals.filter(has_text="from the other window")).to_have_count(1)


async def each_is_found_with_its_own_words(
    person: Person, ends: Person, conversations: dict[str, str], previews: list[str]
) -> None:
    """End the last conversation; check that the history lists all, newest first, with their words.

    Args:
        person: reads the conversations.
        ends: the window that ends the last conversation.
        conversations: session ids, by a line that was said in that session only.
        previews: the first words of each conversation.
    """
    await ends.page.get_by_role("button", name="End", exact=True).click()
    await ends.page.get_by_role("button", name="Start talking").wait_for()
    await expect(person.rows).to_have_count(len(conversations))
    for row, words in zip(await person.rows.all(), reversed(previews), strict=True):
        await begins(row, words)
    for said, session in conversations.items():
        await person.reads(session)
        lines = await person.finals.all_text_contents()
        assert [other for other in conversations if places(other, lines)] == [said]
