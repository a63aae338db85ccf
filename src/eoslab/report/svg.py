"""Drawings inside the page: SVG that follows the page's colours, PNG where there is too much to draw."""

from __future__ import annotations

import base64
import re
from typing import Any

import numpy as np

from eoslab.plots import render
from eoslab.plots.style import BAND, DARK, INK, MUTED

__all__ = ["POINTS_MAX", "colour_variables", "drawn_points", "inline", "variable"]

#: Above so many drawn points a picture is smaller and faster as PNG.
POINTS_MAX = 20_000

#: Fills keep their hue on a dark page.
_COLOURS = {**DARK, **{fill: DARK.get(fill, fill) for fill in (*BAND.values(), INK, MUTED)}}


def inline(drawing: Any, prefix: str, alt: str, size: str = "double") -> str:
    """The drawing as an element of the page; ``prefix`` keeps its identifiers apart from other drawings'."""
    from html import escape

    if drawn_points(drawing) > POINTS_MAX:
        data = base64.b64encode(render(drawing, "png", size=size, dpi=200)).decode()
        return f'<img class="plot {size}" alt="{escape(alt, quote=True)}" src="data:image/png;base64,{data}">'
    text = render(drawing, "svg", size=size).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.S)
    text = _own_identifiers(_joined_dots(text), prefix)
    text = re.sub(r' d="([^"]*)"', lambda m: f' d="{_shorter(m[1])}"', text)
    # one set of drawings for a light and a dark page: colours become variables of the style sheet
    for light in _COLOURS:
        text = re.sub(re.escape(light), f"var({variable(light)})", text, flags=re.I)
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text).groups()  # type: ignore[union-attr]
    head = f'<svg class="plot {size}" role="img" aria-label="{escape(alt, quote=True)}"'
    head += f' viewBox="0 0 {width} {height}"'
    head += ' xmlns:xlink="http://www.w3.org/1999/xlink"' if "xlink:href" in text else ""
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"<svg[^>]*>", head + ">", text, count=1)).strip()


def colour_variables(dark: bool) -> str:
    """The declarations that give the drawings' colours for a light or a dark page."""
    return "".join(f"{variable(c)}:{d if dark else c};" for c, d in _COLOURS.items())


def drawn_points(drawing: Any) -> int:
    """How many vertices the drawing has in its data."""
    count = 0
    for ax in drawing.axes:
        count += sum(len(line.get_xdata()) for line in ax.lines)
        for collection in ax.collections:
            offsets = np.ma.getdata(collection.get_offsets())
            count += max(len(offsets), sum(len(p.vertices) for p in collection.get_paths()))
    return count


def variable(colour: str) -> str:
    """The name under which the page's style sheet knows a colour of the drawings."""
    return "--c" + colour.lstrip("#").lower()


def _joined_dots(text: str) -> str:
    """Clouds of round dots as one path each: a stroke of no length with round ends is a dot in few bytes."""

    def join(found: re.Match[str]) -> str:
        radius, styles = float(found["radius"]), set(re.findall(r'style="([^"]*)"', found["uses"]))
        places = re.findall(r' x="([\d.-]+)" y="([\d.-]+)"', found["uses"])
        fill = re.fullmatch(r"fill: (#\w{6})", styles.pop()) if len(styles) == 1 else None
        if len(places) < 20 or fill is None:
            return found[0]
        strokes = "".join(f"M{float(x):.2f} {float(y):.2f}h0" for x, y in places)
        style = f"fill: none; stroke: {fill[1]}; stroke-width: {2 * radius:g}; stroke-linecap: round"
        return f'{found["defs"]}{found["open"]}<path d="{strokes}" style="{style}"/>\n</g>'

    # matplotlib writes a marker once, centred at 0 and begun at its top, and then a 'use' for each place
    pattern = (
        r'(?P<defs><defs>\s*<path id="(?P<id>[^"]+)" d="M 0 (?P<radius>[\d.]+) \s*C[^"]*"[^>]*/>\s*</defs>\s*)'
        r'(?P<open><g[^>]*>)\s*(?P<uses>(?:<use xlink:href="#(?P=id)"[^>]*/>\s*)+)</g>'
    )
    return re.sub(pattern, join, text)


def _own_identifiers(text: str, prefix: str) -> str:
    """Only identifiers that are referred to stay, and they belong to this drawing."""
    used = set(re.findall(r"(?:#|url\(#)([\w.:-]+)", text))
    # a colour also begins with '#': harmless, no identifier looks like one
    names = {name: f"{prefix}-{i}" for i, name in enumerate(re.findall(r' id="([^"]+)"', text)) if name in used}
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{names[m[1]]}"' if m[1] in names else "", text)
    text = re.sub(r'xlink:href="#([^"]+)"', lambda m: f'href="#{names[m[1]]}"', text)
    return re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{names[m[1]]})", text)


def _shorter(path: str) -> str:
    """Hundredths of a point are below what any printer resolves."""
    path = re.sub(r"-?\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), path)
    return re.sub(r"\s+", " ", path).strip()
