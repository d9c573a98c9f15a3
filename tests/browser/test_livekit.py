"""People at real browsers whose sound travels through the rooms of a real LiveKit server."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from livekit import api
from playwright.async_api import Route, expect

from tests.browser import test_equipment, test_failures, test_talking
from tests.browser.conftest import Visit, agent_of, server_of
from tests.browser.person import LEAD_S, Person
from tests.e2e.sound import recording
from tests.livekit_server import KEY, SECRET, LiveKitServer, StartLiveKit
from tests.server_process import ServerProcess

pytestmark = pytest.mark.timeout(240)

DASHWOOD, YOUNG_MAN = map(recording, ("0870", "0880"))
IN_TIME_MS = 90_000
"""For what takes long on a machine that is busy: LiveKit's own limits are 15 s and more."""

Scenario = Callable[[ServerProcess, Visit], Awaitable[None]]

SAME: tuple[Scenario, ...] = (
    test_talking.test_what_was_said_is_in_the_history_after_new_chat,
    test_talking.test_three_conversations_keep_their_own_words,
    test_talking.test_double_and_triple_clicks_count_once,
    test_talking.test_a_conversation_in_which_nothing_was_said_is_skipped,
    test_talking.test_a_reload_in_the_middle_of_a_sentence_loses_and_doubles_nothing,
    test_talking.test_a_second_window_shows_the_same_and_takes_over_when_asked,
    test_talking.test_two_windows_show_the_same_words_in_the_same_order,
    test_equipment.test_who_may_not_have_the_microphone_types,
    test_equipment.test_who_has_no_microphone_types,
    test_equipment.test_a_microphone_that_is_unplugged_can_be_plugged_in_again,
    test_failures.test_a_save_that_fails_in_three_ways_is_repeated_until_it_works,
)


@pytest.mark.parametrize("scenario", SAME, ids=lambda test: test.__name__.removeprefix("test_"))
async def test_it_is_as_over_the_other_transport(
    scenario: Scenario, in_rooms: ServerProcess, visit: Visit
) -> None:
    """One suite, two transports: what people see, do and find is the same."""
    await scenario(in_rooms, visit)


async def shows_a_voice(person: Person, bars: str) -> None:
    """Wait until something that moves with a voice moves; without one it stands still."""
    await person.page.wait_for_function(
        "bars => [...document.querySelectorAll(bars)].some("
        "  bar => new DOMMatrix(getComputedStyle(bar).transform).d > bar.dataset.rest)".replace(
            "bar.dataset.rest", "(bars.endsWith(' i') ? 0.25 : 1.05)"
        ),
        arg=bars,
    )


async def test_both_voices_are_carried_and_shown(in_rooms: ServerProcess, visit: Visit) -> None:
    """Own words come as interims and finals, and the answer is played, and seen to be."""
    person = await visit(in_rooms.url, speaks_on_demand=True)
    await person.comes_as_guest()
    await person.starts_talking()

    await person.says(YOUNG_MAN)
    await shows_a_voice(person, ".own-voice")
    await person.page.locator('.line[data-role="USER"][data-final="false"]').wait_for()
    await person.hears_himself_say("young man")

    await expect(person.answers).not_to_have_count(0)
    await person.types("Repeat after me: this is the voice of the agent in the room")
    await shows_a_voice(person, ".voice i")
    heard = "() => [...document.querySelectorAll('audio')].map(x => !x.paused && x.currentTime > 0)"
    assert await person.page.evaluate(heard) == [True]
    await expect(person.answers.filter(has_text=re.compile("voice of the agent"))).to_have_count(1)


async def test_the_agent_falls_silent_when_it_is_spoken_over(
    in_rooms: ServerProcess, visit: Visit
) -> None:
    """The line keeps what was heard of it, and the next words are understood."""
    person = await visit(in_rooms.url, speaks_on_demand=True)
    await person.comes_as_guest()
    await person.starts_talking()
    await person.types(test_talking.LONG)
    await shows_a_voice(person, ".voice i")
    await person.says(YOUNG_MAN)

    cut = person.page.locator('.line[data-role="AGENT"]').filter(has_text="interrupted").first
    await cut.wait_for()
    await person.hears_himself_say("young man")
    text = await cut.locator(".line-text").text_content() or ""
    assert 0 < len(text.split()) < len(test_talking.LONG.split()) - 3


async def test_another_microphone_is_heard_in_the_place_of_the_first(
    in_rooms: ServerProcess, visit: Visit
) -> None:
    """It is chosen in mid-conversation; each begins its recording anew when it is opened."""
    person = await visit(in_rooms.url, says=[LEAD_S, YOUNG_MAN])
    await person.comes_as_guest()
    await person.starts_talking()
    await person.hears_himself_say("young man")

    await person.page.get_by_role("button", name="Choose the microphone").click()
    await person.page.get_by_role("menuitemradio").last.click()

    await expect(person.finals.filter(has_text="young man")).to_have_count(2)


