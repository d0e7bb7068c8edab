"""The bytes of a message: appended by a `Pen`, taken by a `Cursor`."""

from __future__ import annotations

import struct

from .wire_kinds import Budget, TooLarge, WireError, WireLimits, readable

LENGTH = struct.Struct("<cQ").pack
_SIZE = struct.Struct("<Q")


class Pen:
    """Collects the parts of a message, within its length."""

    def __init__(self, limits: WireLimits) -> None:
        self.parts: list[bytes] = []
        self.left = limits.bytes
        self.depth = limits.depth
        self.budget = Budget(limits)

    def put(self, *parts: bytes) -> None:
        """Append bytes."""
        for part in parts:
            self.left -= len(part)
        if self.left < 0:
            limit = self.budget.limits.bytes
            raise TooLarge(f"a message holds at most {limit} bytes")
        self.parts += parts

    def put_text(self, mark: bytes, text: str) -> None:
        """Append a mark and a text as it is."""
        if str.__len__(text) > self.left:
            raise TooLarge("a text is longer than the message may be")
        try:
            raw = str.encode(text, "utf-8")
        except UnicodeEncodeError:
            raise WireError("text must be valid Unicode") from None
        self.put(LENGTH(mark, len(raw)) + raw)

    def put_bytes(self, mark: bytes, held: bytes) -> None:
        """Append a mark and bytes."""
        if bytes.__len__(held) > self.left:
            raise TooLarge("bytes are more than the message may hold")
        raw = bytes.__getitem__(held, slice(None))
        self.put(LENGTH(mark, len(raw)), raw)

    def put_note(self, text: str, chars: int) -> None:
        """Append a text for people, cut where it is too long."""
        raw = readable(text[:chars])[:chars].encode("utf-8")
        self.put(_SIZE.pack(len(raw)) + raw)


class Cursor:
    """Takes a message's bytes, never more than there are."""

    def __init__(self, data: bytes, limits: WireLimits) -> None:
        if len(data) > limits.bytes:
            raise TooLarge(f"a message holds at most {limits.bytes} bytes")
        self.data = data
        self.end = len(data)
        self.at = 0
        self.depth = limits.depth
        self.budget = Budget(limits)

    def skip(self, count: int) -> int:
        """Return where the next bytes start, which must be there."""
        start, end = self.at, self.at + count
        if end > self.end:
            raise WireError(
                f"a message must not end early: got {self.end} bytes"
            )
        self.at = end
        return start

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        start = self.skip(count)
        return self.data[start : self.at]

    def byte(self) -> int:
        """Return the next byte."""
        return self.data[self.skip(1)]

    def size(self) -> int:
        """Return a length."""
        return _SIZE.unpack_from(self.data, self.skip(8))[0]

    def longs(self, count: int) -> tuple[int, ...]:
        """Return that many numbers of 64 bits."""
        return struct.unpack(f"<{count}q", self.take(8 * count))

    def text(self, chars: int | None = None) -> str:
        """Return a text of at most `chars` characters."""
        start = self.skip(self.size())
        try:
            text = self.data[start : self.at].decode("utf-8")
        except UnicodeDecodeError:
            raise WireError("text must be valid UTF-8") from None
        if chars is not None and len(text) > chars:
            raise TooLarge(f"a text has at most {chars} characters here")
        return text
