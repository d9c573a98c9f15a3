"""Nothing moves on the page but what grows."""

from pathlib import Path

import pytest

from tests.browser.speed import measure
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.timeout(180), pytest.mark.soak]

KEY = "the key of a measurement"
EVENTS = 60
"""Of ten a second: two sentences that grow for three seconds each."""
BARELY = 0.01
"""Of layout shift, of which 0.1 is what counts as good; the lines that go up make some."""


async def test_ten_interims_a_second_move_nothing(tmp_path: Path) -> None:
    """Lines grow downwards and the older ones go up as they are scrolled: no other shift."""
    server = ServerProcess(
        tmp_path / "server", VOXQL_AGENT="external", VOXQL_WORKER_KEY=KEY
    ).start()
    try:
        shown, shifts = await measure(server.url, KEY, EVENTS, tmp_path, lines=60)
    finally:
        server.stop()

    assert shown, "interims were painted"
    assert shifts < BARELY
