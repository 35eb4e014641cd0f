"""How figures look: small calm panels, colours that colour-blind readers tell apart, the same bytes each time."""

from __future__ import annotations

import gc
import io
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

if TYPE_CHECKING:
    import polars as pl

INK, MUTED, RULE, PAPER = "#1d2733", "#5b6775", "#d4dae1", "#fefefe"

# Okabe & Ito's palette; its yellow and black are left out: one is lost on white, the other on a dark page.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
#: Of deficits, as the palette is the sources'.
UMBER = "#8a6a2a"
# On the page these become CSS variables, so that figures follow its dark mode.
VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
    BLUE: "var(--first)",
    VERMILLION: "var(--second)",
    PURPLE: "var(--both)",
    GREEN: "var(--third)",
    UMBER: "var(--deficit)",
}
# From little to much, each step darker (ColorBrewer's BuPu, without its palest); on a dark page each step lighter.
DEPTHS = ("#9ebcda", "#8c96c6", "#8856a7", "#5c0a5e")
VARIABLES |= {colour: f"var(--depth-{i})" for i, colour in enumerate(DEPTHS)}
SOURCES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

WIDTH, HEIGHT = 4.2, 3.2  # inches of a panel
SMALLEST_FONT = 9.6
#: Where an axis of RSV has its ticks, and how they are written.
RSV_TICKS = [-1, -0.5, 0, 0.5, 1], ["−1", "−0.5", "0", "+0.5", "+1"]
#: Digits and a minus as exponents.
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
#: Dots an inch: sharp in a notebook and on a slide.
DPI = 144
#: Mean width of a character of the figure's font, in units of its size: DejaVu Sans, the widest of the usual ones.
CHARACTER = 0.6

_RC: dict[Any, Any] = {
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
    "font.size": SMALLEST_FONT,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.titlecolor": INK,
    "axes.labelsize": SMALLEST_FONT,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": SMALLEST_FONT,
    "text.color": INK,
    "figure.facecolor": PAPER,
    "hatch.linewidth": 0.8,
    "text.parse_math": False,  # a name with two dollar signs is no formula
    "svg.fonttype": "none",  # text stays text: small, searchable, set in the reader's own font
    "svg.hashsalt": "chiasm",  # ids that do not change from run to run
    "path.simplify_threshold": 0.2,
}
for _tick in ("xtick", "ytick"):
    _RC |= {f"{_tick}.color": MUTED, f"{_tick}.labelcolor": INK}
    _RC |= {f"{_tick}.labelsize": SMALLEST_FONT, f"{_tick}.major.size": 3}


@contextmanager
def theme() -> Iterator[None]:
    """Draw and save figures in the report's look; matplotlib's settings are put back afterwards."""
    # Figures are cycles of thousands of objects, which the collector would walk over and over while they are in use.
    collecting = gc.isenabled()
    gc.disable()
    try:
        with mpl.rc_context():
            mpl.rcdefaults()  # a user's matplotlibrc must not reach the report
            mpl.rcParams.update(_RC)
            yield
    finally:
        if collecting:
            gc.enable()


@dataclass(frozen=True)
class Panel:
    """One figure of the report.

    Attributes:
        name: file name without its ending.
        figure: the picture.
        caption: one or two sentences below it; says what is drawn, never what it means.
        data: the numbers that are drawn, a row each, for people to download; None: read off the figure.
    """

    name: str
    figure: Figure
    caption: str
    data: pl.DataFrame | None = None


def canvas(height: float = HEIGHT, width: float = WIDTH) -> Figure:
    """Return an empty figure, in inches, that belongs to no window; a notebook shows it all the same."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    # IPython knows how to show figures only once pyplot has been used.
    vars(figure)["_repr_png_"] = partial(png, figure)
    return figure


def axes_on(figure: Figure, left: float = 0.62, right: float = 0.2, bottom: float = 0.56, top: float = 0.38) -> Axes:
    """Return axes with margins in inches, so that labels fit whatever the height of the figure."""
    width, height = figure.get_size_inches()
    return figure.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    )


def rules(axes: Axes, axis: Literal["x", "y", "both"] = "y") -> None:
    """Draw faint lines across the axes at the ticks of an axis."""
    axes.grid(True, axis=axis)


def power(value: float) -> str:
    """A power of ten as text, which an axis writes without formulas: "10⁻³"; nothing between two powers.

    >>> power(0.001), power(1.0), power(20.0)
    ('10⁻³', '1', '')
    """
    exponent = round(math.log10(value)) if value > 0 else 0
    if not math.isclose(value, 10.0**exponent):
        return ""
    return f"10{str(exponent).translate(RAISED)}" if exponent else "1"


def powers(axis: Axis) -> None:
    """Write the ticks of a logarithmic axis as powers of ten; matplotlib's are formulas, which no figure sets."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))


def rsv_axis(axes: Axes, ends: tuple[str, str]) -> None:
    """Label the x axis as RSV, its ends in words: what -1 means and what +1 means."""
    axes.set_xticks(*RSV_TICKS)
    axes.set_xlabel("RSV of a unit", labelpad=14)
    for x, words, side in ((0.0, f"−1: {ends[0]}", "left"), (1.0, f"+1: {ends[1]}", "right")):
        axes.annotate(words, (x, 0), (0, -19), "axes fraction", "offset points", ha=side, va="top", color=MUTED)


def legend(figure: Figure, handles: Sequence[Line2D], columns: int = 1, left: float = 0.08) -> None:
    """Put a legend into the margin below the axes, where it hides nothing."""
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(left, 0.01),
        ncols=columns,
        borderpad=0,
        labelspacing=0.35,
        columnspacing=1.4,
        handlelength=1.8,
    )


def dodge(n: int, step: float) -> list[float]:
    """Return n offsets around 0, `step` apart."""
    return [(i - (n - 1) / 2) * step for i in range(n)]


def shorten(text: str, longest: int) -> str:
    """Cut a text to a number of characters, with an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def tail(text: str, longest: int) -> str:
    """Cut a dotted name at its beginning, at a dot where one is near: of a layer's name the end says most.

    >>> tail("encoder.layers.11.mlp.act", 14), tail("a_very_long_name_indeed", 14)
    ('…11.mlp.act', '…g_name_indeed')
    """
    if len(text) <= longest:
        return text
    end = text[1 - longest :]
    dot = end.find(".")
    return "…" + (end[dot + 1 :] if dot < longest // 2 else end)


def png(figure: Figure) -> bytes:
    """Return the figure as PNG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    # Runs of one colour are what a chart is made of: packing nothing else takes half the time for a tenth more bytes.
    packing = {"compress_level": 1, "compress_type": zlib.Z_RLE}
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs=packing)
    return buffer.getvalue()


def svg(figure: Figure) -> str:
    """Return the figure as an SVG document; equal figures give equal text."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def inline(document: str, prefix: str, label: str) -> str:
    """Turn an SVG document into an element for the page.

    Args:
        document: what `svg` returned.
        prefix: put before every id, since all figures share the page's ids.
        label: what a screen reader says; plain text, quoted for an attribute by the caller.
    """
    body = re.sub(r"\s*<metadata>.*?</metadata>", "", document[document.index("<svg") :], flags=re.S)
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = re.sub(r'(xlink:href="|url\()#', rf"\g<1>#{prefix}-", body)
    body = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{label}">', body, count=1
    )
    body = body.replace("xlink:href=", "href=")
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, variable)
    return re.sub(r"\n\s*", "\n", body).strip()
