# SPDX-License-Identifier: Apache-2.0
"""What calls answer."""
import base64
from dataclasses import dataclass, field
from typing import List, Optional


def to_bytes(value):
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"keys and values are bytes or text, not {type(value).__name__}")


def put_bytes(record, name, value):
    """As text where that is possible, else as base64."""
    data = to_bytes(value)
    try:
        record[name] = data.decode()
    except UnicodeDecodeError:
        record[name + "_base64"] = base64.b64encode(data).decode()
    return record


def take_bytes(record, name) -> Optional[bytes]:
    if record.get(name) is not None:
        return record[name].encode()
    encoded = record.get(name + "_base64")
    return None if encoded is None else base64.b64decode(encoded)


@dataclass(frozen=True)
class Item:
    """A key and what there is to know of it."""
    key: bytes
    value: Optional[bytes]
    version: int = 0
    created: int = 0
    modified: int = 0
    ttl: Optional[float] = None

    @property
    def text(self) -> str:
        return self.value.decode()

    @classmethod
    def of(cls, record):
        ttl = record.get("ttl_ms")
        return cls(take_bytes(record, "key"), take_bytes(record, "value"),
                   record.get("version", 0), record.get("created", 0), record.get("modified", 0),
                   None if ttl is None else ttl / 1000)


@dataclass(frozen=True)
class Rated:
    """What a rate limit said."""
    allowed: bool
    tokens_left: int
    retry_after: float
    full_after: float


@dataclass(frozen=True)
class TxnResult:
    succeeded: bool                # the compares held, and `then` was done
    results: List[dict] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """One event of a watch: "ready", "put", "delete", "expire" or "progress"."""
    kind: str
    cursor: str
    key: Optional[bytes] = None
    value: Optional[bytes] = None
    previous: Optional[Item] = None
    revision: int = 0
