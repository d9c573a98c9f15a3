"""A person's audio connection ends with the login or API token it was opened with."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.faults.clients.account import Account
from tests.faults.clients.journal import Journal
from tests.hostile.conftest import Scene
from tests.hostile.test_audio_frames import code_of

JOIN = """
mutation Join($input: JoinSessionInput!) { joinSession(input: $input) { connection { token } } }"""
WITHIN_S = 10.0
"""A second is promised; a busy machine may need longer."""


@asynccontextmanager
async def heard(scene: Scene, token: str) -> AsyncIterator[ClientConnection]:
    """Connect as a person and wait for the welcome."""
    address = scene.on.server.url.replace("http", "ws", 1) + "/audio"
    async with connect(
        address, subprotocols=[Subprotocol("voxql.audio.v1")], compression=None, proxy=None
    ) as socket:
        await socket.send(json.dumps({"type": "hello", "token": token}))
        assert json.loads(await socket.recv())["type"] == "welcome"
        yield socket


async def is_refused(scene: Scene, token: str) -> bool:
    address = scene.on.server.url.replace("http", "ws", 1) + "/audio"
    async with connect(
        address, subprotocols=[Subprotocol("voxql.audio.v1")], compression=None, proxy=None
    ) as socket:
        await socket.send(json.dumps({"type": "hello", "token": token}))
        return await code_of(socket) == 4401


@pytest.fixture
def owner(scene: Scene) -> Account:
    """The conversation's owner, with a browser and a program."""
    return scene.on.account


async def joined(scene: Scene, owner: Account) -> str:
    """Join as the owner's program; return the audio token."""
    answer = await owner.ask(JOIN, {"sessionId": scene.job.session})
    return str(answer["connection"]["token"])


async def joined_in_browser(scene: Scene, owner: Account) -> str:
    query = JOIN.replace("$input: JoinSessionInput!", "").replace("Join()", "Join")
    query = query.replace("input: $input", f'input: {{sessionId: "{scene.job.session}"}}')
    return str((await owner.in_browser(query))["connection"]["token"])


async def test_a_revoked_api_token_is_heard_no_more(scene: Scene, owner: Account) -> None:
    """Its open connection ends and new ones are refused; the owner's browser stays connected."""
    token = await joined(scene, owner)
    async with heard(scene, token) as program:
        revoke = f'mutation {{ revokeApiToken(input: {{id: "{owner.token_id}"}})'
        await owner.in_browser(revoke + " { revokedApiTokenId } }")

        async with asyncio.timeout(WITHIN_S):
            assert await code_of(program) == 4401

    browsers = await joined_in_browser(scene, owner)
    async with heard(scene, browsers) as browser:
        assert await is_refused(scene, token)
        await browser.send(bytes(640))
        await browser.ping()


async def test_who_signs_out_is_heard_no_more(scene: Scene, owner: Account) -> None:
    """The browser's connection ends; the program's stays."""
    async with heard(scene, await joined_in_browser(scene, owner)) as browser:
        await owner.in_browser("mutation { signOut { isSignedOut } }")

        assert await code_of(browser) == 4401

    async with heard(scene, await joined(scene, owner)) as program:
        await (await program.ping())


async def test_a_stranger_with_a_good_login_is_not_the_person(scene: Scene) -> None:
    """The token's session must belong to the owner of its login."""
    stranger = Account(scene.on.server.url, Journal())
    await stranger.open()
    try:
        forged, _ = scene.tokens.media(scene.job.session, "person", 1, access=stranger.token_id)
        assert await is_refused(scene, forged)
    finally:
        await stranger.close()
