"""The audits of the GraphQL over HTTP specification (npm: graphql-http)."""

import asyncio
import json
from pathlib import Path

AUDITS = Path(__file__).parents[1] / "audits"


async def test_every_audit_of_the_specification_passes(url: str) -> None:
    """All 61 are ok, without errors or warnings."""
    process = await asyncio.create_subprocess_exec(
        "node", "audit.mjs", f"{url}/graphql", cwd=AUDITS, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()

    results = [json.loads(line) for line in output.splitlines()]
    assert [result for result in results if result["status"] != "ok"] == []
    assert len(results) == 61
