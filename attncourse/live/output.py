"""What a reader's text prints, up to an amount that a page can show."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

CHARACTERS = 20_000
LINES = 400


class Output(io.TextIOBase):
    r"""A stream that keeps the beginning of what is written to it.

    `cut` tells whether something was left out.

    Examples
    --------
    >>> output = Output(lines=2)
    >>> for line in range(1000):
    ...     print(line, file=output)
    >>> output.text(), output.cut
    ('0\n1\n[the rest of the output is left out]\n', True)
    """

    def __init__(
        self, *, characters: int = CHARACTERS, lines: int = LINES
    ) -> None:
        self._parts: list[str] = []
        self._characters = characters
        self._lines = lines
        self.cut = False

    def writable(self) -> bool:
        """Tell that this can be written to."""
        return True

    def write(self, text: str) -> int:
        """Keep as much of a text as there is room for."""
        if not isinstance(text, str):
            raise TypeError(
                f"what is written must be text: got {type(text).__name__}"
            )
        if not self.cut and text:
            kept = text[: self._characters]
            rows = kept.split("\n")
            if len(rows) > self._lines + 1 or (
                len(rows) == self._lines + 1 and rows[-1]
            ):
                kept = "".join(f"{row}\n" for row in rows[: self._lines])
            self._characters -= len(kept)
            self._lines -= kept.count("\n")
            self._parts.append(kept)
            self.cut = len(kept) < len(text)
        return len(text)

    def text(self) -> str:
        """Return what was kept, and a last line that says if it was cut."""
        kept = "".join(self._parts)
        if not self.cut:
            return kept
        end = "" if not kept or kept.endswith("\n") else "\n"
        return f"{kept}{end}[the rest of the output is left out]\n"

    @contextlib.contextmanager
    def catching(self) -> Iterator[None]:
        """Take all that is printed meanwhile."""
        with (
            contextlib.redirect_stdout(self),
            contextlib.redirect_stderr(self),
        ):
            yield
