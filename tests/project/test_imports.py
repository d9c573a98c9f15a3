"""Each import contract catches a violation."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.programs.server_process import ROOT
from tests.project.test_rooms import ROOMS

# Forbidden imports by module; each breaks a different contract.
FORBIDDEN: Final = {
    "hub/local.py": "import models",
    "resolvers/transcripts/live.py": "import resolvers.sessions.manage",
    "resolvers/sessions/lifecycle.py": "import resolvers.backend",
    "schema/loaders.py": "import schema.transport.http",
    "agent_bridge/server/endpoint.py": "import agent.process",
    "agent/places.py": "import agent_bridge.server.tokens",
    "terminal/screens/screen.py": "import models",
    "models/ids.py": "import terminal.screens.screen",
    "resolvers/limits.py": "import settings",
    "resolvers/refusals.py": "import graphql",
    "schema/types/scalars.py": "import tortoise",
    "schema/types/node.py": "import livekit.api",
    "resolvers/pages.py": "import websockets",
    "models/titles.py": "import redis.asyncio",
    "agent_bridge/protocol/codes.py": "import structlog",
}


def test_each_contract_is_broken_by_what_it_forbids(tmp_path: Path) -> None:
    """Every contract is broken once, in a copy of the code."""
    for room in ROOMS:
        source = ROOT / room
        if source.is_dir():
            shutil.copytree(source, tmp_path / room, ignore=shutil.ignore_patterns("*.graphql"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, line in FORBIDDEN.items():
        module = tmp_path / name
        module.write_text(f"{module.read_text()}\n{line}\n")

    lint = Path(sys.executable).with_name("lint-imports")
    said = subprocess.run(
        [lint, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    ).stdout

    assert f"Contracts: 0 kept, {len(FORBIDDEN)} broken." in said, said
