"""What a chapter's source says: its prose, cells, labels and citations."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"

BANNED = re.compile(r"\b(simply|obviously|just)\b", re.IGNORECASE)
TYPED = re.compile(
    r"\d+\.\d+"  # a decimal
    r"|(?<![\w,.])\d{1,3}(?:(?:,|\\,|\{,\})\d{3})+"  # 1,797
    r"|(?<!\w)\d{3,}"  # 1797
)
# Constants that belong to a definition; nothing computes them.
DEFINED = {"10000"}
# "Section 3.1" names a place, whoever numbered it.
PLACE = re.compile(
    r"(?:\b(?:sections?|sec\.|equations?|eqs?\.|appendix|table|figure|"
    r"theorem|algorithm|chapters?)|\u00a7)\s*\d+(?:\.\d+)*"
    r"(?:\s*(?:,|and|to|-|\u2013)\s*\d+(?:\.\d+)*)*",
    re.IGNORECASE,
)
FENCE = re.compile(r"^(\s*)(`{3,}|:{3,}|~{3,})\s*(\{([\w:-]+)\})?(.*)$")
OPTION = re.compile(r"^\s*:[\w-]+:")
LABEL = re.compile(r"^\s*\(([\w:.-]+)\)=\s*$", re.MULTILINE)
CITED = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")
# Directives whose content is code or a path, not prose.
CODE = {"code-cell", "code-block", "literalinclude", "bibliography", None}


def chapters() -> list[Path]:
    """Return every page of the book."""
    return sorted(BOOK.glob("*.md"))


def blocks(text: str) -> list[tuple[int, str, str | None]]:
    """Return (line number, line, directive) for each line of a page.

    The directive is the innermost one around the line, "prose" outside
    of any, "skip" for fences, options and front matter, None in a plain
    code block.
    """
    lines = text.splitlines()
    out, open_fences = [], []
    front = bool(lines) and lines[0] == "---"
    options = False
    for number, line in enumerate(lines, 1):
        if front:
            out.append((number, line, "skip"))
            front = number == 1 or line != "---"
            continue
        fence = FENCE.match(line)
        inside = open_fences[-1] if open_fences else None
        if fence and inside and _closes(fence, inside):
            open_fences.pop()
            out.append((number, line, "skip"))
        elif fence and (inside is None or inside[1] not in CODE):
            open_fences.append((fence[2], fence[4]))
            title = (fence[5] or "") if fence[4] not in CODE else ""
            out.append((number, title, "title" if title else "skip"))
            options = True
            continue
        elif inside and options and OPTION.match(line):
            out.append((number, line, "option"))
            continue
        else:
            out.append((number, line, inside[1] if inside else "prose"))
        options = False
    return out


def _closes(fence: re.Match, inside: tuple[str, str | None]) -> bool:
    return (
        fence[3] is None
        and not fence[5].strip()
        and fence[2][0] == inside[0][0]
        and len(fence[2]) >= len(inside[0])
    )


def prose(text: str) -> list[tuple[int, str]]:
    """Return a page's numbered lines of prose and mathematics.

    Code, roles, labels, options, link targets and addresses are gone.
    """
    kept = []
    for number, line, where in blocks(text):
        if where in CODE or where in ("skip", "option"):
            continue
        if LABEL.match(line):
            continue
        # A place in a cited work: {cite:t}`vaswani2017`, 3.2.2
        line = re.sub(r"(\{cite(?::\w+)?\}`[^`]*`), \d+(\.\d+)*", r"\1", line)
        # {ref}`words <target>` keeps its words; other roles go entirely.
        line = re.sub(r"\{[\w:-]+\}`([^`<]*)<[^`]*>`", r"\1", line)
        line = re.sub(r"\{[\w:.-]+\}`[^`]*`", " ", line)
        line = re.sub(r"`+[^`]*`+", " ", line)
        line = re.sub(r"\]\([^)]*\)", "]", line)
        line = re.sub(r"https?://\S+", " ", line)
        line = PLACE.sub(" ", line)
        line = re.sub(r"^\$\$\s*\([\w-]+\)\s*$", "$$", line)
        line = re.sub(r"\\label\{[^}]*\}|<!--.*?-->", " ", line)
        kept.append((number, line))
    return kept


def typed_numbers(text: str) -> list[str]:
    """Return what looks measured or computed but was typed."""
    found = [
        f"line {number}: {match[0]}"
        for number, line in prose(text)
        for match in TYPED.finditer(line)
        if re.sub(r"\D", "", match[0]) not in DEFINED
    ]
    for call in shows(text):
        for words in _constants(call):
            found += [
                f"caption or alt: {match[0]}"
                for match in TYPED.finditer(words)
                if re.sub(r"\D", "", match[0]) not in DEFINED
            ]
    return found


def banned_words(text: str) -> list[str]:
    """Return words that belittle the reader's trouble."""
    return [
        f"line {number}: {match[0]}"
        for number, line in prose(text)
        for match in BANNED.finditer(line)
    ]


