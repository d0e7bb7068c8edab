"""Drawings (SVG) that students' code made: written anew from what is known.

A drawing is only ever the source of an ``img`` element; it is cleaned all
the same, because it can be opened alone, where it could act.
"""

from __future__ import annotations

import base64
import re
from html import escape
from typing import Any
from xml.parsers import expat

from attncourse.grading.pages import safe
from attncourse.grading.pages.pictures import MAX_BYTES, joined_text, raster

MAX_ELEMENTS = 30_000
MAX_DEPTH = 60
KNOWN = """
svg g path rect circle ellipse line polyline polygon text tspan title desc
defs clipPath linearGradient radialGradient stop use image
"""
ELEMENTS = frozenset(KNOWN.split())
PLACES = """
version viewBox preserveAspectRatio width height x y x1 y1 x2 y2 cx cy r rx
ry fx fy dx dy d points transform id offset gradientUnits gradientTransform
spreadMethod clipPathUnits pathLength textLength lengthAdjust rotate role
aria-label
"""
ATTRIBUTES = frozenset(PLACES.split())
STYLES = """
fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-linecap
stroke-linejoin stroke-dasharray stroke-dashoffset stroke-miterlimit opacity
stop-color stop-opacity clip-path clip-rule font font-family font-size
font-style font-weight font-variant font-stretch text-anchor
dominant-baseline alignment-baseline color letter-spacing word-spacing
visibility display text-decoration text-rendering shape-rendering
image-rendering
"""
LOOKS = frozenset(STYLES.split())
LOCAL = re.compile(r"url\(\s*#[\w.:-]+\s*\)\Z")
HARMLESS = re.compile(r"[\w\s#.,%()+'\"-]*\Z")
LINK = ("href", "xlink:href")
SVG_NAMESPACE = "http://www.w3.org/2000/svg"


def vector(source: Any) -> str | None:
    """Return the address of an SVG with nothing in it but a drawing.

    What is not known to be harmless is left out; None stands for what is
    no drawing at all.
    """
    whole = joined_text(source).strip()
    if not whole or len(whole) > MAX_BYTES:
        return None
    writer = _Writer()
    try:
        writer.read(UNDRAWN.sub("", whole))
    except (expat.ExpatError, ValueError):
        return None
    drawn = "".join(writer.out)
    if not drawn.startswith("<svg"):
        return None
    coded = base64.b64encode(drawn.encode("utf-8", "replace")).decode()
    return f"data:image/svg+xml;base64,{coded}"


# A declaration that names its type, as matplotlib writes it; one that
# defines entities stays, and is refused.
UNDRAWN = re.compile(
    r"\A\s*(?:<\?xml[^<>]*\?>)?\s*(?:<!DOCTYPE\s[^<>\[\]]*>)?"
)


class _Writer:
    """Writes anew the elements and attributes that are known."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.depth = 0
        self.count = 0
        # The depth of an element that is left out with all that it holds.
        self.silent = 0
        self.clipping = 0
        self.shapes: set[str] = set()

    def read(self, source: str) -> None:
        parser = expat.ParserCreate()
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.data
        parser.StartDoctypeDeclHandler = _refuse
        parser.EntityDeclHandler = _refuse
        parser.Parse(source, True)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        self.count += 1
        if self.count > MAX_ELEMENTS or self.depth > MAX_DEPTH:
            raise ValueError("a drawing must not be that large")
        if self.silent:
            return
        short = name.removeprefix("svg:")
        kept = self._kept(short, attributes)
        if kept is None or (self.depth == 1 and short != "svg"):
            self.silent = self.depth
            return
        if short == "clipPath":
            self.clipping = self.clipping or self.depth
        if self.depth == 1:
            kept["xmlns"] = SVG_NAMESPACE
        written = "".join(f' {k}="{escape(v)}"' for k, v in kept.items())
        self.out.append(f"<{short}{written}>")

    def _kept(self, name: str, given: dict[str, str]) -> dict | None:
        if name not in ELEMENTS:
            return None
        kept = {
            key: value
            for key, value in given.items()
            if key in ATTRIBUTES and len(value) < MAX_BYTES
        }
        for key, value in given.items():
            if key in LOOKS and self._harmless(key, value):
                kept[key] = value
        style = self._style(given.get("style", ""))
        if style:
            kept["style"] = style
        target = next((given[key] for key in LINK if key in given), "")
        if name == "use":
            # Only a single shape: uses of uses unfold without end.
            if target[1:] not in self.shapes or target[:1] != "#":
                return None
            kept["href"] = target
        if name == "image":
            head, _, data = target.partition(";base64,")
            source = raster(head.removeprefix("data:"), data)
            if source is None:
                return None
            kept["href"] = source
        if name == "path" and "id" in kept:
            self.shapes.add(kept["id"])
        return kept

    def _style(self, value: str) -> str:
        pairs = (part.partition(":") for part in value.split(";"))
        return "; ".join(
            f"{key.strip()}: {look.strip()}"
            for key, _, look in pairs
            if key.strip() in LOOKS
            and self._harmless(key.strip(), look.strip())
        )

    def _harmless(self, key: str, value: str) -> bool:
        if "url" in value.lower():
            if key == "clip-path" and self.clipping:
                return False
            return key in ("clip-path", "fill", "stroke") and bool(
                LOCAL.match(value.strip())
            )
        return len(value) < 500 and bool(HARMLESS.match(value))

    def end(self, name: str) -> None:
        if not self.silent:
            self.out.append(f"</{name.removeprefix('svg:')}>")
        if self.clipping == self.depth:
            self.clipping = 0
        if self.silent == self.depth:
            self.silent = 0
        self.depth -= 1

    def data(self, text: str) -> None:
        if not self.silent:
            self.out.append(escape(safe.text(text), quote=False))


def _refuse(*_: Any) -> None:
    raise ValueError("a drawing must not declare types or entities")
