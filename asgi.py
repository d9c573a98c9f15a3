"""Builds the app; no other module connects all of the packages."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import WebSocketRoute
from starlette.types import Lifespan

from agent_bridge.media.backend import MediaBackend, MediaServer
from agent_bridge.media.local import LocalMedia
from agent_bridge.server.endpoint import bridge_endpoint
from agent_bridge.server.tokens import Tokens
from agent_bridge.server.workers import Workers
from hub.events import ServerStopping, SessionOver
from hub.local import LocalHub
from models import database
from resolvers.accounts.rate_limits import Budgets, RateLimits, SharedCounts
from resolvers.backend import Backend
from resolvers.clock import now
from resolvers.config import Config
from resolvers.members import Members
from schema.app import graphql_app
from serving.access import Access
from serving.base_path import BasePath
from serving.headers import SecurityHeaders
from serving.hosts import TrustedHosts, our_names
from serving.metrics import Measures
from serving.page import app_page
from serving.probes import probes
from settings import Settings

log = structlog.get_logger(__name__)


def build_app(settings: Settings, *, number: int | None = None) -> Starlette:
    """Build the app; its lifespan opens the database.

    `number` is that of this process among several, of which it holds the lock
    (`Engine.one_of_several`).

    Await two hooks while connections are still open. `app.state.on_stop` makes `/readyz` report
    that the server is stopping. `app.state.on_shutdown` ends every stream with a reason and
    disconnects agents and people, so that they reconnect to the next process.
    """
    assert number is not None or not settings.redis_url, "the others would take it for dead"
    hub = _new_hub(settings)
    workers = Workers(hub)
    tokens = Tokens(settings.signing_secret())
    media = _new_media(settings, workers, tokens)
    backend = Backend(
        config=_config(settings),
        hub=hub,
        agents=media,
        media=media,
        tokens=tokens,
        limiter=RateLimits(now, shared=_new_counts(settings)),
        members=Members(database.processes if hub.is_shared else None, number=number),
        budgets=Budgets(now, settings.points_per_minute) if settings.points_per_minute else None,
    )
    bridge = bridge_endpoint(backend.agent_events, tokens, hub, workers, settings.worker_secret())
    media_server = media.serve(backend.media_events)
    hub.on(SessionOver, lambda over: media_server.end(over.session_id, over.room_name))
    base_path = urlsplit(settings.public_url).path
    stopping = asyncio.Event()

    async def on_stop() -> None:
        stopping.set()

    async def on_shutdown() -> None:
        stopping.set()
        hub.emit(ServerStopping())
        await bridge.drain()
        media_server.shut_down()
        await backend.writer.drain()

    app = Starlette(
        routes=[
            *graphql_app(
                backend,
                Access(backend, settings.public_url),
                may_introspect=settings.introspection,
                has_playground=settings.playground,
            ),
            WebSocketRoute("/bridge", bridge),
            *media_server.routes(),
            *probes(
                backend,
                needs_agent=settings.agent != "none",
                media=media,
                is_stopping=stopping.is_set,
                measures=Measures(backend, media_server, bridge),
                metrics_token=settings.metrics_token.get_secret_value()
                if settings.metrics_token
                else "",
            ),
            # Last, because the page takes every remaining path.
            *app_page(
                settings.public_url,
                media_urls=[settings.livekit_url],
                is_demo=settings.agent == "local" and not settings.llm_base_url,
            ),
        ],
        middleware=[
            *([Middleware(BasePath, path=base_path)] if base_path else []),
            Middleware(SecurityHeaders, is_https=settings.public_url.startswith("https:")),
            Middleware(
                TrustedHosts,
                names=our_names(settings.public_url, settings.host, settings.other_hosts),
            ),
        ],
        lifespan=_lifespan(settings, backend, media_server),
    )
    app.state.backend = backend
    app.state.on_stop = on_stop
    app.state.on_shutdown = on_shutdown
    return app


def _new_hub(settings: Settings) -> LocalHub:
    if not settings.redis_url:
        return LocalHub()
    # Imported here, so that a start without Redis does not pay for it.
    from hub.redis import RedisHub

    return RedisHub(settings.redis_url)


def _new_counts(settings: Settings) -> SharedCounts | None:
    if not settings.redis_url:
        return None
    # Imported here, so that a start without Redis does not pay for it.
    from hub.counts import RedisCounts

    return RedisCounts(settings.redis_url, settings.signing_secret())


def _new_media(settings: Settings, workers: Workers, tokens: Tokens) -> MediaBackend:
    if settings.agent != "livekit":
        return LocalMedia(workers, tokens, settings.public_url, is_sole=not settings.redis_url)
    # Imported here, so that a start without LiveKit does not pay for it.
    from agent_bridge.livekit.backend import LiveKitMedia
    from agent_bridge.livekit.rooms import EVERY_S

    assert settings.livekit_api_secret is not None, "the settings check this"
    return LiveKitMedia(
        settings.livekit_url,
        settings.livekit_api_key,
        settings.livekit_api_secret.get_secret_value(),
        settings.public_url,
        # Poll participants well within the time after which they count as gone.
        every_s=min(EVERY_S, settings.abandon_s / 4),
    )


def _config(settings: Settings) -> Config:
    return Config(
        agent_name=settings.agent_name,
        public_url=settings.public_url,
        start_timeout=timedelta(seconds=settings.start_timeout_s),
        grace=timedelta(seconds=settings.grace_s),
        abandon_after=timedelta(seconds=settings.abandon_s),
        retry_within=timedelta(seconds=settings.retry_s),
    )


def _lifespan(settings: Settings, backend: Backend, media: MediaServer) -> Lifespan[Starlette]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with database.opened(settings.database_url):
            recovered = await backend.reaper.recover()
            if recovered:
                log.info("sessions_taken_over", sessions=recovered)
            async with _running(
                backend.writer.run, backend.reaper.run, media.run, *_shared(backend)
            ):
                # Whatever is loaded now lives as long as the process, so the collector need not
                # walk it again. Full collections must not come in the middle of a sentence.
                gc.collect()
                gc.freeze()
                # Collect the middle generation often: a pass over 200,000 objects takes 15 to
                # 25 ms.
                gc.set_threshold(10_000, 2, 700)
                yield
            await backend.writer.drain()

    return lifespan


def _shared(backend: Backend) -> list[Callable[[], Awaitable[None]]]:
    """Return what else runs in one of several processes."""
    loops: list[Callable[[], Awaitable[None]]] = []
    if backend.lost_events is not None:
        loops += [backend.lost_events.hub.run, backend.lost_events.run]
    if backend.limiter.shared is not None:
        loops.append(backend.limiter.shared.run)
    return loops


def _note_end(task: asyncio.Future[None]) -> None:
    """Log a fault that has ended a part of the server, which goes on without it."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("part_has_ended", exc_info=error)


@asynccontextmanager
async def _running(*loops: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(loop()) for loop in loops]
    for task in tasks:
        task.add_done_callback(_note_end)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        # Wait for all of them to end: one may have connections to close.
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
