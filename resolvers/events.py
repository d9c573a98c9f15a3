"""What ends the streams of somebody who may see no more."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccessRevoked:
    """A login or token was revoked or has expired: the streams that it opened end."""

    access_id: str

    @property
    def is_urgent(self) -> bool:
        """Whoever may not see what waits must not get it first."""
        return True


@dataclass(frozen=True, slots=True)
class OwnershipLost:
    """A session has become another user's: the streams end that its former owner watches it by."""

    session_id: str

    @property
    def is_urgent(self) -> bool:
        """What waits may already be the new owner's."""
        return True
