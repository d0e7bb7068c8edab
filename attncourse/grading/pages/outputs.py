"""The outputs of cells, in nbformat's form, for a page or for Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from attncourse.grading.pages import markup, safe
from attncourse.grading.pages.drawings import vector
from attncourse.grading.pages.pictures import STARTS, joined_text, raster

# Says what a program found; the page shows that in words of its own.
VERDICT_MIME = "application/vnd.attncourse.verdict+json"
HEAD, TAIL = 8_000, 2_000


@dataclass
class Budget:
    """How much of what students' code put out a page still takes."""

    characters: int = 400_000
    marked_up: int = 200_000
    pictures: int = 8 << 20
    items: int = 400

    def take(self, kind: str, amount: int) -> bool:
        """Reserve an amount, and return whether there was so much left."""
        left = getattr(self, kind)
        if amount > left or self.items <= 0:
            return False
        setattr(self, kind, left - amount)
        return True


def as_html(outputs: Any, budget: Budget) -> str:
    """Return outputs as HTML that cannot act."""
    parts = []
    for output in _merged(outputs):
        budget.items -= 1
        if budget.items <= 0:
            parts.append("<p>(more outputs are left out)</p>")
            break
        parts.append(_output(output, budget))
    return "".join(parts)


def as_text(outputs: Any, budget: Budget) -> list[str]:
    """Return outputs as blocks of text; a picture is a sentence."""
    blocks = []
    for output in _merged(outputs):
        budget.items -= 1
        if budget.items <= 0:
            blocks.append("(more outputs are left out)")
            break
        blocks.append(_cut(_said(output), budget))
    return [block for block in blocks if block.strip()]


def _said(output: dict[str, Any]) -> str:
    if output.get("output_type") == "stream":
        return output["text"]
    if output.get("output_type") == "error":
        return _error(output)
    data = output.get("data")
    if not isinstance(data, dict) or VERDICT_MIME in data:
        return ""
    if any(str(kind).startswith("image/") for kind in data):
        return "(a picture; the page shows it)"
    return joined_text(data.get("text/plain"))


def failed(outputs: Any) -> bool:
    """Return whether a cell ended with an error."""
    return any(o.get("output_type") == "error" for o in _merged(outputs))


def _merged(outputs: Any) -> Iterator[dict[str, Any]]:
    """Yield each output; texts of one stream that follow are one."""
    name: Any = ""
    texts: list[str] = []
    for output in outputs if isinstance(outputs, list | tuple) else ():
        if not isinstance(output, dict):
            continue
        streams = output.get("output_type") == "stream"
        if texts and not (streams and output.get("name") == name):
            yield _stream(name, texts)
            texts = []
        if streams:
            name = output.get("name")
            texts.append(joined_text(output.get("text")))
        else:
            yield output
    if texts:
        yield _stream(name, texts)


def _stream(name: Any, texts: list[str]) -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": "".join(texts)}


def _output(output: dict[str, Any], budget: Budget) -> str:
    kind = output.get("output_type")
    if kind == "stream":
        name = "printed to stderr" if output.get("name") == "stderr" else ""
        return _pre(output["text"], budget, name)
    if kind == "error":
        return _pre(_error(output), budget, "error", "err")
    data = output.get("data")
    if not isinstance(data, dict) or VERDICT_MIME in data:
        return ""
    return _bundle(data, budget)


def _error(output: dict[str, Any]) -> str:
    traceback = output.get("traceback")
    lines = traceback if isinstance(traceback, list) else []
    text = "\n".join(each for each in lines if isinstance(each, str))
    if text.strip():
        return text
    name = safe.name(output.get("ename") or "Error")
    return f"{name}: {joined_text(output.get('evalue'))}"


def _bundle(data: dict[str, Any], budget: Budget) -> str:
    """Return the richest form that is harmless."""
    plain = joined_text(data.get("text/plain"))
    marked = joined_text(data.get("text/html"))
    if marked and budget.take("marked_up", len(marked)):
        return f'<div class="theirs">{markup.html(marked)}</div>'
    picture = _picture(data)
    if picture and budget.take("pictures", len(picture)):
        alt = escape(safe.name(plain or "picture"))
        return f'<p class="picture"><img src="{picture}" alt="{alt}"></p>'
    source = joined_text(data.get("text/markdown"))
    if source and budget.take("marked_up", len(source)):
        return f'<div class="theirs">{markup.markdown(source)}</div>'
    if picture or any(str(kind).startswith("image/") for kind in data):
        return "<p>(a picture that cannot be shown)</p>"
    return _pre(joined_text(data.get("text/latex")) or plain, budget)


def _picture(data: dict[str, Any]) -> str | None:
    drawn = vector(data.get("image/svg+xml"))
    if drawn:
        return drawn
    return next(
        (
            found
            for kind in STARTS
            if kind in data and (found := raster(kind, data[kind]))
        ),
        None,
    )


def _pre(text: str, budget: Budget, title: str = "", kind: str = "") -> str:
    shown = _cut(text, budget)
    if not shown.strip():
        return ""
    above = f'<p class="kind">{title}</p>' if title else ""
    look = f' class="{kind}"' if kind else ""
    return f"{above}<pre{look}>{escape(shown, quote=False)}</pre>"


def _cut(text: str, budget: Budget) -> str:
    """Return a text's beginning and end, and say what lies between."""
    if len(text) > HEAD + TAIL:
        left_out = len(text) - HEAD - TAIL
        text = (
            f"{text[:HEAD]}\n... {left_out:,} characters are left out ...\n"
            f"{text[-TAIL:]}"
        )
    if not budget.take("characters", len(text)):
        return "(left out: the page shows enough of these outputs)"
    return safe.text(text).rstrip("\n")
