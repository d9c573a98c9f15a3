"""The figures of a run as a table for people and as JSON for programs."""

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final, Self

import psutil
from rich.console import Console
from rich.table import Table

from bench.figures import Figure, percentile
from bench.sizes import Sizes

_PACKAGES: Final = (
    "graphql-core",
    "starlette",
    "strawberry-graphql",
    "tortoise-orm",
    "uvicorn",
    "uvloop",
)
_TIMES: Final = "\N{MULTIPLICATION SIGN}"
_TITLES: Final = {
    "a": "(a) bridge → delivered",
    "b": "(b) server CPU",
    "c": "(c) saveSession",
    "d": "(d) sessionHistory",
    "e": "(e) memory",
    "f": "(f) one process on PostgreSQL",
    "g": "(g) two processes",
    "h": "(h) a rolling restart of three",
    "i": "(i) finals from one process to another",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """What else the machine was doing."""

    cores: int
    load: float
    """Processes that wanted a core during the last minute."""
    busy_percent: float
    """Of all cores, while nothing was measured."""
    noise_percent: float
    """How much longer the same computation takes in the slowest tenth of its runs."""

    @classmethod
    def look(cls) -> Self:
        """Watch the machine for half a second, then repeat a computation for another half."""
        busy = psutil.cpu_percent(interval=0.5)
        times = [_spin() for _ in range(50)]
        noise = percentile(times, 0.9) / median(times) - 1
        return cls(os.cpu_count() or 1, os.getloadavg()[0], busy, 100 * noise)

    def __str__(self) -> str:
        return (
            f"load {self.load:.1f} on {self.cores} cores, {self.busy_percent:.0f} % busy with "
            f"other things, noise {self.noise_percent:.0f} %"
        )


def _spin() -> float:
    begin = time.perf_counter()
    sum(range(300_000))
    return time.perf_counter() - begin


@dataclass(frozen=True, slots=True)
class Report:
    """One run."""

    began: datetime
    seconds: float
    sizes: Sizes
    figures: Sequence[Figure]
    before: Machine
    after: Machine

    def show(self, console: Console) -> None:
        """Print the table."""
        table = Table(title="VoxQL beside the least that the same work can cost")
        for name in ("measured", "VoxQL", "reference", "ratio", "aim"):
            table.add_column(name, justify="left" if name in ("measured", "aim") else "right")
        part = ""
        for figure in self.figures:
            if figure.part != part:
                table.add_section()
                part = figure.part
                table.add_row(f"[bold]{_TITLES[part]}", "", f"[dim]{figure.reference_name}", "", "")
            table.add_row(*_row(figure))
        console.print(table)
        console.print("Median of the rounds (lowest … highest); ratios are of the same round.")
        console.print(f"before: {self.before}\nafter:  {self.after}")

    def write(self, path: Path) -> None:
        """Write the JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n")

    def as_json(self) -> dict[str, Any]:
        """Return all data of the run; nothing in it identifies the machine."""
        return {
            "format": 1,
            "began": self.began.isoformat(),
            "seconds": round(self.seconds, 1),
            "sizes": asdict(self.sizes),
            "machine": {
                "system": f"{platform.system()} {platform.machine()}",
                "python": platform.python_version(),
                "packages": {name: version(name) for name in _PACKAGES},
                "before": asdict(self.before),
                "after": asdict(self.after),
            },
            "figures": [figure.as_json() for figure in self.figures],
        }


def _row(figure: Figure) -> tuple[str, str, str, str, str]:
    aim = ""
    if figure.aim is not None:
        colour, word = ("green", "met") if figure.is_met else ("red", "missed")
        unit = _TIMES if figure.aim.of_ratio else f" {figure.unit}"
        aim = f"[{colour}]< {figure.aim.below:g}{unit}: {word}"
    return (
        f"  {figure.name}",
        _spread(figure.values, f" {figure.unit}"),
        _spread(figure.reference, f" {figure.unit}"),
        _spread(figure.ratios, _TIMES),
        aim,
    )


def _spread(values: Sequence[float], unit: str) -> str:
    if not values:
        return ""
    middle = f"{_short(median(values))}{unit}"
    if len(values) == 1:
        return middle
    return f"{middle} [dim]({_short(min(values))} … {_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
