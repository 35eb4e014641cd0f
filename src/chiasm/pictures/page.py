"""Pages: one HTML file each that needs nothing but itself, written by templates that escape all they are given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from chiasm.files import write_whole
from chiasm.pictures.drawn import drawn
from chiasm.pictures.style import Panel, inline, png, svg

ROOM = "chiasm.pictures"


@dataclass(frozen=True)
class Figure:
    """A figure on a page.

    Attributes:
        name: file name without its ending.
        caption: below it, plain text.
        picture: an SVG element for the page.
    """

    name: str
    caption: str
    picture: Markup


def render(template: str, room: str, **context: Any) -> str:
    """Return a page.

    Args:
        template: its file in the folder `templates` of a package; it may extend `frame.html` and use `parts.html`.
        room: the package, "chiasm.report".
        context: what the template names; text is escaped, `Markup` is not.
    """
    return _environment(room).get_template(template).render(**context)


def asset(name: str, room: str = ROOM) -> Markup:
    """Return a style sheet or a script of a package, as it stands."""
    return Markup(resources.files(room).joinpath("templates", name).read_text(encoding="utf-8"))


def written(panel: Panel, folder: Path) -> Figure:
    """Write a panel into a page's folder, as SVG, PNG and its numbers as CSV, and return it as a figure of the page."""
    document = svg(panel.figure)
    write_whole(folder / "figures" / f"{panel.name}.svg", document.encode())
    write_whole(folder / "figures" / f"{panel.name}.png", png(panel.figure))
    write_whole(folder / "figures" / f"{panel.name}.csv", numbers(panel))
    return shown(panel, document)


def numbers(panel: Panel) -> bytes:
    """Return the numbers of a panel as CSV: those that it carries, or else what its figure shows, point by point."""
    from polars import selectors

    data = drawn(panel.figure) if panel.data is None else panel.data
    # Seven digits that count: a loss of 1e-8 is no zero.
    return data.with_columns(selectors.float().round_sig_figs(7)).write_csv().encode()


def shown(panel: Panel, document: str) -> Figure:
    """Return a panel as a figure of a page, from the SVG document that it was saved as."""
    picture = inline(document, panel.name, escape(panel.caption, quote=True))
    return Figure(panel.name, panel.caption, Markup(picture))


def unbroken(text: str) -> str:
    """Keep numbers together with their units and intervals in one piece."""
    kept = re.sub(r"(?<=\d) (?=%|points?\b|epochs?\b|seeds?\b)", "\u00a0", text)
    return re.sub(r"\[[^\]]*\]", lambda m: m[0].replace(" ", "\u00a0") if len(m[0]) < 20 else m[0], kept)


def slug(text: str) -> str:
    """Return a text as an id of a page."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def by_name(figures: Sequence[Figure], names: Sequence[str]) -> list[Figure]:
    """Return the figures of these names, in this order."""
    known = {figure.name: figure for figure in figures}
    return [known[name] for name in names if name in known]


@cache
def _environment(room: str) -> Environment:
    loader = ChoiceLoader([PackageLoader(package) for package in dict.fromkeys((room, ROOM))])
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"unbroken": unbroken, "slug": slug}
    return environment
