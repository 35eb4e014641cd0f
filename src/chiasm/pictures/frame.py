"""The frame of every page: one HTML file that needs nothing but itself, and the parts that pages share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from importlib import resources

from chiasm.pictures.style import Panel, inline


def frame(
    title: str,
    kicker: str,
    heading: str,
    sections: Sequence[tuple[str, str, str]],
    footer: str,
    *,
    style: str,
    data: str = "",
    script: str = "",
) -> str:
    """Return a page that opens offline, with a policy that lets nothing in or out.

    Args:
        title: of the window.
        kicker: the line above the heading.
        heading: of the page.
        sections: (id, title, HTML) each.
        footer: HTML of the last line.
        style: CSS.
        data: HTML before the script.
        script: JavaScript; without it the policy allows none.
    """
    links = "".join(f'<li><a href="#{key}">{escape(name)}</a></li>' for key, name, _ in sections)
    body = "\n".join(
        f'<section id="{key}">\n<h2>{escape(name)}</h2>\n{html}\n</section>' for key, name, html in sections
    )
    scripts = " script-src 'unsafe-inline';" if script else ""
    policy = f"default-src 'none'; style-src 'unsafe-inline';{scripts} img-src data:"
    end = f"{data}<script>\n{script}</script>\n" if script else data
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<header>
<p class="study">{escape(kicker)}</p>
<h1>{escape(heading)}</h1>
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main>
{body}
</main>
<footer><p>{footer}</p></footer>
{end}</body>
</html>
"""


def asset(name: str, room: str = "chiasm.pictures") -> str:
    """Return a file of a package as text."""
    return resources.files(room).joinpath(name).read_text(encoding="utf-8")


def lead(text: str) -> str:
    """Return the muted paragraph that opens a section."""
    return f'<p class="lead">{escape(text)}</p>\n'


def bullets(items: Sequence[str]) -> str:
    """Return sentences as a list."""
    return "<ul>\n" + "\n".join(f"<li>{escape(item)}</li>" for item in items) + "\n</ul>"


def item(topic: str, text: str) -> str:
    """Return one line of a reading: what it is about, and what is said of it."""
    return f'<li><span class="topic">{sentence(topic)}</span><span>{sentence(text)}</span></li>'


def sentence(text: str) -> str:
    """Escape a sentence, and keep numbers together with their units and intervals in one piece."""
    kept = re.sub(r"(?<=\d) (?=%|points?\b|epochs?\b|seeds?\b)", "\u00a0", text)
    kept = re.sub(r"\[[^\]]*\]", lambda m: m[0].replace(" ", "\u00a0") if len(m[0]) < 20 else m[0], kept)
    return escape(kept)


def scroll(table: str, label: str) -> str:
    """Return a wide table in a box that scrolls by itself."""
    box = f'<div class="scroll" role="region" aria-label="{escape(label, quote=True)}" tabindex="0">'
    return f"{box}\n{table}\n</div>"


def gallery(panels: Sequence[tuple[Panel, str]]) -> str:
    """Return figures side by side; each with the SVG document it was saved as."""
    figures = []
    for panel, document in panels:
        picture = inline(document, panel.name, escape(panel.caption, quote=True))
        caption = f"<figcaption>{sentence(panel.caption)}</figcaption>"
        figures.append(f'<figure id="figure-{panel.name}">\n{picture}\n{caption}\n</figure>')
    return '<div class="figures">\n' + "\n".join(figures) + "\n</div>\n" if figures else ""
