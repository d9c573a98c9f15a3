"""Frames and tokens that `/bridge` must reject, on a server with stored data."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from websockets.exceptions import ConnectionClosed

from agent_bridge.server.tokens import Tokens
from tests.agent_bridge.bad_frames import BAD_CONTENTS, BAD_FROM_AGENT, MALFORMED, as_json
from tests.agent_bridge.wire import Raw, raw, words
from tests.faults.clients.account import BEGIN, DELETE
from tests.hostile.conftest import Scene
from tests.storage.disk import rows

UNKNOWN = '{"type": "selfDestruct"}'
HUGE = '{"type": "utterance", "text": "' + "x" * 2_000_000 + '"}'


async def welcomed(agent: Raw, scene: Scene) -> None:
    await agent.send("hello", token=scene.job.bridge_token)
    assert (await agent.receive())["type"] == "welcome"


async def test_no_bad_frame_leaves_a_trace(scene: Scene) -> None:
    """Malformed frames, unknown types and bad members get 4400, before and after the hello."""
    before = scene.stored()
    frames = [*MALFORMED, *map(as_json, BAD_FROM_AGENT), UNKNOWN]

    for frame in frames:
        async with raw(scene.on.server.url) as agent:
            await agent.socket.send(frame)
            assert await agent.closed() == 4400, frame[:80]
    # These connections fence the real agent, so end it first.
    await scene.agent.vanish()
    for frame in frames:
        async with raw(scene.on.server.url) as agent:
            await welcomed(agent, scene)
            await agent.socket.send(frame)
            assert await agent.closed() == 4400, frame[:80]

    assert scene.stored() == before


async def _send_what_is_taken(agent: Raw) -> None:
    # The server may close the connection during the send; the test checks that close code.
    with suppress(ConnectionClosed):
        await agent.socket.send(HUGE)


async def test_a_frame_of_2_mb_leaves_no_trace(scene: Scene) -> None:
    """It gets 1009 before and after the hello; the server doesn't read all of it."""
    before = scene.stored()

    async with raw(scene.on.server.url) as agent:
        await _send_what_is_taken(agent)
        assert await agent.closed() == 1009
    async with raw(scene.on.server.url) as agent:
        await welcomed(agent, scene)
        await _send_what_is_taken(agent)
        assert await agent.closed() == 1009

    assert scene.stored() == before


async def test_bad_contents_are_refused_one_by_one(scene: Scene) -> None:
    """Each gets a terminal nack with its own code; the conversation goes on and stores none."""
    before = scene.stored()

    async with raw(scene.on.server.url) as agent:
        await welcomed(agent, scene)
        for wrong, code in BAD_CONTENTS:
            await agent.socket.send(as_json({"type": "utterance", **words(), **wrong}))
            nack = await agent.receive()
            assert (nack["type"], nack["code"], nack["terminal"]) == ("nack", code, True), wrong
        assert scene.stored() == before
        await agent.send("utterance", **words())
        assert (await agent.receive())["type"] == "ack"


async def test_whatever_comes_before_the_hello_is_out_of_place(scene: Scene) -> None:
    """This includes valid utterances."""
    before = scene.stored()
    frames: list[dict[str, Any]] = [
        {"type": "ready"},
        {"type": "utterance", **words()},
        {"type": "agentState", "state": "LISTENING"},
        {"type": "inputAck", "key": "k"},
        {"type": "bye", "reason": "LEFT"},
    ]

    for frame in frames:
        async with raw(scene.on.server.url) as agent:
            await agent.socket.send(as_json(frame))
            assert await agent.closed() == 4400, frame

    assert scene.stored() == before


async def test_a_revision_that_goes_back_changes_nothing(scene: Scene) -> None:
    """It is acknowledged as settled; the later revision stays."""
    now = "SELECT text, is_final, agent_revision FROM utterances WHERE key = 'seg_a'"
    async with raw(scene.on.server.url) as agent:
        await welcomed(agent, scene)
        said = [
            (5, "it begins", False),
            (3, "it be", False),
            (7, "it begins here", True),
            (6, "it begins he", False),
            (8, "it begins here and", False),
            (6, "an older final", True),
            (7, "the same revision", True),
        ]
        for revision, text, final in said:
            await agent.send("utterance", **words("seg_a", revision, text, final))
            assert (await agent.receive())["type"] == "ack", text

        assert rows(scene.on.server.database, now) == [("it begins here", 1, 7)]

        await agent.send("utterance", **words("seg_a", 9, "it begins here, cut", True))
        assert (await agent.receive())["type"] == "ack"
        assert rows(scene.on.server.database, now) == [("it begins here, cut", 1, 9)]


async def test_no_token_opens_what_it_is_not_for(scene: Scene) -> None:
    """Expired, foreign, media, account, altered and made-up tokens get 4401."""
    before = scene.stored()
    session = scene.job.session
    good = scene.job.bridge_token
    head, claims, signature = good.split(".")
    tokens = {
        "expired": scene.tokens.bridge(session, 1, lifetime=-timedelta(seconds=1)),
        "of another installation": Tokens("x" * 48).bridge(session, 1),
        "of the agent's media": scene.job.audio_token,
        "of the person's media": scene.tokens.media(session, "person", 1)[0],
        "of a person's account": scene.on.account.token,
        "of a worker": scene.on.server.worker_key,
        "changed": f"{head}.{claims[:-2]}xx.{signature}",
        "without a signature": f"{head}.{claims}.",
        "a word": "please",
    }

    for what, token in tokens.items():
        async with raw(scene.on.server.url) as agent:
            await agent.send("hello", token=token)
            assert await agent.closed() == 4401, what

    assert scene.stored() == before


async def test_a_token_opens_its_own_session_and_attempt_only(scene: Scene) -> None:
    """Attempts that were never made and sessions that never existed or were deleted get GONE."""
    on = scene.on
    job = await on.begin()
    await on.account.ask(DELETE, {"sessionId": job.session})
    before = scene.stored()

    for token in (
        scene.tokens.bridge(scene.job.session, 2),
        scene.tokens.bridge("ses_01kapmxvz3e0h9v6tq0b3x3yqd", 1),
        scene.tokens.bridge("nonsense", 1),
        job.bridge_token,
    ):
        async with raw(on.server.url) as agent:
            await agent.send("hello", token=token)
            assert await agent.closed() == 4410

    assert scene.stored() == before


async def test_a_deleted_session_closes_its_agent_and_takes_nothing_more(scene: Scene) -> None:
    """Its token is invalid from then on, also for utterances already sent."""
    on = scene.on
    job = await on.begin()
    async with raw(on.server.url) as agent:
        await agent.send("hello", token=job.bridge_token)
        await agent.receive()
        await on.account.ask(DELETE, {"sessionId": job.session})
        before = scene.stored()
        assert await agent.closed() == 4410

    assert scene.stored() == before
    kept = "SELECT count(*) FROM utterances WHERE session_id = ?"
    assert rows(on.server.database, kept, job.session) == [(0,)]


async def test_a_worker_without_the_key_gets_no_work(scene: Scene) -> None:
    """A wrong key gets 4401, even if it is another valid secret."""
    before = scene.stored()
    for key in ("wrong", scene.job.bridge_token, scene.on.account.token, "x" * 4096):
        async with raw(scene.on.server.url, "voxql.worker.v1") as worker:
            await worker.send("hello", key=key, agentNames=["voxql"], places=100)
            assert await worker.closed() == 4401

    assert scene.stored() == before
    await scene.on.account.ask(BEGIN, {})
    assert (await scene.on.jobs.get()).session
