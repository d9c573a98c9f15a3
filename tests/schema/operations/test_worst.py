"""The most expensive accepted operations: the soak searches for them, tests keep them as cases."""

import json
import random
import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest
from graphql import GraphQLObjectType, GraphQLOutputType, get_named_type, is_leaf_type

from models.tables import User
from resolvers.backend import Backend
from schema.executable import EXECUTABLE
from schema.operations import cost
from schema.operations.documents import DocumentRefused, Documents
from tests.rows import add_sessions
from tests.schema.clients import Http

SCHEMA = EXECUTABLE._schema
WORST: Final = Path(__file__).parent / "data" / "worst_operations.json"
"""The ten that took the most processor time in a search of three minutes."""
CPU_S: Final = 0.1
"""Processor time that one operation may take."""
SEARCH_S: Final = 180.0
SEARCHES: Final = ("number", "som wor", "a", "わた", "e é 1 said number")
SIZES: Final = {"sessionHistory": 100, "utterances": 500, "apiTokens": 100}


@dataclass
class Part:
    """A field of a random operation, repeated `times` times."""

    name: str
    kind: Any
    times: int = 1
    size: int | None = None
    way: str = "first"
    search: str | None = None
    parts: "list[Part]" = field(default_factory=list)

    def text(self, ids: dict[str, str]) -> str:
        filtered = "" if self.search is None else f', filter: {{search: "{self.search}"}}'
        arguments = f"({self.way}: {self.size}{filtered})" if self.size is not None else ""
        if self.name in ids:
            arguments = ids[self.name]
        inner = " ".join(part.text(ids) for part in self.parts)
        body = f"{self.name}{arguments}" + (f" {{ {inner} }}" if self.parts else "")
        if self.times == 1:
            return body
        return " ".join(f"{self.name}_{number}: {body}" for number in range(self.times))


def grown(rng: random.Random, kind: GraphQLOutputType, depth: int) -> list[Part]:
    """Select some fields of a type, recursively."""
    named = get_named_type(kind)
    assert isinstance(named, GraphQLObjectType)
    names = [
        n for n, f in named.fields.items() if depth > 0 or is_leaf_type(get_named_type(f.type))
    ]
    chosen = rng.sample(names, min(len(names), rng.randint(1, 14)))
    parts = []
    for name in chosen:
        of = get_named_type(named.fields[name].type)
        if not is_leaf_type(of) and not isinstance(of, GraphQLObjectType):
            continue
        part = Part(name, of, times=rng.choice((1, 1, 1, 1, 2, 5, 12)))
        if name in SIZES:
            part.size = rng.randint(1, SIZES[name])
            part.way = rng.choice(("first", "last"))
        if name == "sessionHistory":
            part.search = rng.choice((None, *SEARCHES))
        if isinstance(of, GraphQLObjectType):
            part.parts = grown(rng, of, depth - 1)
        parts.append(part)
    return parts or [Part("__typename", None)]


def mutated(rng: random.Random, parts: list[Part], depth: int = 6) -> list[Part]:
    """Change a few parts of an operation."""
    changed = []
    for part in parts:
        draw = rng.random()
        if draw < 0.05 and len(parts) > 1:
            continue
        size = part.size
        if size is not None and draw < 0.4:
            size = max(1, min(SIZES[part.name], round(size * rng.uniform(0.5, 2.0))))
        times = rng.choice((1, 2, 5, 12, 30)) if draw > 0.85 else part.times
        below = part.parts
        if below:
            again = rng.random() < 0.1 and isinstance(part.kind, GraphQLObjectType)
            below = grown(rng, part.kind, depth - 1) if again else mutated(rng, below, depth - 1)
        changed.append(replace(part, times=times, size=size, parts=below))
    return changed


