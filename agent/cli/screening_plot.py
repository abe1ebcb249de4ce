"""Two distributions of temperatures and a limit, drawn on a terminal with blocks or in a file as SVG. Needs no
library.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_BLOCKS = " ▁▂▃▄▅▆▇█"
_COLUMNS = 64
_WIDTH, _HEIGHT, _MARGIN = 720, 300, 40


def strips(well: Sequence[float], sick: Sequence[float], limit_c: float) -> Iterator[str]:
    """Both heaps as lines of blocks, each scaled to itself, with the limit below."""
    low, high = _range(well, sick, limit_c)
    mark = _column(limit_c, low, high)
    for name, values in (("others", well), ("fevers", sick)):
        yield f"  {name:>7} {_strip(_heap(values, low, high))}"
    yield f"          {' ' * mark}▲ {limit_c:.1f} °C"
    yield f"          {low:<{_COLUMNS - 6}.1f}{high:>6.1f}"


def svg(well: Sequence[float], sick: Sequence[float], limit_c: float, fever_c: float) -> str:
    """A picture of both heaps, each as shares of its own people."""
    low, high = _range(well, sick, limit_c)

    def x(celsius: float) -> float:
        return _MARGIN + (celsius - low) / (high - low) * (_WIDTH - 2 * _MARGIN)

    bars = [*_bars(well, low, high, x, "#4878a8"), *_bars(sick, low, high, x, "#c04838")]
    ticks = [
        f'<text x="{x(celsius):.1f}" y="{_HEIGHT - _MARGIN + 16}" text-anchor="middle">{celsius}</text>'
        for celsius in range(math.ceil(low), math.floor(high) + 1)
    ]
    legend = f"blue: {len(well)} others · red: {len(sick)} with {fever_c:.1f} °C or more · limit {limit_c:.2f} °C"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">'
    )
    line = (
        f'<line x1="{x(limit_c):.1f}" x2="{x(limit_c):.1f}" y1="{_MARGIN / 2}" y2="{_HEIGHT - _MARGIN}" '
        'stroke="black" stroke-dasharray="4 3"/>'
    )
    return "\n".join(
        (
            head,
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
            *bars,
            line,
            *ticks,
            f'<text x="{_MARGIN}" y="16">{legend}</text>',
            "</svg>\n",
        )
    )


def _bars(
    values: Sequence[float], low: float, high: float, x: Callable[[float], float], colour: str
) -> Iterator[str]:
    """One heap, its tallest column as high as the picture."""
    heap = _heap(values, low, high)
    tallest = max(heap, default=0) or 1
    wide = (_WIDTH - 2 * _MARGIN) / _COLUMNS
    for column, count in enumerate(heap):
        tall = count / tallest * (_HEIGHT - 2 * _MARGIN)
        left, top = x(low + column * (high - low) / _COLUMNS), _HEIGHT - _MARGIN - tall
        yield (
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{tall:.1f}" '
            f'fill="{colour}" fill-opacity="0.55"/>'
        )


def _range(well: Sequence[float], sick: Sequence[float], limit_c: float) -> tuple[float, float]:
    """Whole half degrees around everything."""
    values = (*well, *sick, limit_c)
    return math.floor(2 * min(values)) / 2, math.floor(2 * max(values)) / 2 + 0.5


def _column(celsius: float, low: float, high: float) -> int:
    return min(_COLUMNS - 1, int((celsius - low) / (high - low) * _COLUMNS))


def _heap(values: Sequence[float], low: float, high: float) -> list[int]:
    heap = [0] * _COLUMNS
    for value in values:
        heap[_column(value, low, high)] += 1
    return heap


def _strip(heap: list[int]) -> str:
    tallest = max(heap) or 1
    return "".join(_BLOCKS[math.ceil(count / tallest * (len(_BLOCKS) - 1))] for count in heap)
