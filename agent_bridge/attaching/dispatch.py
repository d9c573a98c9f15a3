"""Reads what VoxQL writes into the metadata of the jobs that it asks LiveKit for."""

import json
from dataclasses import dataclass, field
from typing import Final

MEMBER: Final = "voxql"
"""VoxQL's member of the metadata; all others belong to the integrator."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """The conversation that a job is for, and how its agent reaches the server."""

    url: str
    """The server's address, http or https."""
    session: str
    attempt: int
    token: str = field(repr=False)


def read_dispatch(metadata: str) -> Dispatch | None:
    """Return VoxQL's part of a job's metadata; None if somebody else started the job.

    Raises:
        ValueError: The member exists, but this version does not understand it.
    """
    try:
        members = json.loads(metadata or "null")
    except ValueError:
        return None
    if not isinstance(members, dict) or MEMBER not in members:
        return None
    match members[MEMBER]:
        case {
            "url": str(url),
            "session": str(session),
            "attempt": int(attempt),
            "token": str(token),
        }:
            return Dispatch(url, session, attempt, token)
    raise ValueError(f"the member {MEMBER} of the job's metadata is not one of VoxQL's")
