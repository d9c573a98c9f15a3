"""Draws docs/images/scaling.svg: cores by conversations, both axes logarithmic."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from bench.scaling.sizing import Break, Size, about

_WIDTH: Final = 760
_HEIGHT: Final = 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 742.0, 62.0, 408.0
_FROM: Final = 100
_TO: Final = 10_000_000
_MOST_CORES: Final = 100_000
_PER_DECADE: Final = 12
# A light card, so that it looks the same on a light and on a dark page.
_STYLE: Final = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 15px }
  .note { fill: #57606a }
  .grid { stroke: #d8dee4 }
  .mark { stroke: #57606a; stroke-dasharray: 4 3 }
  .line { fill: none; stroke-width: 2.5 }
"""
_LINES: Final[Sequence[tuple[str, str, Callable[[Size], int]]]] = (
    ("server processes", "#0550ae", lambda size: size.processes),
    ("PostgreSQL", "#bc4c00", lambda size: size.database_cores),
    ("Redis", "#8250df", lambda size: size.redis),
)


def draw(size_of: Callable[[int], Size], breaks: Sequence[Break]) -> str:
    """Return the chart as SVG.

    Args:
        size_of: What a number of conversations needs.
        breaks: Where something is full, in this order.
    """
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        "<title>Cores needed by the number of conversations at once</title>",
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="#ffffff"/>',
        _text(16, 26, "Cores needed by conversations at once", "title"),
        *_grid(),
        *_lines(size_of),
        *_marks(breaks),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(conversations: float) -> float:
    share = math.log10(conversations / _FROM) / math.log10(_TO / _FROM)
    return _LEFT + share * (_RIGHT - _LEFT)


def _y(cores: float) -> float:
    return _BOTTOM - math.log10(cores) / math.log10(_MOST_CORES) * (_BOTTOM - _TOP)


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{text}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _powers(first: int, last: int) -> Iterator[int]:
    while first <= last:
        yield first
        first *= 10


def _short(number: int) -> str:
    if number >= 1_000_000:
        return f"{number // 1_000_000} M"
    return f"{number // 1_000} k" if number >= 10_000 else f"{number:,}"


def _grid() -> Iterator[str]:
    for cores in _powers(1, _MOST_CORES):
        yield _line(_LEFT, _y(cores), _RIGHT, _y(cores), "grid")
        yield _text(_LEFT - 8, _y(cores) + 4, _short(cores), "note", "end")
    for conversations in _powers(_FROM, _TO):
        yield _line(_x(conversations), _TOP, _x(conversations), _BOTTOM, "grid")
        anchor = "end" if conversations == _TO else "middle"
        yield _text(_x(conversations), _BOTTOM + 20, _short(conversations), "note", anchor)
    yield _text((_LEFT + _RIGHT) / 2, _BOTTOM + 40, "conversations at once", "note", "middle")


def _lines(size_of: Callable[[int], Size]) -> Iterator[str]:
    steps = round(math.log10(_TO / _FROM) * _PER_DECADE)
    sizes = [size_of(round(_FROM * 10 ** (step / _PER_DECADE))) for step in range(steps + 1)]
    for number, (name, colour, of) in enumerate(_LINES):
        points = " ".join(f"{_x(size.conversations):.1f},{_y(of(size)):.1f}" for size in sizes)
        yield f'<polyline points="{points}" class="line" stroke="{colour}"/>'
        x = _LEFT + 12 + 150 * number
        yield f'<rect x="{x:.1f}" y="42" width="18" height="4" fill="{colour}"/>'
        yield _text(x + 24, 49, name)


def _marks(breaks: Sequence[Break]) -> Iterator[str]:
    """Mark where something is full, each name beside the top of its line."""
    for number, one in enumerate(breaks):
        x, y = _x(one.conversations), _TOP + 20 + 20 * number
        yield _line(x, y - 12, x, _BOTTOM, "mark")
        yield _text(x + 5, y, f"{number + 1}. {one.what}: {about(one.conversations)}")
