"""`python -m bench.scaling`: simulate what 1,000 to 10,000,000 conversations at once need."""

import argparse
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.scaling import checking, sizing
from bench.scaling.chart import draw
from bench.scaling.costs import Assumed
from bench.scaling.model import Result, run
from bench.scaling.sizing import Demand, Size, about, sample

WIDTH: Final = 110
"""Columns of a table that is not printed to a terminal."""
BUSY: Final = (0.3, 0.75, 0.9)
"""Shares of a core at which the delays are compared with those at the usable share."""


def main() -> None:
    options = _options()
    assumed = Assumed(**{one.name: getattr(options, one.name) for one in fields(Assumed)})
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    console.print(_compared())
    result = sample(assumed, assumed.usable)
    console.print(_delays(assumed, result))
    demand = Demand.of(result)
    console.print(_sizes(demand, assumed))
    found = sizing.breaks(demand, assumed)
    for one in found:
        console.print(f"{about(one.conversations)} conversations: {one.what} can't take more")
    console.print(_levers(assumed, result))
    if options.chart:
        options.chart.write_text(draw(partial(Size, demand=demand, assumed=assumed), found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.scaling",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for one in fields(Assumed):
        parser.add_argument(
            f"--{one.name.replace('_', '-')}",
            type=type(one.default),
            default=one.default,
            metavar="N",
            help=one.metadata["help"],
        )
    parser.add_argument("--chart", type=Path, help="the SVG file to write")
    return parser.parse_args()


def _compared() -> Table:
    """Compare the simulation with what was measured."""
    table = Table("measured → simulated", "CPU", "interim p50", "p99", "final p50", "p99 (ms)")
    for case in checking.cases():
        result = run(case.setup)
        table.add_row(
            f"({case.table}) {case.name}",
            f"{case.cpu:.0f} → {100 * result.busy * case.setup.processes:.0f} %",
            *(
                f"{m:.2f} → {s:.2f}"
                for m, s in zip(case.interims, _ms(result, "interims"), strict=True)
            ),
            *(
                f"{m:.1f} → {s:.1f}"
                for m, s in zip(case.finals, _ms(result, "finals"), strict=True)
            ),
        )
    return table


def _ms(result: Result, what: str) -> tuple[float, float]:
    return result.ms(what, 0.5), result.ms(what, 0.99)


def _delays(assumed: Assumed, usual: Result) -> Table:
    """Show the delays in a cell that is more or less busy."""
    title = f"{sizing.PROCESSES} processes, each on its own core"
    table = Table(
        *("busy", "conversations a process", "interim p50", "p99", "final p50", "p99 (ms)"),
        title=title,
    )
    results = [usual, *(sample(assumed, busy) for busy in BUSY)]
    for result in sorted(results, key=lambda one: one.busy):
        table.add_row(
            f"{100 * result.busy:.0f} %",
            f"{len(result.setup.conversations) / sizing.PROCESSES:,.0f}",
            *(f"{ms:.1f}" for what in ("interims", "finals") for ms in _ms(result, what)),
        )
    return table


def _sizes(demand: Demand, assumed: Assumed) -> Table:
    sizes = [Size(number, demand, assumed) for number in sizing.SIZES]
    table = Table("conversations at once", *(f"{one.conversations:,}" for one in sizes))
    for name, of in sizing.SIZE_ROWS.items():
        table.add_row(name, *(about(of(one)) for one in sizes))
    return table


def _levers(assumed: Assumed, usual: Result) -> Table:
    """Show what changes of VoxQL would save."""
    most = sizing.SIZES[-1]
    table = Table(f"cores for {most:,}", "server processes", "PostgreSQL", "Redis")
    results = {"as it is": usual} | {
        lever.name: sample(lever.assumed, assumed.usable, lever.costs)
        for lever in sizing.levers(assumed)
    }
    for name, result in results.items():
        one = Size(most, Demand.of(result), assumed)
        table.add_row(name, *map(about, (one.processes, one.database_cores, one.redis)))
    return table


if __name__ == "__main__":
    main()
