"""A person talks, begins again, and finds everything: real speech, real agent, real browser."""

import asyncio
import json
import re
from collections import Counter
from typing import Any

import pytest
from playwright.async_api import Route, WebSocketRoute, expect

from tests.browser.conftest import Visit
from tests.browser.person import Person
from tests.e2e.sound import recording
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]

DASHWOOD, YOUNG_MAN, SELFISH, WOMAN = map(recording, ("0870", "0880", "0890", "0920"))


async def test_what_was_said_is_in_the_history_after_new_chat(
    speaking: ServerProcess, visit: Visit
) -> None:
    """Start, speak sentences, New Chat: saved, the screen cleared, another session ready."""
    person = await visit(speaking.url, speaks_on_demand=True)
    await person.comes_as_guest()
    first = await person.starts_talking()
    await person.has_said(DASHWOOD)
    await person.hears_himself_say("Dashwood")
    await person.has_said(WOMAN)
    await person.hears_himself_say("woman")

    await person.new_chat.click()
    second = await person.is_listened_to(other_than=first)

    assert second != first
    await expect(person.lines).to_have_count(0)
    await expect(person.page.get_by_role("heading", level=1)).to_have_text("New Conversation")
    await expect(person.page.locator(".session-id")).to_have_text(second)
    await expect(person.page.get_by_text("Started ")).to_be_visible()
    await expect(person.rows).to_have_count(1)
    await expect(person.rows.first).to_contain_text("Dashwood")
    said = await person.reads(first)
    assert said.index("Dashwood") < said.index("woman")


async def test_three_conversations_keep_their_own_words(
    speaking: ServerProcess, visit: Visit
) -> None:
    """One after the other, with other words each: each is found with its own, in order."""
    said = {"Dashwood": DASHWOOD, "young man": YOUNG_MAN, "selfish": SELFISH}
    person = await visit(speaking.url, speaks_on_demand=True)
    await person.comes_as_guest()
    ids = [await person.starts_talking()]
    for words, clip in said.items():
        if words != "Dashwood":
            await person.new_chat.click()
            ids.append(await person.is_listened_to(other_than=ids[-1]))
        await person.has_said(clip)
        await person.hears_himself_say(words)
    await person.page.get_by_role("button", name="End", exact=True).click()
    await person.page.get_by_role("button", name="Start talking").wait_for()

    await expect(person.rows).to_have_count(3)
    for row, words in zip(await person.rows.all(), reversed(said), strict=True):
        await expect(row).to_contain_text(re.compile(words, re.IGNORECASE))
    for session, words in zip(ids, said, strict=True):
        there = await person.reads(session)
        assert [other for other in said if other.lower() in there.lower()] == [words]


async def test_double_and_triple_clicks_count_once(speaking: ServerProcess, visit: Visit) -> None:
    """Every further click and key while it works is ignored."""
    person = await visit(speaking.url, speaks_on_demand=True)
    await person.comes_as_guest()
    await person.page.get_by_role("button", name="Start talking").dblclick()
    first = await person.is_listened_to()
    await person.has_said(YOUNG_MAN)
    await person.hears_himself_say("young man")
    pressed = asyncio.Event()

    async def held(route: Route) -> None:
        # On a busy machine a new chat may otherwise be there before the last key, and be ended.
        await pressed.wait()
        await route.continue_()

    clicks = "button => { button.click(); button.click(); button.click() }"
    async with person.answered(held, operation="StartNewChat"):
        await person.new_chat.evaluate(clicks)
        await expect(person.new_chat).to_have_text("Saving…")
        await person.page.keyboard.press("Control+Shift+O")
        assert person.session_id == first
        pressed.set()
        await person.is_listened_to(other_than=first)

    assert person.asked.count("StartNewChat") == 2
    await expect(person.rows).to_have_count(1)


