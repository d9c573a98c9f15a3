"""VoxQL under a path, behind nginx and Caddy configured as in docs/deployment.md."""

import asyncio
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.programs.ports import free_port
from tests.programs.server_process import ROOT, ServerProcess

PATHS: Final = f"{os.environ['PATH']}:/usr/sbin:/sbin"
IDLE_S: Final = 30
"""Idle seconds after which nginx closes a socket; the server pings every 20 s."""
GUEST: Final = "mutation { signInAsGuest { viewer { id } } }"
TOKEN: Final = """mutation { createApiToken(input: {name: "t", scopes: [SESSIONS_READ]}) {
  secret } }"""
WITHIN_S: Final = 20.0


@dataclass
class Site:
    """A proxy and the VoxQL server behind it."""

    proxy: str
    url: str
    server: ServerProcess
    trust: ssl.SSLContext

    def client(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(verify=self.trust, timeout=WITHIN_S, **options)


def certificate(folder: Path) -> tuple[Path, Path]:
    pem, key = folder / "site.pem", folder / "site.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(key), "-out", str(pem)),
        ],
        check=True,
        capture_output=True,
    )
    return pem, key


def documented(language: str, changes: dict[str, str]) -> str:
    """Return the page's own configuration, with this machine's ports and files."""
    page = (ROOT / "docs" / "deployment.md").read_text()
    found = re.search(rf"```{language}\n(.*?)```", page, re.DOTALL)
    assert found is not None
    site = found[1]
    for old, new in changes.items():
        assert old in site
        site = site.replace(old, new)
    return site


def caddy(folder: Path, listen: int, port: int) -> list[str]:
    """Return the command that starts Caddy."""
    pem, key = certificate(folder)
    site = documented(
        "caddy",
        {
            "example.org {": f"https://localhost:{listen} {{\nbind 127.0.0.1\ntls {pem} {key}\n",
            "127.0.0.1:8000": f"127.0.0.1:{port}",
        },
    )
    path = folder / "Caddyfile"
    options = f"admin off\nauto_https disable_redirects\nstorage file_system {folder}/caddy\n"
    path.write_text(f"{{\n{options}}}\n{site}")
    program = shutil.which("caddy", path=PATHS) or "caddy"
    return [program, "run", "--config", str(path), "--adapter", "caddyfile"]


def nginx(folder: Path, listen: int, port: int) -> list[str]:
    """Return the command that starts nginx."""
    pem, key = certificate(folder)
    site = documented(
        "nginx",
        {
            "listen 443 ssl": f"listen 127.0.0.1:{listen} ssl",
            "server_name example.org": "server_name localhost",
            "/etc/ssl/example.org.pem": str(pem),
            "/etc/ssl/example.org.key": str(key),
            "127.0.0.1:8000": f"127.0.0.1:{port}",
            "proxy_read_timeout 60s": f"proxy_read_timeout {IDLE_S}s",
        },
    )
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path = folder / "nginx.conf"
    path.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off;\n{temporary}{site} }}\n"
    )
    program = shutil.which("nginx", path=PATHS) or "nginx"
    return [program, "-c", str(path), "-e", str(folder / "error.log")]


