"""What the server reveals to whom, and whose headers it trusts."""

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from serving.process.server import configured
from settings import SettingsError, load
from tests.conftest import StartServer

TOKEN = "a token for figures"
GUEST = {"query": "mutation { signInAsGuest { viewer { id } } }"}
GUESTS_OF_ONE_ADDRESS = 120
"""In ten minutes; see resolvers/accounts/rate_limits.py."""


def sign_in(client: httpx.Client, address: str) -> str | None:
    """Sign in as a guest through a proxy; return the error's code, if any."""
    answer = client.post("/graphql", json=GUEST, headers={"X-Forwarded-For": address}).json()
    client.cookies.clear()
    return str(answer["errors"][0]["extensions"]["code"]) if "errors" in answer else None


def test_nobodys_word_on_an_address_is_taken_by_default(start_server: StartServer) -> None:
    """Changing X-Forwarded-For doesn't evade the limit, even from this machine."""
    server = start_server()
    with httpx.Client(base_url=server.url) as client:
        codes = [sign_in(client, f"203.0.113.{n % 250}") for n in range(GUESTS_OF_ONE_ADDRESS + 1)]

    assert codes[:-1] == [None] * GUESTS_OF_ONE_ADDRESS
    assert codes[-1] == "RATE_LIMITED"


def test_a_proxy_that_is_trusted_tells_people_apart(start_server: StartServer) -> None:
    """One address has used up its limit; another address is still admitted."""
    server = start_server(VOXQL_TRUSTED_PROXIES="127.0.0.1, 10.0.0.0/8")
    with httpx.Client(base_url=server.url) as client:
        for number in range(GUESTS_OF_ONE_ADDRESS):
            assert sign_in(client, "203.0.113.1") is None, number
        assert sign_in(client, "203.0.113.1") == "RATE_LIMITED"

        assert sign_in(client, "203.0.113.2") is None
        # The client's own entry comes before the one that its proxy adds.
        assert sign_in(client, "203.0.113.9, 203.0.113.1") == "RATE_LIMITED"


def test_uvicorn_trusts_nobody_by_itself() -> None:
    """By default, uvicorn trusts this machine."""
    assert uvicorn.Config("app", log_config=None).proxy_headers is True
    assert configured(Starlette()).proxy_headers is False


@pytest.mark.parametrize("value", ["proxy.example.org", "10.0.0.1/8", "*", "127.0.0.1,,x"])
def test_what_is_no_address_of_a_proxy_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """Host names can't be compared with addresses."""
    monkeypatch.setenv("VOXQL_TRUSTED_PROXIES", value)

    with pytest.raises(SettingsError, match="VOXQL_TRUSTED_PROXIES: expected addresses"):
        load()


def test_a_refused_name_is_told_with_those_that_are_right(start_server: StartServer) -> None:
    """The refusal lists the allowed names and how to add one."""
    server = start_server(VOXQL_ALLOWED_HOSTS="talk.example.org, Other.Example.org")
    with httpx.Client(base_url=server.url) as client:
        for name in ("talk.example.org", "other.example.org:8000"):
            assert client.get("/", headers={"Host": name}).status_code == 200
        refused = client.get("/", headers={"Host": "stranger.example.net"})

    assert refused.status_code == 421
    for told in ("'stranger.example.net'", "other.example.org", "VOXQL_ALLOWED_HOSTS"):
        assert told in refused.text


@pytest.mark.parametrize("path", ["/", "/graphql", "/healthz", "/metrics", "/nothing/here"])
def test_every_answer_says_what_it_is(start_server: StartServer, path: str) -> None:
    """Browsers don't guess content types; with an https URL they never use plain HTTP again."""
    plain = start_server()
    secure = start_server(VOXQL_PUBLIC_URL="https://talk.example.org")
    port = secure.wait_for("  port ").split(", port ")[1].split()[0]

    with httpx.Client() as client:
        here = client.get(f"{plain.url}{path}")
        there = client.get(f"http://127.0.0.1:{port}{path}", headers={"Host": "talk.example.org"})

    assert here.headers["x-content-type-options"] == "nosniff"
    assert "strict-transport-security" not in here.headers
    assert there.headers["strict-transport-security"] == "max-age=31536000"


def test_figures_are_for_this_machine_or_for_who_has_the_token(start_server: StartServer) -> None:
    """With a trusted proxy, the client's address counts."""
    server = start_server(VOXQL_TRUSTED_PROXIES="127.0.0.1")
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/metrics").status_code == 200
        far = client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.1"})
    assert far.status_code == 403
    assert "VOXQL_METRICS_TOKEN" in far.text

    server = start_server(VOXQL_METRICS_TOKEN=TOKEN)
    with httpx.Client(base_url=server.url) as client:
        for given in ({}, {"Authorization": "Bearer another"}, {"Authorization": TOKEN}):
            refused = client.get("/metrics", headers=given)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        told = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert "voxql_" in told.text


def test_schema_and_playground_can_be_kept_to_oneself(start_server: StartServer) -> None:
    """Everything else answers as before."""
    server = start_server(VOXQL_INTROSPECTION="false", VOXQL_PLAYGROUND="false")
    with httpx.Client(base_url=server.url) as client:
        asked = client.post("/graphql", json={"query": "{ __schema { types { name } } }"}).json()
        assert "introspection" in asked["errors"][0]["message"]
        whole = client.post("/graphql", json={"query": "{ viewer { id __typename } }"}).json()
        assert whole == {"data": {"viewer": None}}
        page = client.get("/graphql", headers={"Accept": "text/html"})
        assert "graphiql" not in page.text.lower()
        assert client.get("/graphql/playground/main.js").status_code == 404

    server = start_server()
    with httpx.Client(base_url=server.url) as client:
        asked = client.post("/graphql", json={"query": "{ __schema { types { name } } }"}).json()
        assert asked["data"]["__schema"]["types"]
