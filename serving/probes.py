"""Health, readiness and metrics for machines, and the small page at `/`."""

import secrets
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from agent_bridge.media.backend import MediaBackend
from hub.direct import DIRECT
from models.database import engine, read_trouble, write_trouble
from models.repositories.running import running_by_status
from resolvers.backend import Backend
from serving.metrics import Measures

PATIENCE_S: Final = 2
"""Seconds within which the database must answer."""


def probes(
    backend: Backend,
    *,
    needs_agent: bool,
    media: MediaBackend,
    is_stopping: Callable[[], bool],
    measures: Measures,
    metrics_token: str = "",
) -> list[Route]:
    """Return the routes `/healthz`, `/readyz` and `/metrics`.

    Args:
        backend: The use cases' backend.
        needs_agent: Whether conversations need a worker.
        media: The media backend, which knows whether agents can be requested.
        is_stopping: Returns whether the server is stopping.
        measures: What `/metrics` shows.
        metrics_token: The token that `/metrics` requires; if empty, it answers this machine only.
    """

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(request: Request) -> Response:
        database = await _database()
        condition = await media.condition()
        has_agent = condition.is_ready
        agent = "ready" if has_agent else ("starting" if needs_agent else "none")
        is_ready = database == "ready" and (has_agent or not needs_agent) and not is_stopping()
        body = {
            "status": "stopping" if is_stopping() else "ready" if is_ready else "not ready",
            "database": database,
            "hub": backend.hub.condition,
            "hubKind": backend.hub.kind,
            "processes": len(backend.members.others) + 1,
            "rateLimits": backend.limiter.kind,
            "sockets": "direct" if DIRECT in request.scope.get("extensions", {}) else "asgi",
            "agent": agent,
            **condition.parts,
            "freePlaces": backend.agents.free(backend.config.agent_name),
        }
        return JSONResponse(body, status_code=200 if is_ready else 503)

    async def exposition(request: Request) -> Response:
        if (refusal := _refusal(request, metrics_token)) is not None:
            return refusal
        measures.sessions = await running_by_status()
        return Response(generate_latest(measures.registry), media_type=CONTENT_TYPE_LATEST)

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", exposition),
    ]


def _refusal(request: Request, token: str) -> Response | None:
    """Return a refusal if this client may not see the metrics."""
    if token:
        given = request.headers.get("authorization", "").encode()
        if secrets.compare_digest(given, f"Bearer {token}".encode()):
            return None
        challenge = {"WWW-Authenticate": "Bearer"}
        return PlainTextResponse("/metrics wants its token.\n", 401, headers=challenge)
    if request.client is not None and is_loopback(request.client.host):
        return None
    sentence = "/metrics answers this machine only, unless VOXQL_METRICS_TOKEN is set.\n"
    return PlainTextResponse(sentence, 403)


def is_loopback(address: str) -> bool:
    """Return whether this is a loopback address."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


async def _database() -> str:
    if trouble := await read_trouble(PATIENCE_S):
        return trouble
    # On a disk that counts as full, one more write may still succeed.
    if engine().is_full():
        return "full"
    return await write_trouble(PATIENCE_S) or "ready"


PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>VoxQL</title>
<style>
  :root {{ color-scheme: light dark; font: 1rem/1.6 system-ui, sans-serif }}
  body {{ max-width: 34rem; margin: 20vh auto 0; padding: 0 1.5rem }}
  h1 {{ font-weight: 600; letter-spacing: -.02em; margin-bottom: .25rem }}
  code {{ font-size: .95em }}
</style>
<h1>VoxQL</h1>
<p>This server keeps conversations with voice agents, word by word.</p>
<ul>
  <li><a href="{base}/graphql">Playground</a>: try the API, subscriptions included</li>
  <li><a href="{base}/readyz">Ready?</a> What this server can do right now</li>
  <li><code>voxql talk --url {url}</code>: talk from a terminal</li>
</ul>
"""


def home(public_url: str) -> Route:
    """Return the route of the page at `/`, which links to the endpoints."""
    page = PAGE.format(url=public_url, base=urlsplit(public_url).path)
    headers = {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        "X-Content-Type-Options": "nosniff",
    }

    async def show(_: Request) -> Response:
        return HTMLResponse(page, headers=headers)

    return Route("/", show)
