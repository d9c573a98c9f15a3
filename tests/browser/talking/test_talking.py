"""A person talks, begins again, and finds everything: real speech, agent and browser."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import WebSocket, expect

from tests.browser import chapters
from tests.browser.conftest import Visit
from tests.browser.person import LEAD_S, Person
from tests.programs.server_process import ServerProcess
from tests.wire import Wire

pytestmark = [pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="session")]


@dataclass
class Frames:
    """The WebSocket frames of a page."""

    asked: list[str] = field(default_factory=list)
    """Text frames from the page."""
    heard: list[dict[str, Any]] = field(default_factory=list)
    """The page's playback reports."""
    cleared: list[str] = field(default_factory=list)
    """The playouts whose rest the server told the page to discard."""
    sent: Counter[str] = field(default_factory=Counter)
    """The number of samples sent to the page, by playout."""

    def read(self, socket: WebSocket) -> None:
        """Record the frames of both directions."""
        playout = ""

        def from_page(message: str | bytes) -> None:
            if isinstance(message, str):
                self.asked.append(message)
                frame = json.loads(message)
                if frame["type"] == "played":
                    self.heard.append(frame)

        def from_server(message: str | bytes) -> None:
            nonlocal playout
            if isinstance(message, bytes):
                self.sent[playout] += len(message) // 2
            else:
                frame = json.loads(message)
                if frame["type"] == "begin":
                    playout = frame["playout"]
                elif frame["type"] == "clear":
                    self.cleared.append(frame["playout"])

        socket.on("framesent", from_page)
        socket.on("framereceived", from_server)


@pytest_asyncio.fixture(loop_scope="session")
async def wire(speaking: ServerProcess) -> AsyncIterator[Wire]:
    """A proxy for the traffic between a page and the server."""
    async with Wire(speaking.port) as wire:
        yield wire


async def test_a_talk_from_the_first_word_to_the_history(
    speaking: ServerProcess, wire: Wire, visit: Visit
) -> None:
    """Every word of three conversations is in the history, once."""
    through = f"--host-resolver-rules=MAP 127.0.0.1:{speaking.port} 127.0.0.1:{wire.port}"
    person = await visit(speaking.url, flags=[through], speaks_on_demand=True)
    frames = Frames()
    person.page.on("websocket", frames.read)

    empty = await chapters.double_click_begins_one(person)
    first = await chapters.nothing_said_is_skipped(person, empty)
    await chapters.a_sentence_is_settled_where_it_grew(person)
    await person.has_said(chapters.WOMAN)
    await expect(person.state).to_have_text("Speaking")
    await chapters.the_agent_is_spoken_over(person)
    was_silent_at_once(frames)

    second = await chapters.three_clicks_save_once(person, first)
    await chapters.nobody_hears_the_muted(person)
    await chapters.a_reload_in_mid_sentence_loses_nothing(person)
    await expect(person.lines.filter(has_text="young man")).to_have_count(0)

    await person.new_chat.click()
    third = await person.is_listened_to(other_than=second)
    other = await chapters.a_second_window_follows(person)
    await goes_on_where_it_was(person, wire, frames)
    await chapters.a_microphone_that_is_unplugged_can_be_plugged_in_again(person)
    await chapters.the_second_window_takes_over(person, other)

    said = {
        chapters.SELFISH.text: first,
        chapters.LEISURE: second,
        chapters.YOUNG_MAN.text: third,
    }
    previews = ["unless to be rather", "Thank you", "Repeat after me: one"]
    await chapters.each_is_found_with_its_own_words(person, other, said, previews)


def was_silent_at_once(frames: Frames) -> None:
    """Check that queued sound was not played."""
    assert frames.cleared
    last = [frame["samples"] for frame in frames.heard if frame["playout"] == frames.cleared[0]]
    assert last == sorted(last), "played only grows"
    assert last[-1] < frames.sent[frames.cleared[0]], "what was queued was thrown away"


async def goes_on_where_it_was(person: Person, wire: Wire, frames: Frames) -> None:
    """Break every connection in mid-sentence; the sentence is complete in the end."""
    await person.says(chapters.WOMAN)
    key = await person.is_saying("had he married a more amiable woman")
    before = len(frames.asked)
    wire.cut()
    await person.sees("Reconnecting…")
    assert await person.hears_himself_say(chapters.WOMAN.text) == key

    await person.is_listened_to()
    await person.hears_himself_say(chapters.YOUNG_MAN.text)
    again = [text for text in frames.asked[before:] if "subscription Transcripts" in text]
    assert len(again) == 1
    assert '"after":"' in again[0]


async def test_the_microphone_of_the_browser_is_heard(
    speaking: ServerProcess, visit: Visit
) -> None:
    """Speech through Chromium's own microphone and the browser's audio processing is recognized."""
    person = await visit(speaking.url, [LEAD_S, chapters.YOUNG_MAN])
    await person.comes_as_guest()
    await expect(person.page.get_by_text("VOXQL_LLM_BASE_URL")).to_be_visible()
    await person.starts_talking()

    await person.hears_himself_say(chapters.YOUNG_MAN.text)
