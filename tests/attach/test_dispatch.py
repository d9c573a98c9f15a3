"""What an agent reads from its job's metadata."""

import json

import pytest

from agent_bridge.attaching.dispatch import Dispatch, read_dispatch

OURS = {"url": "http://127.0.0.1:8000", "session": "ses_a", "attempt": 2, "token": "secret"}


def test_our_member_is_read_beside_those_of_the_integrator() -> None:
    """Other members are ignored; the token is in no repr."""
    found = read_dispatch(json.dumps({"customer": 7, "voxql": {**OURS, "later": True}}))

    assert found == Dispatch("http://127.0.0.1:8000", "ses_a", 2, "secret")
    assert "secret" not in repr(found)


@pytest.mark.parametrize("metadata", ["", "null", "hello", "[]", "7", '{"customer": 7}'])
def test_a_job_of_somebody_else_has_nothing_for_us(metadata: str) -> None:
    """Metadata without our member yields None."""
    assert read_dispatch(metadata) is None


@pytest.mark.parametrize(
    "member", [None, "ses_a", {}, {**OURS, "attempt": "2"}, {**OURS, "token": None}]
)
def test_a_member_that_is_not_understood_is_said_to_be_so(member: object) -> None:
    """The error message contains nothing of the member."""
    with pytest.raises(ValueError, match="not one of VoxQL's") as caught:
        read_dispatch(json.dumps({"voxql": member}))

    assert "secret" not in str(caught.value)
