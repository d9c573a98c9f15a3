"""A backup made under load, and restoring it as docs/operations.md describes."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from tests.faults.servers.stage import Agent, Stage, stage
from tests.programs.server_process import ROOT
from tests.storage.disk import rows

SPOKEN = "SELECT key, text FROM utterances"
COUNTS = """
SELECT s.id FROM sessions s LEFT JOIN utterances u ON u.session_id = s.id GROUP BY s.id
HAVING s.utterance_count <> count(u.id) OR s.last_seq < ifnull(max(u.seq), 0)
"""


async def voxql(data_dir: Path, *arguments: str, told: str = "") -> str:
    """Run a command beside the server, as an operator does."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, str(ROOT / "cli.py"), *arguments],
        env={"VOXQL_DATA_DIR": str(data_dir)},
        input=told,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def talk(agents: list[Agent], over: asyncio.Event) -> None:
    """Say finals in several conversations at once, as fast as they are acknowledged."""
    number = 0
    while not over.is_set():
        for agent in agents:
            number += 1
            agent.say(f"sentence {number}")
        for agent in agents:
            await agent.settled()


def restore(folder: Path, backup: Path) -> None:
    """Run the commands that docs/operations.md gives for restoring."""
    page = (ROOT / "docs" / "operations.md").read_text()
    found = re.search(r"^## Going back to a backup\n.*?^```sh\n(.*?)^```", page, re.S | re.M)
    assert found, "docs/operations.md does not say how"
    environment = {"VOXQL_DATA_DIR": str(folder), "BACKUP": str(backup), "PATH": "/usr/bin:/bin"}
    subprocess.run(["sh", "-eu", "-c", found[1]], env=environment, check=True, timeout=60)


async def spoken_to(on: Stage, over: asyncio.Event) -> tuple[list[Agent], "asyncio.Task[None]"]:
    agents = [(await on.conversation())[1] for _ in range(4)]
    return agents, asyncio.create_task(talk(agents, over))


async def test_a_backup_made_while_everybody_talks_is_whole_and_can_be_gone_back_to(
    tmp_path: Path,
) -> None:
    """The backup has everything acknowledged before it began, and the server continues from it."""
    backup = tmp_path / "monday.db"
    over = asyncio.Event()
    async with stage(tmp_path) as on:
        agents, talking = await spoken_to(on, over)
        while sum(len(agent.promised) for agent in agents) < 200:
            await asyncio.wait({talking}, timeout=0.05)
        before = {key: text for agent in agents for key, text in agent.promised.items()}
        said = await voxql(on.server.data_dir, "backup", str(backup))
        over.set()
        await talking
        promised = {key: text for agent in agents for key, text in agent.promised.items()}

        assert "checked" in said
        kept = dict(rows(backup, SPOKEN))
        assert before.items() <= kept.items() <= promised.items()
        assert rows(backup, COUNTS) == []
        # The backup must not have taken anything from the server either.
        assert dict(rows(on.server.database, SPOKEN)) == promised

        await on.server.kill()
        on.server.database.write_bytes(b"something terrible has happened")
        restore(on.server.data_dir, backup)
        await on.server.start()

        # Finals acknowledged after the backup are gone, as with any backup; the agents that were
        # connected before can add new ones.
        agents[0].say("after the restore")
        await agents[0].settled()
        assert dict(rows(on.server.database, SPOKEN)).items() >= kept.items()
        assert rows(on.server.database, COUNTS) == []


async def test_commands_beside_a_server_cost_it_no_word(tmp_path: Path) -> None:
    """Each command opens and closes the database; utterances after that survive a kill."""
    over = asyncio.Event()
    async with stage(tmp_path) as on:
        agents, talking = await spoken_to(on, over)
        for command in (
            ("backup", str(tmp_path / "copy.db")),
            ("user", "create", "ada@example.org"),
            ("user", "list"),
            ("migrate",),
        ):
            await voxql(on.server.data_dir, *command, told="correct horse battery\n")
        over.set()
        await talking
        await on.server.kill()

        promised = {key: text for agent in agents for key, text in agent.promised.items()}
        assert len(promised) > 100
        assert dict(rows(on.server.database, SPOKEN)) == promised
