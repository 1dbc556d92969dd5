"""What workers say of themselves, as it stands in the store: perhaps in a newer version's words."""

from __future__ import annotations

import json
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from swarm_tasks.models.base import Frozen, now_utc
from swarm_tasks.models.host import Beat, HostFacts

Said = TypeVar("Said", bound=Frozen)

UNKNOWN_FIELD = "extra_forbidden"
"""What pydantic calls a field that the model does not have."""


def beat_of(host: str, text: str) -> tuple[Beat, str]:
    """A host's sign of life, and what of it cannot be read. However little that leaves, the host
    is alive: what is missing is made up, and lets it look as if it could do nothing."""
    beat, trouble = _read(Beat, text)
    if beat is not None:
        return beat, trouble
    instance = _fields(text).get("instance")
    made_up = Beat(
        host=host,
        instance=instance if isinstance(instance, str) else "",
        at=now_utc(),
        load1=0.0,
        agents=0,
        capacity=0,
    )
    return made_up, trouble


def facts_of(text: str) -> tuple[HostFacts | None, str]:
    """What a host said of itself, and what of it cannot be read; None if that is all of it."""
    return _read(HostFacts, text)


def _read(model: type[Said], text: str) -> tuple[Said | None, str]:
    """A model from its JSON, without the fields that it does not know."""
    try:
        return model.model_validate_json(text), ""
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    first = errors[0]
    trouble = f"{'.'.join(map(str, first['loc'])) or 'all of it'}: {first['msg']}"
    data = _fields(text)
    for one in errors:
        if one["type"] == UNKNOWN_FIELD:
            _drop(data, one["loc"])
    try:
        return model.model_validate_json(json.dumps(data)), trouble
    except ValidationError:
        return None, trouble


def _fields(text: str) -> dict[str, Any]:
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {}


def _drop(data: Any, place: tuple[int | str, ...]) -> None:
    """Take out the field at this place."""
    for step in place[:-1]:
        data = data[step]
    data.pop(place[-1], None)
