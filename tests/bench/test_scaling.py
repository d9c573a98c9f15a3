"""The simulation behind docs/scaling.md: what goes in, what comes out, and what the page says."""

from dataclasses import replace
from functools import partial
from typing import Final

import pytest

from bench.scaling import checking, sizing
from bench.scaling.chart import draw
from bench.scaling.costs import ALL_MEASURED, Assumed, Costs, Measured
from bench.scaling.model import Conversation, Result, Setup, run
from bench.scaling.sizing import Demand, Size, about
from tests.programs.server_process import ROOT

ASSUMED: Final = Assumed()
PAGE: Final = ROOT / "docs" / "scaling.md"
CHART: Final = ROOT / "docs" / "images" / "scaling.svg"


@pytest.fixture(scope="module")
def usual() -> Result:
    """Some processes of a cell, as busy as the page assumes."""
    return sizing.sample(ASSUMED, ASSUMED.usable)


@pytest.fixture(scope="module")
def size(usual: Result) -> "partial[Size]":
    return partial(Size, demand=Demand.of(usual), assumed=ASSUMED)


def few(costs: Costs, number: int = 20, seconds: float = 5.0) -> Result:
    """Simulate a few conversations of the usual kind, each with its viewer at another process."""
    return run(
        Setup(
            conversations=[Conversation(0, (1,))] * number,
            rate=ASSUMED.rate,
            events=ASSUMED.events,
            costs=costs,
            processes=2,
            is_shared=True,
            warm_s=ASSUMED.utterance_s,
            seconds=seconds,
        )
    )


# ---------------------------------------------------------------------- what goes in


@pytest.mark.parametrize("cost", ALL_MEASURED, ids=lambda cost: cost.said)
def test_every_measured_cost_is_documented(cost: Measured) -> None:
    """No cost is invented: a page says it in these words."""
    page = (ROOT / "docs" / cost.page).read_text()

    assert f"{cost.value:,g}" in cost.said or cost.said.startswith("With five")
    assert cost.said in " ".join(page.split())


def test_the_steps_add_up_to_what_was_measured() -> None:
    """An utterance of the benchmark takes as much CPU as in table (g), in one or two processes."""
    costs = Costs.measured()
    here = 10 * (costs.take_us + costs.show_us) + 2 * costs.commit_us
    across = here + 10 * (costs.publish_us + costs.receive_us)

    assert here / 10 == pytest.approx(332)
    assert across / 10 == pytest.approx(494)
    assert 2 * costs.row_us == pytest.approx(1_170)


# ---------------------------------------------------------------------- what comes out


@pytest.mark.soak
@pytest.mark.parametrize("case", checking.cases()[:2], ids=lambda case: case.name)
def test_the_simulation_is_close_to_the_measurement(case: checking.Case) -> None:
    """CPU is within 5 %, and the median of finals, which no cost says, within 20 %."""
    result = run(case.setup)

    assert 100 * result.busy * case.setup.processes == pytest.approx(case.cpu, rel=0.05)
    assert result.ms("finals", 0.5) == pytest.approx(case.finals[0], rel=0.2)


def test_the_same_setup_has_the_same_result() -> None:
    """Nothing depends on a clock, or on chance that differs from run to run."""
    assert few(Costs.measured()) == few(Costs.measured())


def test_an_interim_is_written_unless_a_final_replaces_it_in_time() -> None:
    """Of an utterance of 5 s, the server writes beginning and final, and an interim each second."""
    soon, never = (few(replace(Costs.measured(), write_within_s=s)) for s in (1.0, 5.0))

    assert soon.heard == never.heard == 20 * ASSUMED.events
    assert never.rows / 20 == pytest.approx(2, abs=0.1)
    assert soon.rows / 20 == pytest.approx(5, abs=0.1)


def test_every_event_passes_redis_once_for_each_process_with_a_viewer() -> None:
    """Interims that are written are published again."""
    result = few(Costs.measured())

    published = result.heard - 2 * 20 + result.rows
    assert result.messages == pytest.approx(published, rel=0.02)


@pytest.mark.soak
def test_a_busier_process_takes_longer() -> None:
    """Delays grow faster than the load."""
    calm, busy = (few(Costs.measured(), number) for number in (100, 500))

    assert busy.server_cpu == pytest.approx(5 * calm.server_cpu, rel=0.1)
    assert busy.ms("finals", 0.99) > 1.5 * calm.ms("finals", 0.99)


@pytest.mark.soak
def test_ten_times_the_conversations_need_ten_times_the_cores(size: "partial[Size]") -> None:
    """Nothing is shared by two cells, so nothing grows faster than the conversations."""
    one, ten = size(1_000_000), size(10_000_000)

    assert ten.processes == pytest.approx(10 * one.processes, rel=0.01)
    assert ten.database_cores == pytest.approx(10 * one.database_cores, rel=0.01)
    assert ten.redis == pytest.approx(10 * one.redis, rel=0.02)


@pytest.mark.soak
def test_a_size_is_enough_below_a_break_and_not_above(usual: Result, size: "partial[Size]") -> None:
    """One process, one Redis and one primary are enough up to the number that the chart marks."""
    found = {one.what: one.conversations for one in sizing.breaks(Demand.of(usual), ASSUMED)}
    process, redis = found["one server process"], found["one Redis"]
    primary = found["PostgreSQL on 32 cores"]

    assert list(found.values()) == sorted(found.values())
    assert (size(process).processes, size(process + 1).processes) == (1, 2)
    assert (size(redis).redis, size(redis + 1).redis) == (1, 2)
    assert (size(primary).primaries, size(primary + 1).primaries) == (1, 2)


def test_numbers_are_written_with_two_digits() -> None:
    """More digits would look exact, and fewer would lose small numbers."""
    written = [about(number) for number in (0.2, 4, 97, 317.2, 31_449, 9_999_999)]

    assert written == ["1", "4", "97", "320", "31,000", "10,000,000"]


# ---------------------------------------------------------------------- what the page says


@pytest.mark.soak
def test_the_chart_is_what_the_simulation_draws(usual: Result, size: "partial[Size]") -> None:
    """After a change: `python -m bench.scaling --chart docs/images/scaling.svg`."""
    drawn = draw(size, sizing.breaks(Demand.of(usual), ASSUMED))

    assert drawn == CHART.read_text()


@pytest.mark.soak
def test_the_page_has_the_sizes_of_the_simulation(size: "partial[Size]") -> None:
    """Each row of the table is there word for word."""
    page = PAGE.read_text()
    sizes = [size(number) for number in sizing.SIZES]
    rows = [
        f"| {name} | {' | '.join(about(of(one)) for one in sizes)} |"
        for name, of in sizing.SIZE_ROWS.items()
    ]

    assert [row for row in rows if row not in page] == []


@pytest.mark.soak
def test_the_page_says_where_it_breaks(usual: Result) -> None:
    """Each number that the chart marks begins a row of the page's table."""
    page = PAGE.read_text()
    found = sizing.breaks(Demand.of(usual), ASSUMED)

    assert len(found) == 4
    assert [
        one for one in found if f"| {about(one.conversations)} | {one.what} |" not in page
    ] == []
