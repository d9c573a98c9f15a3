"""What is published on the topic of a login or an API token."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccessRevoked:
    """A login or token is good no more: the streams that it opened end."""

    access_id: str

    @property
    def is_urgent(self) -> bool:
        """Whoever may not see what waits must not get it first."""
        return True
