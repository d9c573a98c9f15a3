"""The server's side of one `voxql.worker.v1` connection."""

from secrets import compare_digest

import structlog

from agent_bridge.protocol import (
    CloseCode,
    Places,
    Refused,
    Started,
    WorkerHello,
    WorkerWelcome,
)
from agent_bridge.server.peer import Hangup, PeerSocket
from agent_bridge.server.workers import ConnectedWorker, Workers

log = structlog.get_logger(__name__)


async def attend_worker(peer: PeerSocket, workers: Workers, key: str, hello_seconds: float) -> None:
    """Run a worker's connection to its end.

    Raises:
        Hangup: The server ended the connection.
        PeerGone: The worker closed the connection, or it broke.
    """
    hello = await peer.first(hello_seconds)
    assert isinstance(hello, WorkerHello)
    if not compare_digest(hello.key.encode(), key.encode()):
        raise Hangup(CloseCode.UNAUTHENTICATED, "this is not the worker key")
    peer.send(WorkerWelcome())
    worker = ConnectedWorker(frozenset(hello.agent_names), hello.places, peer.send)
    workers.add(worker)
    log.info("worker connected", agent_names=sorted(worker.names), places=worker.reported)
    try:
        while True:
            match await peer.receive():
                case Places(free):
                    workers.places(worker, free)
                case Started(session, attempt):
                    workers.started(worker, (session, attempt))
                case Refused() as answer:
                    workers.refused(worker, answer)
    finally:
        workers.remove(worker)
        log.info("worker disconnected", agent_names=sorted(worker.names))
