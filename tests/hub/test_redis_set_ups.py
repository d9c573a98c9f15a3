"""The hub finds its servers behind Sentinels and in clusters, wherever they move, and uses TLS."""

import asyncio
import subprocess
from contextlib import AsyncExitStack

import pytest

from hub.events import TranscriptEnded, transcripts_topic, user_topic
from hub.redis import RedisHub
from hub.redis.servers import CONNECTION
from tests.hub.running import flow_again, following, next_of, ready, running, until
from tests.programs.redis.server import RedisServer, tls
from tests.programs.redis.several import (
    ClusterRedis,
    HastySentinelRedis,
    SentinelRedis,
    ThreeSentinels,
)

ENDED = TranscriptEnded("ses_1", "SESSION_ENDED")
TOPIC = transcripts_topic("ses_1")


@pytest.mark.parametrize("way", ["kill", "freeze", "hand_over"])
async def test_another_master_carries_the_events(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both the events that are sent and those that are awaited go to it."""
    # The time for an answer stays above the second that `receive` waits: otherwise a silent
    # connection would be given up before it is asked.
    monkeypatch.setitem(CONNECTION, "health_check_interval", 0.5)
    monkeypatch.setattr("hub.redis.hub.AGAIN_S", (0.1, 0.3))
    with HastySentinelRedis() as own:
        async with running(own.url) as (here, there), AsyncExitStack() as stack:
            of_user = await following(there, user_topic("usr_1"), stack)
            reader = await following(there, TOPIC, stack)
            await ready(here, there)
            getattr(own, way)()

            # The other hub sends nothing, so its subscribed connection alone tells it.
            await until(lambda: there.condition == "delayed")
            await ready(here, there)
            await flow_again(here, reader, of_user)
            own.servers[1].kill()
            await until(lambda: {here.condition, there.condition} == {"delayed"})


@pytest.mark.soak
async def test_who_subscribes_while_a_shard_hangs_does_not_end_the_hub() -> None:
    """Its connection may be due for a check of its health just then."""
    with ClusterRedis() as own:
        async with running(own.url, 1) as [hub], AsyncExitStack() as stack:
            await ready(hub)
            own.freeze()
            number = 0
            while hub.condition == "ready":
                for _ in range(20):
                    number += 1
                    stack.enter_context(hub.subscribe(transcripts_topic(f"ses_{number}")))
                await asyncio.sleep(0.1)
            own.thaw()
            await ready(hub)


async def test_a_dead_sentinel_is_one_of_several() -> None:
    """Another one is asked."""
    with ThreeSentinels() as own:
        own.sentinels[0].freeze()
        own.sentinels[1].kill()
        async with running(own.url, 1) as [hub]:
            await ready(hub)


@pytest.mark.parametrize("kind", [RedisServer, SentinelRedis, ClusterRedis])
async def test_events_travel_encrypted(
    kind: type[RedisServer] | type[SentinelRedis] | type[ClusterRedis], certificate: dict[str, str]
) -> None:
    """All connections use TLS, those to Sentinels too.

    A certificate that no known authority has signed is refused.
    """
    with kind(**certificate) as server:
        async with running(server.url) as (here, there), AsyncExitStack() as stack:
            reader = await following(there, TOPIC, stack)
            here.emit(ENDED)
            assert await next_of(reader) == ENDED
        async with running(server.url.partition("?")[0], 1) as [stranger]:
            await until(lambda: stranger._troubles.get("listening") != "not connected yet")
            assert stranger.condition == "delayed"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings with a certificate for this machine's address."""
    folder = tmp_path_factory.mktemp("certificate")
    pem, key = folder / "redis.pem", folder / "redis.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=redis"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(pem)),
        ],
        check=True,
        capture_output=True,
    )
    return tls(pem, key)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis+sentinel://localhost:26379", "which service"),
        ("redis+sentinel://localhost:26379/", "which service"),
        ("redis+sentinel://,localhost/mymaster", "expected hosts"),
        ("redis+cluster://localhost:port", "expected hosts"),
        ("redis+cluster://localhost/1", "database 0"),
        ("http://localhost", "Redis URL"),
    ],
)
def test_a_url_that_names_no_redis_is_refused(url: str, why: str) -> None:
    """At the start, rather than by a hub that never connects."""
    with pytest.raises(ValueError, match=why):
        RedisHub(url)
