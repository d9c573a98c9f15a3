"""A server with one conversation that already has an utterance."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent_bridge.client.worker import StartJob
from agent_bridge.server.tokens import Tokens
from tests.faults.servers.stage import Agent, Stage, stage
from tests.storage.disk import contents

PRESENCE = ("agent_at", "agent_retry_by", "agent_back_by", "person_back_by")
"""A session's presence columns, which connecting and leaving may change."""


@dataclass
class Scene:
    """The server under attack and its stored state."""

    on: Stage
    job: StartJob
    agent: Agent
    tokens: Tokens

    def stored(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return everything stored, except presence columns."""
        return contents(self.on.server.database, without={"sessions": PRESENCE})


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with stage(tmp_path) as on:
        job = await on.begin()
        agent = await on.agent(job)
        agent.say("said before")
        await agent.settled()
        secret = (on.server.data_dir / "secret.key").read_text().strip()
        yield Scene(on, job, agent, Tokens(secret))
