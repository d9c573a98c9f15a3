"""(d) The cost of a page of a large history, compared with reading the rows by raw SQL."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench.equipment.asking import BenchClient
from bench.equipment.dataset import COMMON, RARE, large_history
from bench.equipment.processes import served
from bench.equipment.stage import Stage
from bench.figures import Aim, Figure
from bench.saving import connected
from bench.sizes import Sizes
from models.database import opened
from models.repositories.history import HistoryQuery
from models.search import parsing
from models.sqlite.search import matching
from resolvers.pages import Cursors, Page
from resolvers.sessions.history import SessionFilter, session_history

PAGE: Final = 20
RAW: Final = "the same rows, sqlite3"

QUERY: Final = """
query History($first: Int!, $after: String, $filter: SessionFilter) {
  sessionHistory(first: $first, after: $after, filter: $filter) {
    pageInfo { hasNextPage endCursor }
    edges { match { snippet } node {
      id title status agentName agentState createdAt startedAt endedAt endReason
      durationMs utteranceCount preview version
      failure { code message isRetryable }
    } }
  }
}"""

_COLUMNS: Final = """
SELECT id, title, status, agent_name, created_at, started_at, ended_at, end_reason,
    utterance_count, preview, version, failure_code, failure_message
FROM sessions
WHERE user_id = ? AND utterance_count > 0 AND deleted_at IS NULL"""
_ORDER: Final = " ORDER BY created_at DESC, id DESC LIMIT 21"
_AFTER: Final = " AND created_at <= ? AND (created_at < ? OR id < ?)"
_MATCH: Final = """
 AND id IN (SELECT u.session_id FROM utterance_search s JOIN utterances u ON u.number = s.rowid
    WHERE utterance_search MATCH ?)"""
_SNIPPET: Final = """
SELECT u.session_id, snippet(utterance_search, 0, '<mark>', '</mark>', '…', 24)
FROM utterance_search s JOIN utterances u ON u.number = s.rowid
WHERE utterance_search MATCH ? AND u.session_id IN ({marks})"""


@dataclass(frozen=True, slots=True)
class PageCase:
    """One page, as requested through GraphQL, from the use case and by raw SQL."""

    name: str
    after: str | None = None
    place: tuple[str, str] | None = None
    """The position of `after`, for raw SQL."""
    word: str | None = None

    @property
    def variables(self) -> Mapping[str, object]:
        """The GraphQL variables."""
        wanted = {"search": self.word} if self.word else None
        return {"first": PAGE, "after": self.after, "filter": wanted}


def history(sizes: Sizes, cache: Path) -> list[Figure]:
    """(d) Read pages of a large history by turns: through the server, the use case, and SQL."""
    stage = large_history(sizes, cache, Console(stderr=True))
    cases = [
        PageCase("first page"),
        deep_page(stage, sizes),
        PageCase("search, a rare word", word=RARE),
        PageCase("search, a common word", word=COMMON),
    ]
    figures = []
    with (
        asyncio.Runner() as runner,
        served("voxql", stage.folder) as server,
        BenchClient(server.port, stage.secret) as client,
    ):
        for case in cases:
            through, alone, raw = runner.run(_measured(stage, case, client, sizes.reads))
            aim = Aim(3.0, of_ratio=True)
            figures += [
                Figure(
                    "d", f"{case.name}, through GraphQL over HTTP", "ms", through, RAW, raw, aim
                ),
                Figure("d", f"{case.name}, the use case alone", "ms", alone, RAW, raw, aim),
            ]
    first, deep = figures[0].values, figures[2].values
    name, what = f"page {sizes.deep_page:,} beside the first, through GraphQL", "the first page"
    # Equal, within the variation of one and the same page.
    figures.append(Figure("d", name, "ms", deep, what, first, Aim(1.1, of_ratio=True)))
    return figures


def deep_page(stage: Stage, sizes: Sizes) -> PageCase:
    """Find the end of the page before the deep one; a person needs 4,000 clicks to get there."""
    with connected(stage.folder / "voxql.db") as conn:
        order = _ORDER.replace("21", "1 OFFSET ?")
        skipped = (sizes.deep_page - 1) * PAGE - 1
        row = conn.execute(_COLUMNS + order, (stage.viewer.user_id, skipped)).fetchone()
    conn.close()
    session_id, created_at = row[0], row[4]
    cursors = Cursors("history", HistoryQuery(stage.viewer.user_id))
    moment = datetime.fromisoformat(created_at).astimezone(UTC)
    place = (created_at, session_id)
    return PageCase(f"page {sizes.deep_page:,}", cursors.encode((moment, session_id)), place)


async def _measured(
    stage: Stage, case: PageCase, client: BenchClient, reads: int
) -> tuple[list[float], list[float], list[float]]:
    """Return milliseconds: through the server, by the use case, by raw SQL."""
    page, wanted = Page(first=PAGE, after=case.after), SessionFilter(search=case.word)
    conn = connected(stage.folder / "voxql.db")
    through, alone, raw = [], [], []
    expected = _raw(conn, stage, case)
    async with opened(stage.url):
        for _ in range(reads + 2):
            data, took = client.ask(QUERY, case.variables)
            through.append(took)
            begin = time.perf_counter()
            found = await session_history(stage.viewer, page, wanted)
            alone.append(1e3 * (time.perf_counter() - begin))
            begin = time.perf_counter()
            _raw(conn, stage, case)
            raw.append(1e3 * (time.perf_counter() - begin))
    conn.close()
    ours = [edge["node"]["id"] for edge in data["sessionHistory"]["edges"]]
    assert ours == [row[0] for row in expected[:PAGE]] == [e.session.id for e in found.items]
    # The first two warmed up the caches: documents, statements, pages of the file.
    return through[2:], alone[2:], raw[2:]


def _raw(conn: Any, stage: Stage, case: PageCase) -> list[tuple[Any, ...]]:
    statement, values = _COLUMNS, [stage.viewer.user_id]
    if case.place is not None:
        statement += _AFTER
        values += [case.place[0], *case.place]
    if case.word is None:
        rows: list[tuple[Any, ...]] = conn.execute(statement + _ORDER, values).fetchall()
        return rows
    found = parsing.parse(case.word, stage.viewer.user_id)
    assert found is not None
    values += [matching(found, [word]) for word in found.words]
    rows = conn.execute(statement + _MATCH + _ORDER, values).fetchall()
    shown = [row[0] for row in rows[:PAGE]]
    marks = ", ".join("?" * len(shown))
    conn.execute(_SNIPPET.format(marks=marks), [matching(found, found.words), *shown]).fetchall()
    return rows
