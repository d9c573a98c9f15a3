"""The metrics that `/metrics` shows, collected on each request (docs/operations.md)."""

import shutil
from collections.abc import Iterable, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from agent_bridge.media.backend import MediaServer
from agent_bridge.server.endpoint import BridgeEndpoint
from models.database import engine
from models.engine import writes
from resolvers.backend import Backend
from resolvers.metrics import BOUNDS, Latencies


class Measures(Collector):
    """Collects one app's metrics for Prometheus.

    Args:
        backend: The use cases' backend.
        media: The running part of the media backend.
        bridge: The endpoint of agents and workers.
    """

    def __init__(self, backend: Backend, media: MediaServer, bridge: BridgeEndpoint) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._backend = backend
        self._media = media
        self._bridge = bridge
        self.sessions: Mapping[str, int] = {}
        """Running sessions by status, read from the database before each collection."""
        self.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Yield the current metrics."""
        yield from self._conversations()
        yield from self._connections()
        yield from self._other_processes()
        yield from self._storage()

    def _conversations(self) -> Iterable[Metric]:
        metrics = self._backend.metrics
        yield _labelled(
            GaugeMetricFamily(
                "voxql_sessions",
                "Conversations that have not ended, in the database.",
                labels=["status"],
            ),
            self.sessions,
        )
        yield CounterMetricFamily(
            "voxql_utterances", "Utterances stored for the first time.", value=metrics.utterances
        )
        yield CounterMetricFamily(
            "voxql_interims", "Interims published before they were written.", value=metrics.interims
        )
        yield _labelled(
            CounterMetricFamily(
                "voxql_reaper_actions",
                "Deadlines that passed, by what was done.",
                labels=["action"],
            ),
            metrics.reaped,
        )
        yield _histogram(
            "voxql_commit_seconds", "From an agent's frame to stored and synced.", metrics.committed
        )
        yield _histogram(
            "voxql_delivery_seconds",
            "From an agent's frame to the event handed to a subscriber's transport.",
            metrics.delivered,
        )
        yield _histogram(
            "voxql_transaction_seconds",
            "One transaction, once it is its turn.",
            metrics.transactions,
        )

    def _connections(self) -> Iterable[Metric]:
        backend, metrics = self._backend, self._backend.metrics
        yield _labelled(
            GaugeMetricFamily(
                "voxql_subscribers", "Streams that are open, by subscription.", labels=["kind"]
            ),
            metrics.subscribers,
        )
        yield _labelled(
            CounterMetricFamily(
                "voxql_streams_ended",
                "Streams that the server has ended, by reason.",
                labels=["reason"],
            ),
            metrics.streams_ended,
        )
        yield GaugeMetricFamily(
            "voxql_agents_connected",
            "Sessions whose agent is connected.",
            value=backend.connections.agents(),
        )
        # Without a value if the number is unknown, as with LiveKit.
        yield GaugeMetricFamily(
            "voxql_agent_places_free",
            "Conversations that the default agent can still take.",
            value=backend.agents.free(backend.config.agent_name),
        )
        yield GaugeMetricFamily(
            "voxql_bridge_connections",
            "Connections of agents and workers.",
            value=self._bridge.connections,
        )
        traffic = self._media.traffic()
        yield GaugeMetricFamily(
            "voxql_audio_connections",
            "Connections of local media.",
            value=traffic.audio_connections,
        )
        yield CounterMetricFamily(
            "voxql_audio_dropped_seconds",
            "Sound of persons that no agent took in time.",
            value=traffic.audio_dropped_seconds,
        )
        calls = CounterMetricFamily(
            "voxql_livekit_calls",
            "Calls to LiveKit, and webhooks from it, by outcome.",
            labels=["call", "outcome"],
        )
        for labels, number in sorted(traffic.calls.items()):
            calls.add_metric(labels, number)
        yield calls

    def _other_processes(self) -> Iterable[Metric]:
        hub, metrics = self._backend.hub, self._backend.metrics
        yield GaugeMetricFamily(
            "voxql_hub_delayed",
            "1 while Redis can't be used, otherwise 0.",
            value=hub.condition == "delayed",
        )
        yield CounterMetricFamily(
            "voxql_events_sent", "Events sent to other processes.", value=hub.carried.sent
        )
        yield CounterMetricFamily(
            "voxql_events_received",
            "Events received from other processes.",
            value=hub.carried.received,
        )
        yield CounterMetricFamily(
            "voxql_events_lost",
            "Events that could not be sent to other processes.",
            value=hub.carried.lost,
        )
        yield CounterMetricFamily(
            "voxql_topics_caught_up",
            "Topics whose state in the database was newer than the events that had arrived.",
            value=metrics.caught_up,
        )

    def _storage(self) -> Iterable[Metric]:
        yield CounterMetricFamily(
            "voxql_not_stored",
            "Transactions that the database did not take.",
            value=writes.failures,
        )
        folder = engine().folder
        if folder is not None:
            yield GaugeMetricFamily(
                "voxql_disk_free_bytes",
                "Room where the database is kept.",
                value=shutil.disk_usage(folder).free,
            )


def _labelled(family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[str, int]) -> Metric:
    for label, value in sorted(values.items()):
        family.add_metric([label], value)
    return family


def _histogram(name: str, what: str, latencies: Latencies) -> Metric:
    bounds = [*map(str, BOUNDS), "+Inf"]
    buckets = list(zip(bounds, accumulate(latencies.counts), strict=True))
    return HistogramMetricFamily(name, what, buckets=buckets, sum_value=latencies.total)
