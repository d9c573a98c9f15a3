"""What VoxQL writes into the metadata of the jobs it asks LiveKit for."""

import json
from dataclasses import dataclass, field
from typing import Final

MEMBER: Final = "voxql"
"""Our member of the metadata; all others are the integrator's."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Which conversation a job is for, and how its agent reaches the server."""

    url: str
    """The server's address, http or https."""
    session: str
    attempt: int
    token: str = field(repr=False)


def read_dispatch(metadata: str) -> Dispatch | None:
    """Return what a job's metadata says of VoxQL; None when it was started by somebody else.

    Raises:
        ValueError: there is such a member, but not one that this version understands.
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
