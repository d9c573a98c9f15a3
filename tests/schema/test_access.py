"""Authentication of requests: cookies on our own pages, tokens from any origin."""

from datetime import UTC, datetime
from http.cookies import SimpleCookie

import pytest
from starlette.requests import HTTPConnection
from starlette.responses import Response

from models import tables
from resolvers.accounts.login import NewLogin
from resolvers.backend import Backend
from serving.access import Access
from tests.schema.clients import Http

VIEWER = "{ viewer { id isGuest email } }"
GUEST = "mutation { signInAsGuest { viewer { id } } }"
START = "mutation { startNewChat { session { id } } }"
ELSEWHERE = "https://elsewhere.example"


async def made_token(guest: Http) -> str:
    data = await guest.data(
        'mutation { createApiToken(input: {name: "t", scopes: [SESSIONS_READ]}) { secret } }'
    )
    secret: str = data["createApiToken"]["secret"]
    return secret


async def test_nobody_is_null_and_no_error(client: Http) -> None:
    """Anyone may query `viewer`."""
    assert await client.data(VIEWER) == {"viewer": None}


async def test_signing_in_sets_a_cookie_that_scripts_can_not_read(client: Http) -> None:
    """It is HttpOnly and Lax, for the whole site, for thirty days."""
    response = await client.post(GUEST)

    [cookie] = SimpleCookie(response.headers["set-cookie"]).values()
    assert cookie.key == "voxql_login"
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "lax", "/")
    assert cookie["secure"] == ""
    assert 29 * 86_400 < int(cookie["max-age"]) <= 30 * 86_400
    assert (await client.data(VIEWER))["viewer"]["isGuest"] is True


async def test_signing_out_clears_it(guest: Http) -> None:
    """The cookie is removed, and its old value is invalid."""
    kept = guest.cookie
    data = await guest.data("mutation { signOut { isSignedOut } }")

    assert data == {"signOut": {"isSignedOut": True}}
    assert guest.cookie is None
    assert await guest.data(VIEWER, Cookie=f"voxql_login={kept}") == {"viewer": None}


async def test_signing_up_keeps_who_one_was_and_changes_the_cookie(guest: Http) -> None:
    """A cookie planted before signing up is worthless afterwards."""
    before = guest.cookie
    [was] = (await guest.data(VIEWER)).values()

    await guest.data(
        'mutation { signUp(input: {email: "A@b.example", password: "long enough"}) '
        "{ viewer { id } } }"
    )

    [now] = (await guest.data(VIEWER)).values()
    assert (now["id"], now["isGuest"], now["email"]) == (was["id"], False, "a@b.example")
    assert guest.cookie != before


async def test_after_signing_in_the_rest_of_the_operation_is_the_new_viewers(
    guest: Http, client: Http
) -> None:
    """The payload's fields and the mutations that follow run as the new viewer."""
    account = '(input: {email: "ann@tea.example", password: "long enough"})'
    await guest.data(f"mutation {{ signUp{account} {{ viewer {{ id }} }} }}")
    await made_token(guest)

    data = await client.data(
        f"mutation {{ signIn{account} {{ viewer {{ id apiTokens {{ totalCount }} }} }} "
        "startNewChat { session { id } } signOut { isSignedOut } }"
    )

    assert data["signIn"]["viewer"]["apiTokens"] == {"totalCount": 1}
    session = await tables.Session.get()
    assert session.user_id == data["signIn"]["viewer"]["id"]
    assert data["signOut"] == {"isSignedOut": True}
    assert client.cookie is None


async def test_a_refused_sign_in_sets_no_cookie(client: Http) -> None:
    """It doesn't remove one either."""
    response = await client.post(
        'mutation { signIn(input: {email: "a@b.example", password: "long enough"}) '
        "{ viewer { id } } }"
    )

    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ELSEWHERE},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
    ids=str,
)
async def test_pages_of_other_origins_can_not_use_the_cookie(
    guest: Http, headers: dict[str, str]
) -> None:
    """They are anonymous: they can neither read nor change anything."""
    assert await guest.data(VIEWER, None, **headers) == {"viewer": None}
    assert await guest.code(START, None, **headers) == "UNAUTHENTICATED"
    assert await tables.Session.all().count() == 0


async def test_pages_of_other_origins_can_not_sign_anybody_in(client: Http) -> None:
    """Otherwise the page could sign a person in to an account of its choice."""
    response = await client.post(GUEST, Origin=ELSEWHERE)

    assert response.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert "set-cookie" not in response.headers
    assert await tables.User.all().count() == 0


async def test_our_own_pages_use_the_cookie(guest: Http) -> None:
    """If the public URL is local, any loopback name works."""
    own = str(guest.raw.base_url).rstrip("/")

    for headers in (
        {"Origin": own},
        {"Origin": own.replace("127.0.0.1", "localhost")},
        {"Origin": own.replace("127.0.0.1", "[::1]")},
        {"Sec_Fetch_Site": "same-origin"},
    ):
        assert (await guest.data(VIEWER, None, **headers))["viewer"] is not None
    assert await guest.data(START, Origin=own)


async def test_a_program_may_use_the_cookie(guest: Http) -> None:
    """A program sends no Origin; every browser does (docs/decisions/0014)."""
    assert not {"origin", "sec-fetch-site"} & set(guest.raw.headers)

    assert await guest.data(START)

    assert await tables.Session.all().count() == 1


async def test_a_token_works_from_anywhere(guest: Http, client: Http) -> None:
    """This includes pages of other origins."""
    secret = await made_token(guest)

    data = await client.data(VIEWER, Authorization=f"Bearer {secret}", Origin=ELSEWHERE)

    assert data == await guest.data(VIEWER)


async def test_a_token_wins_over_a_cookie(guest: Http, stranger: Http) -> None:
    """A program that sends both means the token."""
    secret = await made_token(guest)

    data = await stranger.data(VIEWER, authorization=f"bearer {secret}")

    assert data == await guest.data(VIEWER)


@pytest.mark.parametrize("authorization", ["Bearer vox_wrong", "Bearer", "vox_wrong", "Token x"])
async def test_a_bad_token_is_not_anonymous(guest: Http, authorization: str) -> None:
    """Any operation answers 401, even next to a valid cookie."""
    response = await guest.post("{ __typename }", Authorization=authorization)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_proxy_may_have_its_own_password(guest: Http) -> None:
    """Basic credentials are for the proxy: the server reads the cookie."""
    assert (await guest.data(VIEWER, Authorization="Basic eDp5"))["viewer"] is not None


def connection(**headers: str) -> HTTPConnection:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": raw})


def test_behind_https_the_cookie_is_bound_to_this_host(backend: Backend) -> None:
    """It is Secure and prefixed with `__Host-`; only the public origin counts."""
    access = Access(backend, "https://vox.example")
    response = Response()

    access.set_cookie(response, NewLogin(tables.User(), "secret", datetime.now(UTC)))

    assert response.headers["set-cookie"].startswith("__Host-voxql_login=secret; ")
    assert "; Secure" in response.headers["set-cookie"]
    assert not access.is_foreign(connection(origin="https://vox.example:443").headers)
    assert access.is_foreign(connection(origin="http://vox.example").headers)
    assert access.is_foreign(connection(origin="https://vox.example.evil.example").headers)
    assert access.is_foreign(connection(origin="https://[broken").headers)
