"""Authentication of WebSockets: cookies on our own pages, tokens in connection_init."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from resolvers.accounts import authentication
from tests.schema.clients import Http, Socket

UPDATES = "subscription { sessionUpdates { end { reason } } }"


async def token(guest: Http, *scopes: str) -> str:
    data = await guest.data(
        "mutation($scopes: [TokenScope!]!) { createApiToken(input: "
        '{name: "t", scopes: $scopes}) { secret } }',
        {"scopes": list(scopes)},
    )
    secret: str = data["createApiToken"]["secret"]
    return secret


async def whoami(ws: Socket) -> dict[str, Any]:
    await ws.subscribe("{ viewer { id } }", id="who")
    data = await ws.next("who")
    await ws.receive()
    return data


async def test_a_token_in_connection_init_works_from_any_origin(url: str, guest: Http) -> None:
    """A cross-origin page needs no cookie."""
    secret = await token(guest, "SESSIONS_READ")
    async with Socket(url, origin="https://elsewhere.example") as ws:
        await ws.init({"authorization": f"Bearer {secret}"})
        assert (await whoami(ws))["viewer"] is not None


async def test_a_cookie_from_another_origin_is_ignored(url: str, guest: Http) -> None:
    """The page may connect, but only anonymously."""
    async with Socket(url, cookie=guest.cookie, origin="https://elsewhere.example") as ws:
        await ws.init()
        assert await whoami(ws) == {"viewer": None}
    async with Socket(url, cookie=guest.cookie, origin=url) as ws:
        await ws.init()
        assert (await whoami(ws))["viewer"] is not None


@pytest.mark.parametrize("authorization", ["Bearer vox_wrong", "Bearer", "vox_x", "", 1, {}])
async def test_a_bad_token_is_not_anonymous(url: str, authorization: object) -> None:
    """The close code is 4403."""
    async with Socket(url) as ws:
        await ws.send({"type": "connection_init", "payload": {"Authorization": authorization}})
        assert await ws.closed() == (4403, "Forbidden")


async def test_a_login_that_has_ended_counts_no_more_on_an_open_connection(
    ws: Socket, guest: Http
) -> None:
    """Each operation authenticates again; a running stream ends with its reason."""
    await ws.subscribe(UPDATES)
    await ws.next()

    await guest.data("mutation { signOut { isSignedOut } }")

    assert (await ws.next())["sessionUpdates"]["end"] == {"reason": "ACCESS_REVOKED"}
    assert await ws.receive() == {"id": "1", "type": "complete"}
    assert await whoami(ws) == {"viewer": None}


async def test_a_token_that_is_revoked_is_unauthenticated_on_an_open_connection(
    url: str, guest: Http
) -> None:
    """The viewer is not anonymous: operations are refused."""
    secret = await token(guest, "SESSIONS_READ")
    async with Socket(url) as ws:
        await ws.init({"Authorization": f"Bearer {secret}"})
        tokens = await guest.data("{ viewer { apiTokens { nodes { id } } } }")
        [made] = tokens["viewer"]["apiTokens"]["nodes"]
        await guest.data(
            "mutation($id: ID!) { revokeApiToken(input: {id: $id}) { revokedApiTokenId } }", made
        )
        await ws.subscribe("{ viewer { id } }")
        assert (await ws.error())["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_fault_while_connecting_closes_the_connection(
    url: str, guest: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The close code is 4500, after which clients retry, and the fault is logged."""

    async def broken(*_: object) -> Any:
        raise OSError("disk")

    monkeypatch.setattr(authentication, "viewer_of_login", broken)
    with capture_logs() as logs:
        async with Socket(url, cookie=guest.cookie) as ws:
            await ws.send({"type": "connection_init"})
            assert await ws.closed() == (4500, "Internal server error")
    assert [entry["event"] for entry in logs] == ["fault"]