def cells(text: str) -> list[str]:
    """Return the code of a page's code cells."""
    out: list[str] = []
    previous = None
    for _, line, where in blocks(text):
        if where == "code-cell":
            if previous != "code-cell":
                out.append("")
            out[-1] += line + "\n"
        previous = where
    return out


def calls(text: str, name: str) -> list[ast.Call]:
    """Return the calls of ``fig.name`` in a page's cells."""
    return [
        node
        for cell in cells(text)
        for node in ast.walk(ast.parse(cell))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == name
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "fig"
    ]


def shows(text: str) -> list[ast.Call]:
    """Return the calls of ``fig.show`` in a page's cells."""
    return calls(text, "show")


def _constants(call: ast.Call) -> list[str]:
    return [
        node.value
        for keyword in call.keywords
        for node in ast.walk(keyword.value)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        # A format specification inside an f-string is no number.
        and not _is_spec(node, keyword.value)
    ]


def _is_spec(constant: ast.Constant, tree: ast.AST) -> bool:
    return any(
        constant in ast.walk(node.format_spec)
        for node in ast.walk(tree)
        if isinstance(node, ast.FormattedValue) and node.format_spec
    )


def without_words(text: str) -> list[int]:
    """Return the figures, by cell line, that say no `alt`."""
    return [
        call.lineno
        for call in shows(text)
        if "alt" not in {keyword.arg for keyword in call.keywords}
    ]


def labels(text: str) -> list[str]:
    """Return the labels that a page defines."""
    return LABEL.findall(text)


def citations(text: str) -> set[str]:
    """Return the keys that a page cites."""
    return {
        key.strip()
        for group in CITED.findall(text)
        for key in group.split(",")
    }


def bibliography(text: str) -> list[str]:
    """Return the keys of a bibliography."""
    return re.findall(r"^@\w+\{([^,\s]+),", text, re.MULTILINE)


def listings(text: str) -> list[tuple[str, str | None]]:
    """Return (path, object) for each literalinclude of a page."""
    out: list[tuple[str, str | None]] = []
    for line in text.splitlines():
        start = re.match(r"^\s*`{3,}\{literalinclude\}\s*(\S+)", line)
        thing = re.match(r"^\s*:pyobject:\s*(\S+)", line)
        if start:
            out.append((start[1], None))
        elif thing and out:
            out[-1] = (out[-1][0], thing[1])
    return out


def broken_listings(page: Path) -> list[str]:
    """Return the listings of a page that show nothing."""
    broken = []
    for path, name in listings(page.read_text(encoding="utf-8")):
        file = (page.parent / path).resolve()
        if not file.is_file():
            broken.append(f"{path} does not exist")
        elif name and name not in _objects(file):
            broken.append(f"{path} has no {name}")
    return broken


def _objects(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }
