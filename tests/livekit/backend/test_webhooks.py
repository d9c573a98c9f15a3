"""Only authentic webhooks are accepted, and they are only hints."""

import base64
import hashlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from livekit import api
from starlette.applications import Starlette
from starlette.routing import Route

from agent_bridge.livekit.control import LiveKitControl
from agent_bridge.livekit.webhooks import BODY_LIMIT, REMEMBERED, Webhooks
from tests.accesses import LOGIN
from tests.programs.livekit_server import KEY, SECRET

NOW = 1_800_000_000.0


@dataclass
class Post:
    """A sender of webhooks."""

    http: httpx.AsyncClient
    hinted: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    async def __call__(
        self, body: bytes | dict[str, Any], token: str | None = None, **more: Any
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        token = signature(content) if token is None else token
        headers = {"Authorization": token} if token else {}
        return await self.http.post("/livekit/webhook", content=content, headers=headers, **more)


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    hinted: list[str] = []
    outcomes: Counter[str] = Counter()

    def count(outcome: str) -> None:
        outcomes[outcome] += 1

    webhooks = Webhooks(KEY, SECRET, hinted.append, count, clock=lambda: NOW)
    app = Starlette(routes=[Route("/livekit/webhook", webhooks.endpoint, methods=["POST"])])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as http:
        yield Post(http, hinted, outcomes)


def event(kind: str = "participant_left", id_: str = "EV_1", **more: Any) -> dict[str, Any]:
    # 64-bit numbers are strings in protobuf's JSON.
    return {
        "event": kind,
        "id": id_,
        "createdAt": str(int(NOW)),
        "room": {"sid": "RM_1", "name": "voxql-room"},
        **more,
    }


def signature(body: bytes, key: str = KEY, secret: str = SECRET) -> str:
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return api.AccessToken(key, secret).with_sha256(digest).to_jwt()


@pytest.mark.parametrize(
    "kind", ["participant_joined", "participant_left", "room_started", "room_finished"]
)
async def test_a_webhook_says_where_to_look(post: Post, kind: str) -> None:
    """Only the room's name is used."""
    response = await post(event(kind))

    assert response.status_code == 200
    assert post.hinted == ["voxql-room"]


async def test_a_webhook_of_something_else_is_taken_and_means_nothing(post: Post) -> None:
    """LiveKit sends events of every kind, and later versions send more."""
    for number, kind in enumerate(["track_published", "egress_started", "not_invented_yet"]):
        assert (await post(event(kind, f"EV_{number}", newMember={"a": 1}))).status_code == 200

    assert post.hinted == []
    assert post.outcomes == {"taken": 3}


async def test_a_repeated_webhook_is_answered_and_ignored(post: Post) -> None:
    """LiveKit repeats a webhook whose answer was lost."""
    for _ in range(3):
        assert (await post(event())).status_code == 200

    assert post.hinted == ["voxql-room"]
    assert post.outcomes == {"taken": 1, "repeated": 2}


async def test_the_order_of_webhooks_means_nothing(post: Post) -> None:
    """Left before joined: the room is checked twice, which shows who is there."""
    await post(event("participant_left", "EV_2"))
    await post(event("participant_joined", "EV_1", createdAt=str(int(NOW) - 60)))

    assert post.hinted == ["voxql-room", "voxql-room"]


async def test_a_webhook_without_a_signature_is_refused(post: Post) -> None:
    """The answer is 401 and says what is missing."""
    response = await post(event(), token="")

    assert response.status_code == 401
    assert "Authorization" in response.text
    assert (post.hinted, post.outcomes) == ([], {"refused": 1})


@pytest.mark.parametrize(
    ("key", "secret"), [(KEY, "another secret, which is also long enough"), ("otherkey", SECRET)]
)
async def test_a_webhook_signed_by_somebody_else_is_refused(
    post: Post, key: str, secret: str
) -> None:
    """Both the key and the secret must be ours."""
    body = json.dumps(event()).encode()

    assert (await post(body, signature(body, key, secret))).status_code == 401
    assert post.hinted == []


async def test_a_body_that_was_changed_is_refused(post: Post) -> None:
    """The signature belongs to another body."""
    body = json.dumps(event()).encode()

    response = await post(body.replace(b"voxql-room", b"other-room"), signature(body))

    assert (response.status_code, post.hinted) == (401, [])


async def test_a_persons_token_signs_nothing(post: Post) -> None:
    """A person's token is made with the same secret, but signs no webhook."""
    control = LiveKitControl("ws://127.0.0.1:1", KEY, SECRET)
    token, _ = control.token("voxql-room", "person-x", LOGIN)

    assert (await post(event(), token)).status_code == 401
    assert (await post(event(), f"Bearer {token}")).status_code == 401
    assert post.hinted == []


@pytest.mark.parametrize("seconds", [-301, 301, -3600])
async def test_an_old_webhook_is_refused(post: Post, seconds: int) -> None:
    """A recorded webhook can't be replayed later, nor can one from the future be sent."""
    response = await post(event(createdAt=str(int(NOW) + seconds)))

    assert response.status_code == 400
    assert "too old" in response.text
    assert post.hinted == []


async def test_an_expired_signature_is_refused(post: Post) -> None:
    """LiveKit's signatures are valid for five minutes."""
    body = json.dumps(event()).encode()
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    token = api.AccessToken(KEY, SECRET).with_sha256(digest)

    response = await post(body, token.with_ttl(timedelta(minutes=-5)).to_jwt())

    assert (response.status_code, post.hinted) == (401, [])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"event": 5}',
        b'{"id": "EV_1", "createdAt": "soon"}',
        b'{"event": "room_finished", "createdAt": "1800000000"}',
        b"[" * 100_000,
        b'{"room": ' * 5_000 + b"1" + b"}" * 5_000,
    ],
)
async def test_what_is_no_event_is_refused_although_it_is_signed(post: Post, body: bytes) -> None:
    """The answer is 400."""
    assert (await post(body)).status_code == 400
    assert post.hinted == []


@pytest.mark.parametrize("token", ["x", "a.b.c", "Bearer", "Bearer  ", "e30.e30.e30", "\x7f"])
async def test_what_is_no_signature_is_refused(post: Post, token: str) -> None:
    """The answer is 401."""
    assert (await post(event(), token)).status_code == 401


@pytest.mark.parametrize("digest", ["", "not base64", "YQ==", "ä"])
async def test_a_signature_of_no_body_is_refused(post: Post, digest: str) -> None:
    """The token is ours, but the body's digest is wrong."""
    token = api.AccessToken(KEY, SECRET).with_sha256(digest).to_jwt()

    assert (await post(event(), token)).status_code == 401


async def test_a_body_that_is_too_large_is_not_read_to_its_end(post: Post) -> None:
    """The answer is 413, and the signature is not checked."""
    assert (await post(b" " * (BODY_LIMIT + 1), "x")).status_code == 413


async def test_other_methods_are_refused(post: Post) -> None:
    """The answer is 405."""
    assert (await post.http.get("/livekit/webhook")).status_code == 405


async def test_the_memory_of_webhooks_is_bounded(post: Post) -> None:
    """The oldest entry is forgotten first; by then its webhook would be too old."""
    seen = Webhooks(KEY, SECRET, post.hinted.append, lambda _: None, clock=time.time)
    for number in range(REMEMBERED + 10):
        seen._remember(f"EV_{number}")

    assert len(seen._seen) == REMEMBERED
    assert "EV_9" not in seen._seen
    assert "EV_10" in seen._seen
