"""Settings from the environment: `HOSTSWARM_<NAME>`, and `HOSTSWARM_<NAME>_FILE` for secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_origin

from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource, PydanticBaseSettingsSource

from swarm_tasks.errors import SettingsError

ENV_PREFIX = "HOSTSWARM_"


class Environment(EnvSettingsSource):
    """`HOSTSWARM_<NAME>`: plain text for one value, names with commas or JSON for several."""

    def prepare_field_value(
        self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool
    ) -> Any:
        """One setting's value.

        Raises:
            SettingsError: It should be JSON and is not.
        """
        try:
            return super().prepare_field_value(field_name, field, value, value_is_complex)
        except ValueError as error:
            stem = f"{ENV_PREFIX}{field_name.upper()}"
            found = sorted(name for name in os.environ if name.split("__")[0] == stem)
            raise SettingsError(
                f"{' or '.join(found)} is not JSON: {error}", 'write {"key": "value"} or ["a", "b"]'
            ) from None

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """The value as its text says; a list may be written with commas alone."""
        names = field and get_origin(field.annotation) is tuple and isinstance(value, str)
        if names and not value.lstrip().startswith("["):
            return [word.strip() for word in value.split(",") if word.strip()]
        return super().decode_complex_value(field_name, field, value)


class SecretFiles(PydanticBaseSettingsSource):
    """`HOSTSWARM_<NAME>_FILE`: the setting's value stands in that file."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The content of the file that the environment names for one setting."""
        variable = f"{ENV_PREFIX}{field_name.upper()}_FILE"
        path = os.environ.get(variable)
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise SettingsError(
                f"{variable} names {path}, which cannot be read ({why})",
                "name a file that this user may read, or unset the variable",
            ) from error

    def __call__(self) -> dict[str, Any]:
        """All settings that come from files."""
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                found[key] = value
        return found
