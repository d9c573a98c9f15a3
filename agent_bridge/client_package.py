"""Bring your own voice agent to VoxQL: a worker, and its side of each conversation."""

# In the wheel `voxql-bridge` this file is `voxql_bridge/__init__.py` (clients/python).

from .client import BridgeClient, new_segment
from .client_inbox import Command, InputCommand, StopCommand
from .client_link import Backoff, BridgeClosed, socket_url
from .protocol import CloseCode, Role, Source, State, Unacceptable, Utterance
from .worker_client import StartJob, Worker

__all__ = [
    "Backoff",
    "BridgeClient",
    "BridgeClosed",
    "CloseCode",
    "Command",
    "InputCommand",
    "Role",
    "Source",
    "StartJob",
    "State",
    "StopCommand",
    "Unacceptable",
    "Utterance",
    "Worker",
    "new_segment",
    "socket_url",
]
