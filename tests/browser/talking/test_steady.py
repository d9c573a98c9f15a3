"""Growing lines cause no other layout shift."""

from pathlib import Path

import pytest

from tests.browser.speed import measure
from tests.programs.server_process import ServerProcess

pytestmark = [pytest.mark.timeout(180), pytest.mark.soak]

KEY = "the key of a measurement"
EVENTS = 60
"""At ten a second: two sentences that grow for three seconds each."""
BARELY = 0.01
"""Layout shift; below 0.1 counts as good. Lines that scroll up cause a little."""


async def test_ten_interims_a_second_move_nothing(tmp_path: Path) -> None:
    """Interims only grow lines downwards and scroll older ones up."""
    server = ServerProcess(
        tmp_path / "server", VOXQL_AGENT="external", VOXQL_WORKER_KEY=KEY
    ).start()
    try:
        shown, shifts = await measure(server.url, KEY, EVENTS, tmp_path, lines=60)
    finally:
        server.stop()

    assert shown, "interims were painted"
    assert shifts < BARELY
