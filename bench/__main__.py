"""`python -m bench [PART …] [--quick]`: measure, print a table, write JSON."""

import argparse
import importlib.util
import runpy
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from bench import history, report, saving, streams
from bench.equipment.processes import ROOT
from bench.figures import Figure
from bench.growth import databases, finals, restarts, several
from bench.sizes import FULL, QUICK, Sizes

WIDTH: Final = 132
"""Columns of a table that is not printed to a terminal."""
SPEECH: Final = "speech"
"""A separate part with its own options and report: `python -m bench speech`."""

PARTS: Final[Mapping[str, Callable[[Sizes, Path], list[Figure]]]] = {
    "latency": streams.latency,
    "cost": streams.cost,
    "saving": saving.saving,
    "history": history.history,
    "memory": streams.memory,
    "databases": databases.databases,
    "several": several.several,
    "restarts": restarts.restarts,
    "finals": finals.finals,
}
KEPT: Final = frozenset({"history", "databases"})
"""Parts whose data is large and stays in the cache for the next run."""


def main() -> None:
    if sys.argv[1:2] == [SPEECH]:
        _speech()
        return
    options = _options()
    sizes = QUICK if options.quick else FULL
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    # On the disk of the checkout: in a memory file system, commits would look free.
    cache: Path = options.cache
    cache.mkdir(parents=True, exist_ok=True)
    machine = report.Machine.look()
    began, figures = datetime.now(UTC), []
    start = time.perf_counter()
    for name in options.parts or PARTS:
        console.print(f"measuring {name} …")
        figures += _measured(name, sizes, cache)
    result = report.Report(
        began, time.perf_counter() - start, sizes, figures, machine, report.Machine.look()
    )
    result.show(console)
    path = options.json or ROOT / "bench" / "results" / f"{began:%Y%m%dT%H%M%SZ}.json"
    result.write(path)
    console.print(f"written to {path}", soft_wrap=True)


def _measured(name: str, sizes: Sizes, cache: Path) -> list[Figure]:
    if name in KEPT:
        return PARTS[name](sizes, cache)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=cache))
    try:
        return PARTS[name](sizes, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        choices=[*PARTS, []],
        help=f"{', '.join(PARTS)}; all of these without any. Or {SPEECH}, with its own options.",
    )
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs")
    parser.add_argument("--json", type=Path, help="the file to write")
    parser.add_argument(
        "--cache", type=Path, default=ROOT / ".cache" / "bench", help="where databases are made"
    )
    return parser.parse_args()


def _speech() -> None:
    if importlib.util.find_spec("bench.speech") is None:
        sys.exit("There is no bench/speech.py here.")
    del sys.argv[1]
    runpy.run_module("bench.speech", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
