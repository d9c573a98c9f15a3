"""Serving of the single-page app."""

import gzip
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from serving.page import BUILT, app_page

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
INDEX = b"<!doctype html><title>the app</title>"
SCRIPT = b"console.log(1)"


def served(built: Path, *media_urls: str) -> TestClient:
    routes = app_page("http://127.0.0.1:8000", media_urls=media_urls, built=built)
    return TestClient(Starlette(routes=routes), base_url="http://127.0.0.1:8000")


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_bytes(INDEX)
    (tmp_path / "theme.js").write_bytes(b"theme")
    (tmp_path / "assets" / "index-abc.js").write_bytes(SCRIPT)
    (tmp_path / "assets" / "index-abc.js.gz").write_bytes(gzip.compress(SCRIPT))
    return tmp_path


@pytest.fixture
def page(built: Path) -> Iterator[TestClient]:
    with served(built) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/settings", "/c/ses_01k", "/no/such/page"])
def test_every_address_that_a_person_opens_is_the_apps_own(page: TestClient, path: str) -> None:
    """A deep link opens the app, which routes it."""
    answer = page.get(path, headers=PAGE)

    assert (answer.status_code, answer.content) == (200, INDEX)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", ["/assets/index-old.js", "/assets/../../settings.py", "/nothing"])
def test_a_program_that_asks_for_what_is_not_there_is_told_so(page: TestClient, path: str) -> None:
    """A missing script must not get the page instead, nor a file from outside the build."""
    assert page.get(path).status_code == 404


def test_a_file_that_is_not_there_is_not_the_page_either(page: TestClient) -> None:
    """A browser that opens the address of an old script gets a 404."""
    assert page.get("/assets/index-old.js", headers=PAGE).status_code == 404


def test_what_has_its_hash_in_its_name_is_kept_for_ever_and_the_page_never(
    page: TestClient,
) -> None:
    """A new build shows at once, and unchanged files are not fetched again."""
    script = page.get("/assets/index-abc.js")
    index = page.get("/", headers=PAGE)

    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert index.headers["cache-control"] == "no-cache"
    assert page.get("/theme.js").headers["cache-control"] == "no-cache"


def test_a_page_that_did_not_change_is_not_sent_again(page: TestClient) -> None:
    """The ETag depends on the content, so a server restart causes no downloads."""
    etag = page.get("/", headers=PAGE).headers["etag"]

    again = page.get("/", headers={**PAGE, "If-None-Match": etag})

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, br", "gzip"), ("br", None), ("gzip;q=0", None), ("", None)],
)
def test_what_was_packed_beforehand_is_sent_to_who_can_unpack_it(
    page: TestClient, accepted: str, encoding: str | None
) -> None:
    """The server picks an encoding that the browser accepts and the build contains."""
    answer = page.get("/assets/index-abc.js", headers={"Accept-Encoding": accepted})

    assert answer.headers.get("content-encoding") == encoding
    assert answer.content == SCRIPT
    assert answer.headers["vary"] == "Accept-Encoding"


def test_the_policy_lets_nothing_in_from_elsewhere(page: TestClient) -> None:
    """The policy allows no inline scripts or styles, no other origins and no framing."""
    headers = page.get("/", headers=PAGE).headers
    policy = headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "connect-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "microphone=(self)" in headers["permissions-policy"]


def test_the_policy_lets_the_page_reach_the_media_server(built: Path) -> None:
    """LiveKit's clients use both WebSocket and HTTP."""
    with served(built, "wss://media.example.org", "") as client:
        policy = client.get("/", headers=PAGE).headers["content-security-policy"]

    assert "connect-src 'self' wss://media.example.org https://media.example.org;" in policy


@pytest.mark.parametrize("url", ["http://127.0.0.1:7880", "ws://127.0.0.1:7880/"])
def test_the_policy_knows_both_forms_of_an_address(built: Path, url: str) -> None:
    """LiveKit's client asks `http://…/rtc/validate` why `ws://…/rtc` did not open."""
    with served(built, url) as client:
        policy = client.get("/", headers=PAGE).headers["content-security-policy"]

    assert "connect-src 'self' ws://127.0.0.1:7880 http://127.0.0.1:7880;" in policy


def test_the_policy_lets_livekit_cloud_choose_a_region(built: Path) -> None:
    """It redirects clients from the project's address to a region's host."""
    with served(built, "wss://talk-abc.livekit.cloud") as client:
        policy = client.get("/", headers=PAGE).headers["content-security-policy"]

    assert (
        "connect-src 'self' wss://talk-abc.livekit.cloud https://talk-abc.livekit.cloud "
        "wss://*.livekit.cloud https://*.livekit.cloud;" in policy
    )


@pytest.mark.parametrize("is_demo", [True, False])
def test_the_page_is_told_whether_the_demo_answers(is_demo: bool) -> None:
    """The page then names the setting that connects a model."""
    app = Starlette(routes=app_page("http://127.0.0.1:8000", is_demo=is_demo))

    html = TestClient(app).get("/").text

    assert ('<html lang="en" data-answers="demo">' in html) is is_demo
    assert '<base href="/" />' in html


def test_without_a_build_a_small_page_says_what_there_is(tmp_path: Path) -> None:
    """The API works without the app, and the page links to the playground."""
    with served(tmp_path) as client:
        answer = client.get("/")

    assert answer.status_code == 200
    assert 'href="/graphql"' in answer.text


def test_the_page_that_was_built_loads_only_what_is_there() -> None:
    """Each script, style and icon of the page is in the build; nothing is inline."""
    with served(BUILT) as client:
        html = client.get("/", headers=PAGE).text
        wanted = re.findall(r'(?:src|href)="((?:\./)?[a-z][^":]+)"', html)

        assert len([path for path in wanted if path.startswith("./assets/")]) >= 2
        assert {client.get(path.removeprefix(".")).status_code for path in wanted} == {200}
    assert "<style" not in html
    assert re.findall(r"<script(?![^>]*src=)", html) == []


def test_the_page_can_be_installed_wherever_it_lives() -> None:
    """The manifest's icons exist in the stated sizes; its addresses are relative."""
    with served(BUILT) as client:
        answer = client.get("/manifest.webmanifest")
        manifest = answer.json()
        addresses = [
            manifest["start_url"],
            manifest["scope"],
            *(i["src"] for i in manifest["icons"]),
        ]
        icons = {icon["src"]: client.get(f"/{icon['src']}") for icon in manifest["icons"]}
        touch = client.get("/apple-touch-icon.png")
        favicon = client.get("/favicon.ico")
        policy = answer.headers["content-security-policy"]

    assert answer.headers["content-type"] == "application/manifest+json"
    assert "manifest-src 'self'" in policy
    assert [address for address in addresses if address.startswith("/") or ":" in address] == []
    assert {icon.get("purpose") for icon in manifest["icons"]} == {None, "maskable"}
    for icon in manifest["icons"]:
        assert icons[icon["src"]].headers["content-type"] == icon["type"]
        if icon["type"] == "image/png":
            assert icon["sizes"] == size_of(icons[icon["src"]].content)
    assert size_of(touch.content) == "180x180"
    assert (favicon.headers["content-type"], size_of(favicon.content[22:])) == (
        "image/x-icon",
        "32x32",
    )


def size_of(png: bytes) -> str:
    """Return the width and height from a PNG's header."""
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    return f"{width}x{height}"
