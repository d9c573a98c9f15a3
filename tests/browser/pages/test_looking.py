"""Looking around during a conversation: nothing is hidden or covered, and the focus is kept."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Locator, expect

from tests.browser.conftest import Visit
from tests.browser.person import Person, broken
from tests.programs.server_process import ServerProcess
from tests.speech.sound import recording

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

# Visible text and controls that the given element covers.
COVERED = """
covering => [...document.querySelectorAll('button, input, textarea, a, .line-text, h1, h2, p')]
  .filter(element => element.checkVisibility() && !covering.contains(element))
  .filter(element => !element.closest('.unseen, .skip'))
  .filter(element => {
    const a = element.getBoundingClientRect(), b = covering.getBoundingClientRect()
    return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
  })
  .map(element => element.outerHTML.slice(0, 90))
"""


# A note disappears after 4 s without a pointer on it; a busy machine may need longer to move the
# mouse there.
POINT_AT_NOTES = """() => setInterval(() => {
  document.querySelector('.toast')?.dispatchEvent(new PointerEvent('pointermove', {bubbles: true}))
}, 100)"""

# Record that a button has said "Copied", which it does for 1.5 s.
WATCH_COPY = """button => {
  window.hasCopied = false
  const look = () => { window.hasCopied ||= button.ariaLabel === 'Copied' }
  new MutationObserver(look).observe(button, {attributes: true})
}"""


async def spoken_once(person: Person) -> str:
    await person.comes_as_guest()
    session = await person.starts_talking()
    await person.types("the first line")
    return session


async def test_a_conversation_that_is_out_of_sight_says_that_it_goes_on(
    answering: ServerProcess, visit: Visit
) -> None:
    """A past conversation and the settings show a bar to mute, return to or end the active one."""
    person = await visit(answering.url)
    page = person.page
    first = await spoken_once(person)
    await person.new_chat.click()
    second = await person.is_listened_to(other_than=first)
    await person.types("the second line")
    bar = page.get_by_role("region", name="Your conversation")
    await expect(bar).to_have_count(0)

    await page.locator(".row-link", has_text="the first line").click()
    await expect(bar).to_contain_text("You're still talking with the agent.")
    await bar.get_by_role("button", name="Mute").click()
    await expect(bar).to_contain_text("You're muted")
    await bar.get_by_role("link", name="Return").click()
    await expect(page).to_have_url(re.compile(f"/c/{second}$"))
    await expect(bar).to_have_count(0)
    await expect(person.state).to_have_text("Muted")

    await page.get_by_role("link", name="Guest", exact=True).click()
    await bar.get_by_role("button", name="End").click()
    await expect(bar).to_have_count(0)
    assert page.url.endswith("/settings"), "who looks at something goes on looking at it"
    stored = await person.query(f'{{ session(id: "{second}") {{ endReason }} }}')
    assert stored["session"]["endReason"] == "SAVED"


@pytest.mark.parametrize("place", ["a past conversation", "the settings"])
async def test_a_new_chat_can_be_begun_from_everywhere(
    answering: ServerProcess, visit: Visit, place: str
) -> None:
    """New chat saves the active conversation and opens the next; a failure is shown in place."""
    person = await visit(answering.url)
    first = await spoken_once(person)
    await person.new_chat.click()
    second = await person.is_listened_to(other_than=first)
    await person.types("the second line")
    if place == "the settings":
        await person.page.get_by_role("link", name="Guest", exact=True).click()
        await person.page.get_by_role("button", name="Sign out").wait_for()
    else:
        await person.page.locator(".row-link", has_text="the first line").click()
        await person.page.get_by_text("End of the conversation").wait_for()

    async with person.answered(broken, operation="StartNewChat"):
        await person.new_chat.click()
        alert = person.page.get_by_role("alert").filter(has_text="Nothing is lost")
        await expect(alert).to_be_visible()
    await alert.get_by_role("button", name="Try again").click()

    third = await person.is_listened_to(other_than=second if place == "the settings" else first)
    assert third not in (first, second)
    assert "the second line" in await person.reads(second)


async def test_a_new_chat_begins_from_the_history_when_nothing_goes_on(
    speaking: ServerProcess, visit: Visit
) -> None:
    """One click on a past conversation starts a new one with the microphone."""
    person = await visit(speaking.url, speaks_on_demand=True)
    first = await spoken_once(person)
    await person.page.get_by_role("button", name="End", exact=True).click()
    await person.page.get_by_role("button", name="Start talking").wait_for()
    await person.rows.first.click()
    await person.page.get_by_text("End of the conversation").wait_for()

    await person.new_chat.click()
    await person.is_listened_to(other_than=first)
    await person.says(recording("0880"))

    await person.hears_himself_say(recording("0880").text)


@pytest.mark.parametrize("width", [1280, 360])
async def test_a_note_covers_nothing(answering: ServerProcess, visit: Visit, width: int) -> None:
    """The "Conversation saved" note has its own space on wide and narrow pages."""
    person = await visit(answering.url, viewport={"width": width, "height": 740})
    first = await spoken_once(person)
    await expect(person.answers).to_have_count(1)
    await person.page.evaluate(POINT_AT_NOTES)

    await person.new_chat.click()
    await person.is_listened_to(other_than=first)
    note = person.page.locator(".toast")
    await note.hover()
    await expect(note).to_contain_text("Conversation saved")
    await expect(note).to_be_in_viewport(ratio=1)

    assert await note.evaluate(COVERED) == []


async def test_the_drawer_of_a_narrow_page_closes_as_drawers_do(
    answering: ServerProcess, visit: Visit
) -> None:
    """Esc clears the search, then closes the drawer; a window that shrinks closes it, too."""
    person = await visit(answering.url)
    page = person.page
    await spoken_once(person)
    drawer = page.get_by_role("navigation", name="History")
    await expect(drawer).to_be_visible()

    await page.set_viewport_size({"width": 360, "height": 740})
    await expect(drawer).to_have_count(0)
    await page.get_by_role("button", name="Open history").click()
    await expect(drawer).to_be_visible()
    await expect(person.focused).to_have_accessible_name("Close history")
    await expect(page.locator("#main")).to_have_js_property("inert", True)
    await page.keyboard.press("Escape")
    await expect(drawer).to_have_count(0)
    await expect(person.focused).to_have_accessible_name("Open history")

    await page.keyboard.press("Control+k")
    await page.keyboard.type("first")
    await expect(page.locator("mark")).to_have_text("first")
    await page.keyboard.press("Escape")
    await expect(page.get_by_label("Search conversations")).to_have_value("")
    await expect(drawer).to_be_visible()
    await page.get_by_role("button", name="Options for").click()
    await expect(page.get_by_role("menuitem")).to_have_count(2)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("menuitem")).to_have_count(0)
    await expect(drawer).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(drawer).to_have_count(0)

    await page.set_viewport_size({"width": 1280, "height": 740})
    await expect(drawer).to_be_visible()


async def test_the_state_is_never_cut_off(answering: ServerProcess, visit: Visit) -> None:
    """Every status text of the dock fits at 360 px."""
    texts = Path(__file__).resolve().parents[3] / "frontend/src/texts.ts"
    a_state = re.compile(r'^export const (?:status\w+|starting|saving) = "(.+)";$', re.MULTILINE)
    sentences = set(a_state.findall(texts.read_text()))
    assert len(sentences) > 18
    person = await visit(answering.url, viewport={"width": 360, "height": 740})
    await spoken_once(person)

    cut = await person.state.evaluate(
        """(status, sentences) => sentences.filter(sentence => {
             status.textContent = sentence
             const dock = document.querySelector('.dock-row').getBoundingClientRect()
             const box = status.getBoundingClientRect()
             const ways = document.querySelector('.dock-ways').getBoundingClientRect()
             return status.scrollWidth > status.clientWidth + 1 || box.right > ways.left
               || box.bottom > dock.bottom + 1 || dock.height > 45
           })""",
        sorted(sentences),
    )

    assert cut == []


async def fill(person: Person, lines: int) -> None:
    for number in range(lines):
        await person.types(f"Repeat after me: number {number}")
        await expect(person.answers).to_have_count(number + 1)


async def is_scrolled(scroll: Locator, to: str) -> None:
    """Wait until this expression is true of the element `e`; scrolling takes some frames."""
    await scroll.page.wait_for_function(f"e => {to}", arg=await scroll.element_handle())


AT_THE_END = "e.scrollHeight - e.scrollTop - e.clientHeight < 2"


async def test_who_scrolls_up_is_left_alone_until_he_jumps_to_the_latest(
    answering: ServerProcess, visit: Visit
) -> None:
    """New lines don't scroll the page while somebody reads above; one click jumps to the end."""
    person = await visit(answering.url, viewport={"width": 900, "height": 460})
    await person.comes_as_guest()
    await person.starts_talking()
    await fill(person, 4)
    scroll = person.page.get_by_role("region", name="Conversation")
    jump = person.page.get_by_role("button", name="Jump to latest")
    await expect(jump).to_have_count(0)
    await is_scrolled(scroll, AT_THE_END)

    await scroll.hover()
    await person.page.mouse.wheel(0, -2000)
    await expect(jump).to_be_visible()
    await is_scrolled(scroll, "e.scrollTop === 0")
    await person.types("one more")
    await expect(person.answers).to_have_count(5)
    assert await scroll.evaluate("e => e.scrollTop") == 0
    await jump.click()

    await expect(jump).to_have_count(0)
    await is_scrolled(scroll, AT_THE_END)
    await expect(person.focused).to_have_count(1)


async def test_a_turn_the_transcript_and_the_id_can_be_copied(
    answering: ServerProcess, visit: Visit
) -> None:
    """One click copies a turn; the conversation's menu copies the transcript and the id."""
    person = await visit(answering.url, permissions=["clipboard-read", "clipboard-write"])
    session = await spoken_once(person)

    async def copies(button: Locator) -> str:
        await button.evaluate(WATCH_COPY)
        await button.click()
        await person.page.wait_for_function("() => window.hasCopied")
        return str(await person.page.evaluate("navigator.clipboard.readText()"))

    turn = person.page.locator(".turn", has_text="the first line").first
    await turn.hover()
    assert await copies(turn.get_by_role("button", name="Copy")) == "the first line"
    for way, copied in (("Copy transcript", "Transcript copied"), ("Copy id", "Id copied")):
        await person.page.get_by_role("button", name="Conversation options").click()
        await person.page.get_by_role("menuitem", name=way).click()
        await expect(person.page.locator(".toast").filter(has_text=copied)).to_have_count(1)
        clipboard = str(await person.page.evaluate("navigator.clipboard.readText()"))
        if way == "Copy id":
            assert clipboard == session
        else:
            assert "] You: the first line\n" in clipboard