async def test_a_conversation_in_which_nothing_was_said_is_skipped(
    speaking: ServerProcess, visit: Visit
) -> None:
    """No word of it, nowhere."""
    person = await visit(speaking.url)
    await person.comes_as_guest()
    first = await person.starts_talking()

    await person.page.keyboard.press("Control+Shift+O")
    await person.is_listened_to(other_than=first)

    await expect(person.rows).to_have_count(0)
    await expect(person.page.get_by_text("Conversation saved")).to_have_count(0)
    await expect(person.page.get_by_role("alert")).to_have_count(0)


async def test_a_reload_in_the_middle_of_a_sentence_loses_and_doubles_nothing(
    speaking: ServerProcess, visit: Visit
) -> None:
    """The page joins the same session again: the sentence is settled as the line that it was."""
    person = await visit(speaking.url, speaks_on_demand=True)
    await person.comes_as_guest()
    session = await person.starts_talking()
    await person.has_said(YOUNG_MAN)
    await person.hears_himself_say("young man")
    await person.says(DASHWOOD)
    key = await person.is_saying("leisure")

    await person.page.reload()

    assert await person.is_listened_to() == session
    await person.hears_himself_say("Dashwood.*leisure")
    await expect(person.line(key)).to_have_attribute("data-final", "true")
    await expect(person.line(key)).to_contain_text("leisure")
    await expect(person.lines.filter(has_text="leisure")).to_have_count(1)
    await person.hears_himself_say("young man")
    await person.has_said(WOMAN)
    await person.hears_himself_say("woman")
    await person.sees_what_is_stored(session)


async def test_a_broken_connection_goes_on_where_it_was(
    speaking: ServerProcess, visit: Visit
) -> None:
    """Both sockets break in the middle of a sentence, and the sentence is there in the end."""
    person = await visit(speaking.url, speaks_on_demand=True)
    wires: list[WebSocketRoute] = []
    sent: list[str] = []

    def through(wire: WebSocketRoute) -> None:
        server = wire.connect_to_server()
        wires.extend([wire, server])

        def forward(message: str | bytes) -> None:
            if isinstance(message, str):
                sent.append(message)
            server.send(message)

        wire.on_message(forward)

    await person.page.route_web_socket(re.compile("/(graphql|audio)$"), through)
    await person.comes_as_guest()
    await person.starts_talking()
    await person.has_said(YOUNG_MAN)
    await person.hears_himself_say("young man")
    await person.says(DASHWOOD)
    key = await person.is_saying("Dashwood")

    before = len(sent)
    for wire in list(wires):
        await wire.close(code=1012)
    await person.sees("Reconnecting…")
    await person.hears_himself_say("Dashwood")

    await person.is_listened_to()
    await expect(person.line(key)).to_have_attribute("data-final", "true")
    await expect(person.finals.filter(has_text="young man")).to_have_count(1)
    again = [text for text in sent[before:] if "subscription Transcripts" in text]
    assert len(again) == 1
    assert '"after":"' in again[0]


async def test_what_is_said_while_muted_is_heard_by_nobody(
    speaking: ServerProcess, visit: Visit
) -> None:
    """The dock says "Muted", and only what was said before and after stands there."""
    person = await visit(speaking.url, speaks_on_demand=True)
    await person.comes_as_guest()
    session = await person.starts_talking()
    mute = person.page.get_by_role("button", name="Mute")
    await mute.click()
    await expect(person.state).to_have_text("Muted")
    await person.has_said(YOUNG_MAN)

    await mute.click()
    await expect(person.state).to_have_text("Listening")
    await person.has_said(WOMAN)
    await person.hears_himself_say("woman")

    await person.sees_what_is_stored(session)
    await expect(person.lines.filter(has_text="young man")).to_have_count(0)