async def prepared(guest: Http, backend: Backend, *, has_long: bool = False) -> dict[str, str]:
    """Create conversations to query; return the arguments of fields that take an id."""
    backend.budgets = None
    viewer = await guest.data("{ viewer { id } }")
    user = await User.get(id=viewer["viewer"]["id"])
    said = [f"some words that were said as number {number}" for number in range(500)]
    if has_long:
        # Texts of the maximum length, with a match in each word, and one in a script without
        # spaces.
        said[::100] = [
            text * (32_000 // len(text)) for text in ("a ", "number ", "words, ", "was", "わ")
        ]
    sessions = await add_sessions(user, [said] * 40)
    ids = json.dumps([one.id for one in sessions])
    return {
        "session": f'(id: "{sessions[-1].id}")' if sessions else "",
        "node": f'(id: "{sessions[-1].id}")',
        "nodes": f"(ids: {ids})",
    }


async def seconds(guest: Http, query: str) -> float:
    """Return the processor time of an accepted operation."""
    times = []
    for _ in range(2):
        began = time.process_time()
        answer = await guest.post(query)
        times.append(time.process_time() - began)
        # A response may be too long.
        assert answer.status_code == 200 or "MiB of text" in answer.text, answer.text[:300]
    return min(times)


def points(documents: Documents, query: str) -> int | None:
    try:
        return documents.operation(query).cost
    except DocumentRefused:
        return None


def with_ids(query: str, ids: dict[str, str]) -> str:
    for name, arguments in ids.items():
        query = query.replace(f"{name}(@)", f"{name}{arguments}")
    return query


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_no_operation_that_is_let_through_takes_long(guest: Http, backend: Backend) -> None:
    """It runs random operations, and variations of the worst ones, for three minutes."""
    ids = await prepared(guest, backend, has_long=True)
    # Only `session` has an argument that differs from run to run where it is nested.
    at_root = {"session": "(@)", "node": "(@)", "nodes": "(@)"}
    documents, rng = Documents(SCHEMA), random.Random(11)
    assert SCHEMA.query_type is not None
    found: dict[str, tuple[float, int, str, list[Part]]] = {}
    best: list[tuple[float, int, str, list[Part]]] = []
    end, tried = time.monotonic() + SEARCH_S, 0
    while time.monotonic() < end:
        fresh = rng.random() < 0.3 or not best
        parts = (
            [p for p in grown(rng, SCHEMA.query_type, 6) if p.name not in ("node", "nodes")]
            if fresh
            else mutated(rng, rng.choice(best)[3])
        )
        query = "{ " + " ".join(_rooted(part, at_root) for part in parts) + " }"
        cost_of_it = points(documents, with_ids(query, ids)) if parts else None
        if cost_of_it is None:
            continue
        tried += 1
        took = await seconds(guest, with_ids(query, ids))
        # Among operations that differ only in numbers, keep the worst.
        shape = re.sub(r"\d+", "", query)
        if (known := found.get(shape)) is None or known[0] < took:
            found[shape] = (took, cost_of_it, query, parts)
        best = sorted(found.values(), key=lambda one: -one[0])[:10]
        found = {re.sub(r"\d+", "", one[2]): one for one in best}
    print(f"{tried} operations were let through and run")
    for took, cost_of_it, query, _ in best:
        print(f"{1e3 * took:6.1f} ms, {cost_of_it} points: {query[:160]}")
    (Path.cwd() / "var").mkdir(exist_ok=True)
    told = [{"points": p, "query": q} for _, p, q, _ in best]
    (Path.cwd() / "var" / "worst_operations.json").write_text(json.dumps(told, indent=2) + "\n")

    assert best[0][0] < CPU_S


def _rooted(part: Part, arguments: dict[str, str]) -> str:
    """Return a root field with its arguments; nested fields of the same name have none."""
    if part.name not in arguments:
        return part.text({})
    inner = " ".join(below.text({}) for below in part.parts)
    copies = [
        f"{part.name}_{number}: {part.name}{arguments[part.name]} {{ {inner} }}"
        for number in range(part.times)
    ]
    return " ".join(copies)


async def test_the_worst_that_were_found_are_counted_as_they_cost(
    guest: Http, backend: Backend
) -> None:
    """They are accepted at their cost or now refused; none became cheaper."""
    ids = await prepared(guest, backend)
    documents = Documents(SCHEMA)
    for case in json.loads(WORST.read_text()):
        query = with_ids(case["query"], ids)

        found = points(documents, query)

        assert found is None or found >= case["points"], query
        if found is not None:
            assert found <= cost.MAX_COST
            answer = await guest.post(query)
            assert "errors" not in answer.json(), query
