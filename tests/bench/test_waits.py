"""No large request delays others: `bench.waits`, with its limits."""

from typing import Any

import pytest

from bench import waits

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

ONE_GO_MS = 20.0
"""Processor time of the loop's thread between two callbacks."""
TEXT_MS = 100.0
"""The limit for a request that is one text, which only a search takes: it isn't cut."""

REFUSED = ("10,000, the last", "refused", "socket: 1 MiB, lists")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    measured = list(waits.waits(waits.CASES, tmp_path_factory.mktemp("waits")))
    for each in measured:
        print(each)
    return {str(each["case"]): each for each in measured}


@pytest.mark.parametrize("case", [case.name for case in waits.CASES])
def test_the_loop_never_works_long_in_one_go(found: dict[str, Any], case: str) -> None:
    """It holds for saves, repeated saves with other texts, and refusals."""
    limit = TEXT_MS if case.startswith("one text") else ONE_GO_MS
    assert found[case]["turn_ms"] < limit, found[case]
    is_refused = "errors" in found[case]["answer"] or "4400" in found[case]["answer"]
    assert is_refused == case.startswith(REFUSED), found[case]