def until_open(port: int, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
    log = folder / "error.log"
    pytest.fail(log.read_text() if log.exists() else "The proxy did not start.")


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    proxy: str = request.param
    folder = tmp_path_factory.mktemp(proxy)
    listen, port = free_port(), free_port()
    url = f"https://localhost:{listen}/voice"
    server = ServerProcess(
        folder / "data",
        VOXQL_PORT=str(port),
        VOXQL_PUBLIC_URL=url,
        VOXQL_TRUSTED_PROXIES="127.0.0.1",
    )
    command = {"nginx": nginx, "caddy": caddy}[proxy](folder, listen, port)
    with (folder / "error.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        server.start()
        until_open(listen, process, folder)
        yield Site(proxy, url, server, ssl.create_default_context(cafile=str(folder / "site.pem")))
    finally:
        process.terminate()
        process.wait(WITHIN_S)
        server.kill()


async def test_the_page_finds_all_that_is_its_own_under_the_path(site: Site) -> None:
    """All linked files load, from the root and from deeper pages."""
    async with site.client() as client:
        for path in ("/", "/c/ses_x", "/settings"):
            page = await client.get(site.url + path, headers={"Accept": "text/html"})
            assert page.status_code == 200
            assert '<base href="/voice/"' in page.text
            named = re.findall(r'(?:src|href)="(?!/voice/")([^"]+)"', page.text)
            assert len(named) >= 4
            for one in named:
                found = await client.get(httpx.URL(f"{site.url}/").join(one))
                assert found.status_code == 200, one


async def test_the_playground_is_there_too(site: Site) -> None:
    """Its scripts and styles load."""
    async with site.client() as client:
        page = await client.get(f"{site.url}/graphql", headers={"Accept": "text/html"})
        assert "VoxQL playground" in page.text
        named = re.findall(r'(?:src|href)="(graphql/[^"]+)"', page.text)
        assert len(named) >= 5
        for one in named:
            found = await client.get(httpx.URL(f"{site.url}/graphql").join(one))
            assert found.status_code == 200, one


async def test_a_login_is_kept_to_the_path(site: Site) -> None:
    """Its cookie is Secure and not sent to other paths of the same host."""
    origin = site.url.removesuffix("/voice")
    async with site.client(headers={"Origin": origin}) as client:
        signed_in = await client.post(f"{site.url}/graphql", json={"query": GUEST})
        [cookie] = [c for c in signed_in.headers.get_list("set-cookie") if "login" in c]
        assert cookie.startswith("__Secure-voxql_login=")
        assert "Path=/voice" in cookie
        assert "Secure" in cookie


async def test_a_socket_is_kept_for_longer_than_the_proxy_waits(site: Site) -> None:
    """The server's pings keep an idle socket open."""
    async with site.client(headers={"Origin": site.url.removesuffix("/voice")}) as client:
        await client.post(f"{site.url}/graphql", json={"query": GUEST})
        made = (await client.post(f"{site.url}/graphql", json={"query": TOKEN})).json()
        secret = made["data"]["createApiToken"]["secret"]
    address = site.url.replace("https", "wss", 1) + "/graphql"
    async with connect(
        address,
        ssl=site.trust,
        subprotocols=[Subprotocol("graphql-transport-ws")],
        proxy=None,
        ping_interval=None,
    ) as line:
        payload = {"Authorization": f"Bearer {secret}"}
        await line.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert json.loads(await line.recv())["type"] == "connection_ack"
        if site.proxy == "nginx":  # Caddy has no such limit.
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(line.recv(), IDLE_S + 2)
        await line.send(json.dumps({"type": "ping"}))
        assert json.loads(await line.recv())["type"] == "pong"


async def test_limits_see_the_real_address(site: Site) -> None:
    """Only the trusted proxy's word counts, not the client's.

    nginx appends to the client's X-Forwarded-For header, and Caddy drops it.
    """
    async with site.client() as client:
        here = await client.get(f"{site.url}/metrics")
        far = await client.get(f"{site.url}/metrics", headers={"X-Forwarded-For": "203.0.113.9"})
    assert (here.status_code, far.status_code) == (200, {"nginx": 403, "caddy": 200}[site.proxy])


async def test_a_proxy_may_take_the_path_away(site: Site) -> None:
    """The server answers at its root as well."""
    port = site.server.environment["VOXQL_PORT"]
    async with httpx.AsyncClient(timeout=WITHIN_S) as client:
        for path in ("/healthz", "/voice/healthz"):
            assert (await client.get(f"http://127.0.0.1:{port}{path}")).status_code == 200
        # A path that only starts with the same letters is not under it.
        other = await client.get(f"http://127.0.0.1:{port}/voices", headers={"Accept": "*/*"})
        assert other.status_code == 404
