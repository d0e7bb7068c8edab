"""The bytes of a message: appended by a `Pen`, taken by a `Cursor`.

These run for every value that crosses, and so they save calls.
"""

from __future__ import annotations

import struct
from typing import NoReturn

from .wire_kinds import Budget, TooLarge, WireError, WireLimits, readable

LENGTH = struct.Struct("<cQ").pack
_SIZE = struct.Struct("<Q")
_SIZE_AT = _SIZE.unpack_from


class Pen(Budget):
    """Collects the parts of a message, within its length.

    What is large is counted before it is appended, the rest by `joined`.
    """

    def __init__(self, limits: WireLimits) -> None:
        super().__init__(limits)
        self.parts: list[bytes] = []
        self.left = limits.bytes

    def joined(self) -> bytes:
        """Return the whole message."""
        data = b"".join(self.parts)
        if len(data) > self.limits.bytes:
            self._too_long()
        return data

    def _too_long(self) -> NoReturn:
        limit = self.limits.bytes
        raise TooLarge(f"a message holds at most {limit} bytes")

    def put_text(self, mark: bytes, text: str) -> None:
        """Append a mark and a text as it is."""
        if str.__len__(text) > self.left:
            raise TooLarge("a text is longer than the message may be")
        try:
            raw = str.encode(text, "utf-8")
        except UnicodeEncodeError:
            raise WireError("text must be valid Unicode") from None
        self.put_raw(mark, raw)

    def put_bytes(self, mark: bytes, held: bytes) -> None:
        """Append a mark and bytes."""
        if bytes.__len__(held) > self.left:
            raise TooLarge("bytes are more than the message may hold")
        self.put_raw(mark, bytes.__getitem__(held, slice(None)))

    def put_raw(self, mark: bytes, raw: bytes) -> None:
        """Append a mark, a length, and plain bytes of that length."""
        self.left -= len(raw)
        if self.left < 0:
            self._too_long()
        self.parts.append(LENGTH(mark, len(raw)) + raw)


def note(text: str, chars: int) -> bytes:
    """Return a text for people as bytes, cut where it is too long."""
    raw = readable(text[:chars])[:chars].encode("utf-8")
    return _SIZE.pack(len(raw)) + raw


class Cursor(Budget):
    """Takes a message's bytes, never more than there are."""

    def __init__(self, data: bytes, limits: WireLimits) -> None:
        if len(data) > limits.bytes:
            raise TooLarge(f"a message holds at most {limits.bytes} bytes")
        super().__init__(limits)
        self.data = data
        self.end = len(data)
        self.at = 0

    def skip(self, count: int) -> int:
        """Return where the next bytes start, which must be there."""
        start = self.at
        self.at = end = start + count
        if end > self.end:
            self.short()
        return start

    def short(self) -> NoReturn:
        """Refuse a message of which a part is missing."""
        self.at = self.end
        raise WireError(f"a message must not end early: got {self.end} bytes")

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        start = self.skip(count)
        return self.data[start : self.at]

    def byte(self) -> int:
        """Return the next byte."""
        return self.data[self.skip(1)]

    def size(self) -> int:
        """Return a length."""
        return _SIZE_AT(self.data, self.skip(8))[0]

    def piece(self) -> bytes:
        """Return the bytes that follow their length."""
        start = self.at + 8
        if start > self.end:
            self.short()
        self.at = end = start + _SIZE_AT(self.data, start - 8)[0]
        if end > self.end:
            self.short()
        return self.data[start:end]

    def longs(self, count: int) -> tuple[int, ...]:
        """Return that many numbers of 64 bits."""
        return struct.unpack(f"<{count}q", self.take(8 * count))

    def text(self, chars: int | None = None) -> str:
        """Return a text of at most `chars` characters."""
        try:
            text = self.piece().decode("utf-8")
        except UnicodeDecodeError:
            raise WireError("text must be valid UTF-8") from None
        if chars is not None and len(text) > chars:
            raise TooLarge(f"a text has at most {chars} characters here")
        return text
