"""JSON that a kiosk writes for itself, with a digest: a character that a bad card has changed is found. Pure."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any


def pack(content: object) -> bytes:
    """What to write."""
    text = json.dumps(content)
    return json.dumps({"content": text, "sha256": _digest(text)}).encode()


def unpack(data: bytes) -> Any:
    """The content. Raises ValueError for anything else, and when it is not as it was written."""
    try:
        match json.loads(data):
            case {"content": str(text), "sha256": str(digest)} if _digest(text) == digest:
                return json.loads(text)
    except RecursionError:
        pass
    raise ValueError("not as it was written")


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