async def test_a_second_window_shows_the_same_and_takes_over_when_asked(
    speaking: ServerProcess, visit: Visit
) -> None:
    """Both show every word; sound belongs to the one that asked for it last."""
    person = await visit(speaking.url, speaks_on_demand=True)
    await person.comes_as_guest()
    await person.starts_talking()
    await person.says(YOUNG_MAN)
    await person.hears_himself_say("young man")
    other = Person(person.url, await person.context.new_page(), person.context)

    await other.page.goto(person.page.url)
    await other.hears_himself_say("young man")
    await expect(person.state).not_to_have_text("Following along")
    await other.page.get_by_role("button", name="Talk here", exact=True).click()
    await other.is_listened_to()

    await expect(person.page.get_by_text("You talk in another window now.")).to_be_visible()
    await other.page.get_by_label("Type instead of speaking").fill("from the other window")
    await other.page.keyboard.press("Enter")
    await expect(person.finals.filter(has_text="from the other window")).to_have_count(1)


async def test_two_windows_show_the_same_words_in_the_same_order(
    speaking: ServerProcess, visit: Visit
) -> None:
    """What is said in one, and what is answered, stands in the other as well."""
    person = await visit(speaking.url, speaks_on_demand=True)
    await person.comes_as_guest()
    await person.starts_talking()
    other = Person(person.url, await person.context.new_page(), person.context)
    await other.page.goto(person.page.url)
    await expect(other.state).to_have_text("Following along")

    await person.types("Repeat after me: one")
    await expect(person.answers).to_have_count(1)
    await person.has_said(YOUNG_MAN)
    await person.hears_himself_say("young man")
    await expect(person.answers).not_to_have_count(1)

    await other.hears_himself_say("young man")
    await person.is_listened_to()
    for each in (person, other):
        await expect(each.page.locator('.line[data-grows="true"]')).to_have_count(0)
    keys = "lines => lines.map(line => [line.dataset.key, line.querySelector('p').textContent])"
    shown = await person.page.locator(".line").evaluate_all(keys)
    await expect(other.lines).to_have_text([text for _, text in shown])
    assert await other.page.locator(".line").evaluate_all(keys) == shown


LONG = (
    "Repeat after me the old train left the station early in the morning and went slowly along the "
    "river to the mountain village where my brother lives with his children and a brown dog"
)


async def test_the_agent_falls_silent_at_once_when_it_is_spoken_over(
    speaking: ServerProcess, visit: Visit
) -> None:
    """What was queued is not played any more, and the line keeps what was heard of it."""
    person = await visit(speaking.url, speaks_on_demand=True)
    heard: list[dict[str, Any]] = []
    cleared: list[str] = []
    sent: Counter[str] = Counter()
    open_one = [""]

    def through(wire: WebSocketRoute) -> None:
        server = wire.connect_to_server()

        def from_page(message: str | bytes) -> None:
            if isinstance(message, str):
                frame = json.loads(message)
                if frame["type"] == "played":
                    heard.append(frame)
            server.send(message)

        def from_server(message: str | bytes) -> None:
            if isinstance(message, bytes):
                sent[open_one[0]] += len(message) // 2
            else:
                frame = json.loads(message)
                if frame["type"] == "begin":
                    open_one[0] = frame["playout"]
                elif frame["type"] == "clear":
                    cleared.append(frame["playout"])
            wire.send(message)

        wire.on_message(from_page)
        server.on_message(from_server)

    await person.page.route_web_socket(re.compile("/audio$"), through)
    await person.comes_as_guest()
    await person.starts_talking()
    await person.types(LONG)
    await expect(person.state).to_have_text("Speaking")
    await person.says(WOMAN)

    cut = person.page.locator('.line[data-role="AGENT"]').filter(has_text="interrupted").first
    await cut.wait_for()
    await person.hears_himself_say("woman")
    assert cleared
    last = [frame["samples"] for frame in heard if frame["playout"] == cleared[0]]
    assert last == sorted(last), "played only grows"
    assert last[-1] < sent[cleared[0]], "what was queued was thrown away"
    text = await cut.locator(".line-text").text_content() or ""
    assert 0 < len(text.split()) < len(LONG.split()) - 3
