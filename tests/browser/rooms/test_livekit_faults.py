"""The page when joining a room fails, or a room token is abused."""

import json
from typing import Any, Final

import jwt
import pytest
from livekit import api
from playwright.async_api import Request, Route, expect

from tests.browser.conftest import Visit
from tests.browser.person import Person
from tests.livekit.hall import until
from tests.programs.livekit_server import KEY, SECRET, LiveKitServer
from tests.programs.server_process import ROOT, ServerProcess
from tests.speech.sound import recording

pytestmark = [pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="session")]

DASHWOOD, SELFISH, AMIABLE = map(recording, ("0870", "0890", "0930"))
IN_TIME_MS: Final = 90_000
"""For slow steps on a busy machine: LiveKit's own timeouts are 15 s and more."""
LIVEKIT_CLIENT: Final = "frontend/node_modules/livekit-client/dist/livekit-client.umd.js"


async def room_of(livekit: LiveKitServer, session: str) -> str:
    """Return the name of a conversation's room."""
    async with api.LiveKitAPI(livekit.url, KEY, SECRET) as control:
        rooms = (await control.room.list_rooms(api.ListRoomsRequest())).rooms
    [own] = [room.name for room in rooms if session in room.metadata]
    return own


async def is_listened_to_again(livekit: LiveKitServer, room: str, person: Person) -> None:
    """Wait until the page and an agent in this room listen."""
    await expect(person.state).to_have_text("Listening", timeout=IN_TIME_MS)
    request = api.ListParticipantsRequest(room=room)
    async with api.LiveKitAPI(livekit.url, KEY, SECRET) as control:

        async def look() -> bool:
            people = (await control.room.list_participants(request)).participants
            agents = [one for one in people if one.kind == api.ParticipantInfo.Kind.AGENT]
            return any(one.attributes["lk.agent.state"] == "listening" for one in agents)

        # The page may be back in the room before the agent is.
        await until(look, IN_TIME_MS / 1000)
    await expect(person.state).to_have_text("Listening", timeout=IN_TIME_MS)


def joins(request: Request) -> bool:
    return "mutation JoinSession" in (request.post_data or "")


async def test_whatever_happens_to_the_way_into_a_room_it_is_entered_again(
    in_rooms: ServerProcess, livekit: LiveKitServer, visit: Visit
) -> None:
    """An expired token, a deleted room and a lost network cost no words; later ones are heard."""
    person = await visit(in_rooms.url, speaks_on_demand=True)
    await person.comes_as_guest()
    session = await begins_with_an_expired_token(person)
    await person.says(DASHWOOD)
    await person.hears_himself_say(DASHWOOD.text)

    room = await room_of(livekit, session)
    async with (
        api.LiveKitAPI(livekit.url, KEY, SECRET) as control,
        person.page.expect_request(joins, timeout=IN_TIME_MS),
    ):
        await control.room.delete_room(api.DeleteRoomRequest(room=room))
    await is_listened_to_again(livekit, room, person)
    await person.says(AMIABLE)
    await person.hears_himself_say(AMIABLE.text)
    await person.hears_himself_say(DASHWOOD.text)

    await person.context.set_offline(True)
    await expect(person.page.get_by_text("You're offline.")).to_be_visible()
    await expect(person.state).to_have_text("Offline, reconnecting…")
    await person.context.set_offline(False)
    await is_listened_to_again(livekit, room, person)
    await person.says(SELFISH)
    for clip in (SELFISH, AMIABLE, DASHWOOD):
        await person.hears_himself_say(clip.text)
    assert person.session_id == session


async def begins_with_an_expired_token(person: Person) -> str:
    """Start with an expired token: LiveKit refuses it, and the page silently asks for another."""

    async def expired(route: Route) -> None:
        answer = await route.fetch()
        body = await answer.json()
        connection = body["data"]["startNewChat"]["connection"]
        claims: dict[str, Any] = jwt.decode(connection["token"], SECRET, algorithms=["HS256"])
        claims = {**claims, "nbf": claims["nbf"] - 7200, "exp": claims["nbf"] - 3600}
        connection["token"] = jwt.encode(claims, SECRET, algorithm="HS256")
        await route.fulfill(response=answer, body=json.dumps(body))

    async with person.answered(expired, operation="StartNewChat"):
        session = await person.starts_talking()
    assert person.asked.count("JoinSession") >= 1
    return session


FORGE = """async ({url, token}) => {
  const {Room} = LivekitClient
  const room = new Room()
  await room.connect(url, token)
  const me = room.localParticipant
  const attributes = {'lk.segment_id': 'SG_forged', 'lk.transcription_final': 'true'}
  const forged = [
    () => me.sendText('I owe you', {topic: 'lk.transcription', attributes}),
    () => me.sendText('I owe you', {topic: 'lk.chat'}),
    () => me.publishData(new TextEncoder().encode('I owe you'), {reliable: true}),
    () => me.setAttributes({'lk.agent.state': 'speaking'}),
  ]
  const limit = () => new Promise(resolve => setTimeout(resolve, 3000))
  await Promise.all(forged.map(forge => Promise.race([forge().catch(() => {}), limit()])))
  await room.disconnect()
}"""


async def test_a_browser_that_forges_a_transcript_changes_nothing(
    in_rooms: ServerProcess, visit: Visit
) -> None:
    """Forged agent messages, sent with the page's own token, are ignored."""
    person = await visit(in_rooms.url)
    await person.comes_as_guest()
    session = await person.starts_talking()
    await person.types("the truth")
    await expect(person.answers).to_have_count(1)
    shown = await person.lines.all_text_contents()
    join = f'joinSession(input: {{sessionId: "{session}"}}) {{ connection {{ url token }} }}'
    joined = await person.query(f"mutation {{ {join} }}")
    # As in the browser's console, to which the page's content security policy does not apply.
    await person.page.evaluate((ROOT / LIVEKIT_CLIENT).read_text() + ";0")
    await person.page.evaluate(FORGE, joined["joinSession"]["connection"])

    await expect(
        person.page.get_by_text("This conversation is active in another window.")
    ).to_be_visible()
    await person.page.get_by_role("button", name="Talk here").click()
    await person.is_listened_to()
    await person.types("nothing but the truth")
    await expect(person.answers).to_have_count(2)
    assert (await person.lines.all_text_contents())[: len(shown)] == shown
    await expect(person.page.get_by_text("I owe you")).to_have_count(0)
    stored = await person.query(
        f'{{ session(id: "{session}") {{ utterances(first: 100) {{ nodes {{ text }} }} }} }}'
    )
    assert "I owe you" not in str(stored)
