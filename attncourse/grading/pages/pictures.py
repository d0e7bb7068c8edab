"""Pictures that students' code made: checked, then shown as images.

A picture is only ever the source of an ``img`` element, where a browser
runs no script and loads nothing; it is checked all the same, because it
can be saved and opened alone, and because it can be made to exhaust a
browser.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

MAX_BYTES = 3 << 20
MAX_SIDE = 12_000
MAX_AREA = 30_000_000
STARTS = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
}


def raster(kind: str, data: Any) -> str | None:
    """Return the address of a PNG, JPEG or GIF in base64, or None.

    None stands for anything that is not such a picture, that is too
    large, or that unfolds into too many points.
    """
    joined = joined_text(data)
    if kind not in STARTS or len(joined) > MAX_BYTES * 3 // 2:
        return None
    try:
        raw = base64.b64decode("".join(joined.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    size = _size(kind, raw) if raw.startswith(STARTS[kind]) else None
    if size is None or len(raw) > MAX_BYTES:
        return None
    width, height = size
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        return None
    if width * height > MAX_AREA:
        return None
    return f"data:{kind};base64,{base64.b64encode(raw).decode()}"


def joined_text(data: Any) -> str:
    """Return what a bundle holds as one string; notebooks may keep lines."""
    if isinstance(data, list):
        data = "".join(each for each in data if isinstance(each, str))
    return data if isinstance(data, str) else ""


def _size(kind: str, raw: bytes) -> tuple[int, int] | None:
    if kind == "image/png":
        if raw[12:16] != b"IHDR" or len(raw) < 33:
            return None
        return _number(raw[16:20]), _number(raw[20:24])
    if kind == "image/gif":
        if len(raw) < 13:
            return None
        return _number(raw[7:5:-1]), _number(raw[9:7:-1])
    place = 2
    while place + 9 <= len(raw) and raw[place] == 0xFF:
        mark = raw[place + 1]
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            return (
                _number(raw[place + 7 : place + 9]),
                _number(raw[place + 5 : place + 7]),
            )
        place += 2 + max(2, _number(raw[place + 2 : place + 4]))
    return None


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "big")
