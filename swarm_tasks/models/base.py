"""What every model that travels has in common."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

HOST_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,40}$"

HostName = Annotated[str, Field(pattern=HOST_PATTERN)]
"""A host's name: also its queue's and its keys', so it is short and plain."""

HostOrAny = Annotated[str, Field(pattern=f"^$|{HOST_PATTERN}")]
"""A host's name, or nothing for whichever host takes it."""

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""The name of a specialist or a tool."""


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[AwareDatetime, PlainSerializer(_rfc3339, return_type=str, when_used="json")]
"""A time with a zone, written as RFC 3339 in UTC with milliseconds."""

JsonScalar = bool | int | float | str
"""A value that a claim can be about."""


def now_utc() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


def canonical_json(data: object) -> bytes:
    """`data` as the one JSON text that digests and signatures are taken over.

    Keys sorted, no white space, UTF-8; NaN and infinities are refused with ValueError.
    """
    text = json.dumps(
        data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def digest(data: object) -> str:
    """The SHA-256 of `data`'s canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(data)).hexdigest()


class Frozen(BaseModel):
    """A model that travels: never changed, no unknown fields, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
