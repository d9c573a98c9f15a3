"""The server answers only to its own host names, except for probes."""

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from serving.hosts import host_name, our_names
from tests.conftest import StartServer


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("talk.example.org", "talk.example.org"),
        ("Talk.Example.org:8000", "talk.example.org"),
        ("talk.example.org.", "talk.example.org"),
        ("[::1]:8000", "::1"),
        ("127.0.0.1:8000", "127.0.0.1"),
        ("", ""),
        ("[", ""),
    ],
)
def test_a_host_header_names_a_host(header: str, name: str) -> None:
    """Port, case, the final dot and the brackets of IPv6 do not matter."""
    assert host_name(header) == name


def test_our_names_are_the_public_one_and_those_of_this_machine() -> None:
    """The address 0.0.0.0 is listed like any other; no client sends it."""
    assert our_names("https://talk.example.org", "0.0.0.0") == {
        "localhost",
        "127.0.0.1",
        "::1",
        "0.0.0.0",
        "talk.example.org",
    }


async def test_a_foreign_name_is_refused_and_says_what_to_do(start_server: StartServer) -> None:
    """Pages, GraphQL and its WebSocket check the host; probes and the bridge don't."""
    server = start_server(VOXQL_PUBLIC_URL="https://talk.example.org")
    port = server.wait_for("  port ").split(", port ")[1].split()[0]
    foreign = {"Host": "rebound.example.net"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        assert (await client.get("/healthz", headers=foreign)).status_code == 200
        assert (await client.get("/", headers={"Host": "talk.example.org"})).status_code == 200
        refused = await client.post("/graphql", json={"query": "{viewer{id}}"}, headers=foreign)
        assert refused.status_code == 421
        assert "VOXQL_PUBLIC_URL" in refused.text

    with pytest.raises(InvalidStatus) as caught:
        await connect(f"ws://rebound.example.net:{port}/graphql", host="127.0.0.1", port=int(port))
    assert caught.value.response.status_code == 421