async def test_a_network_that_is_gone_is_said_and_sound_goes_on_when_it_is_back(
    in_rooms: ServerProcess, visit: Visit
) -> None:
    """The page reconnects to the room by itself; what was said before stays."""
    person = await visit(in_rooms.url, speaks_on_demand=True)
    await person.comes_as_guest()
    session = await person.starts_talking()
    await person.types("before")

    await person.context.set_offline(True)
    await expect(person.page.get_by_text("You are offline.")).to_be_visible()
    await expect(person.state).to_have_text("Reconnecting…", timeout=IN_TIME_MS)
    await person.context.set_offline(False)

    await expect(person.state).to_have_text("Listening", timeout=IN_TIME_MS)
    await person.says(YOUNG_MAN)
    await person.hears_himself_say("young man")
    await expect(person.finals.filter(has_text="before")).to_have_count(1)
    assert person.session_id == session


async def test_an_expired_token_is_replaced(in_rooms: ServerProcess, visit: Visit) -> None:
    """LiveKit refuses the page; it asks for another token, and nobody notices."""
    person = await visit(in_rooms.url, speaks_on_demand=True)

    async def expired(route: Route) -> None:
        answer = await route.fetch()
        body = await answer.json()
        started = (body.get("data") or {}).get("startNewChat")
        if started:
            connection = started["connection"]
            claims: dict[str, Any] = jwt.decode(connection["token"], SECRET, algorithms=["HS256"])
            claims = {**claims, "nbf": claims["nbf"] - 7200, "exp": claims["nbf"] - 3600}
            connection["token"] = jwt.encode(claims, SECRET, algorithm="HS256")
        await route.fulfill(response=answer, body=json.dumps(body))

    await person.page.route("**/graphql", expired)
    await person.comes_as_guest()
    await person.starts_talking()

    assert person.asked.count("JoinSession") >= 1
    await person.says(YOUNG_MAN)
    await person.hears_himself_say("young man")


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
    await person.types("Repeat after me: can you hear me now")
    await shows_a_voice(person, ".voice i")


async def test_a_room_that_somebody_else_deletes_is_entered_again(
    in_rooms: ServerProcess, livekit: LiveKitServer, visit: Visit
) -> None:
    """Words stay, sound comes back with another agent, and what is said then is heard."""
    person = await visit(in_rooms.url, speaks_on_demand=True)
    await person.comes_as_guest()
    session = await person.starts_talking()
    await person.types("before")
    async with api.LiveKitAPI(livekit.url, KEY, SECRET) as control:
        rooms = (await control.room.list_rooms(api.ListRoomsRequest())).rooms
        own = [room.name for room in rooms if session in room.metadata]
        await control.room.delete_room(api.DeleteRoomRequest(room=own[0]))

    await expect(person.state).not_to_have_text("Listening")
    await expect(person.state).to_have_text("Listening", timeout=IN_TIME_MS)
    await person.says(YOUNG_MAN)
    await person.hears_himself_say("young man")
    await expect(person.finals.filter(has_text="before")).to_have_count(1)
    assert person.session_id == session


async def test_an_agent_that_is_killed_is_told_and_retry_brings_another(
    start_livekit: StartLiveKit, visit: Visit, tmp_path: Path
) -> None:
    """Nobody else is there: after a while there is a reason, and Retry; with one it hears."""
    livekit = start_livekit()
    server = server_of(livekit, tmp_path / "server")
    agent = agent_of(livekit)
    try:
        person = await visit(server.url, speaks_on_demand=True)
        await person.comes_as_guest()
        session = await person.starts_talking()
        await person.types("before")

        agent.kill()
        alert = person.page.get_by_role("alert").filter(has_text="The agent is not available.")
        await expect(alert).to_be_visible(timeout=IN_TIME_MS)
        agent = await asyncio.to_thread(agent_of, livekit)
        await alert.get_by_role("button", name="Retry").click()
        await person.is_listened_to()

        await expect(alert).to_have_count(0)
        await person.says(YOUNG_MAN)
        await person.hears_himself_say("young man")
        assert "before" in " ".join(await person.lines.all_text_contents())
        assert person.session_id == session
    finally:
        agent.kill()
        server.stop()


async def test_livekit_may_be_restarted_in_mid_conversation(
    start_livekit: StartLiveKit, visit: Visit, tmp_path: Path
) -> None:
    """The page says that it reconnects, and then the same conversation goes on."""
    livekit = start_livekit()
    server = server_of(livekit, tmp_path / "server")
    agent = agent_of(livekit)
    try:
        person = await visit(server.url, speaks_on_demand=True)
        await person.comes_as_guest()
        session = await person.starts_talking()
        await person.says(YOUNG_MAN)
        await person.hears_himself_say("young man")

        await asyncio.to_thread(livekit.kill)
        await expect(person.state).to_have_text("Reconnecting…", timeout=IN_TIME_MS)
        await asyncio.to_thread(livekit.start)

        await expect(person.state).to_have_text("Listening", timeout=IN_TIME_MS)
        await person.says(DASHWOOD)
        await person.hears_himself_say("Dashwood")
        await expect(person.finals.filter(has_text="young man")).to_have_count(1)
        assert person.session_id == session
    finally:
        agent.kill()
        server.stop()
