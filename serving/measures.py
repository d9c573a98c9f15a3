"""What `/metrics` shows, read from the parts when it is asked for."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from agent_bridge.audio import AudioRelay
from agent_bridge.endpoint import BridgeEndpoint
from resolvers.backend import Backend


def measure(
    registry: CollectorRegistry, backend: Backend, relay: AudioRelay, bridge: BridgeEndpoint
) -> None:
    """Let this registry show the parts of one app."""
    registry.register(_Parts(backend, relay, bridge))


class _Parts(Collector):
    def __init__(self, backend: Backend, relay: AudioRelay, bridge: BridgeEndpoint) -> None:
        self._backend = backend
        self._relay = relay
        self._bridge = bridge

    def collect(self) -> Iterable[Metric]:
        """Read every part now."""
        backend = self._backend
        yield GaugeMetricFamily(
            "voxql_agents_connected",
            "Sessions whose agent is connected.",
            value=len(backend.presence.agents),
        )
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
        yield GaugeMetricFamily(
            "voxql_audio_connections",
            "Connections of local media.",
            value=self._relay.connections,
        )
        yield GaugeMetricFamily(
            "voxql_audio_dropped_seconds",
            "Sound of persons that no agent took in time, since the start.",
            value=self._relay.dropped_seconds,
        )
