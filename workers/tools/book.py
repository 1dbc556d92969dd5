"""Every tool of every domain, as one catalog."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

from swarm_tasks.errors import SettingsError
from workers.rules.rule import Rule
from workers.tools.registry import Registry
from workers.tools.spec import Tool

DOMAINS = (
    *("storage", "disks", "files", "performance", "processes"),
    *("kernel", "services", "containers", "hardware", "clock", "updates", "sessions"),
    *("network", "sockets", "probes", "web", "dns", "tls", "certificates", "trends"),
)
"""The modules under `workers.tools.catalog`, each with a tuple TOOLS."""

RULE_DOMAINS = (
    *("storage", "disks", "files", "performance", "processes", "running"),
    *("kernel", "services", "containers", "hardware", "clock", "updates"),
    *("network", "probes", "web", "dns", "tls", "trends"),
)
"""The modules under `workers.rules`, each with a tuple RULES."""


@cache
def toolbook(extra: tuple[str, ...] = ()) -> Registry:
    """The whole catalog.

    Args:
        extra: Modules of the operator's own, each with a tuple TOOLS.

    Raises:
        SettingsError: One of them cannot be imported or has no TOOLS.
    """
    tools: list[Tool] = []
    for domain in DOMAINS:
        tools.extend(import_module(f"workers.tools.catalog.{domain}").TOOLS)
    for name in extra:
        tools.extend(_own(name, "TOOLS"))
    return Registry(tools)


@cache
def rulebook(extra: tuple[str, ...] = ()) -> tuple[Rule, ...]:
    """All rules. Two of the same name are a mistake and raise ValueError.

    Args:
        extra: Modules of the operator's own; a tuple RULES in them is optional.
    """
    rules: list[Rule] = []
    for domain in RULE_DOMAINS:
        rules.extend(import_module(f"workers.rules.{domain}").RULES)
    for name in extra:
        rules.extend(_own(name, "RULES", needed=False))
    names = [rule.name for rule in rules]
    if len(set(names)) != len(names):
        raise ValueError(f"two rules share a name: {sorted(names)}")
    return tuple(rules)


def _own(name: str, attribute: str, *, needed: bool = True) -> Sequence[Any]:
    """A tuple in a module that the settings name."""
    try:
        module = import_module(name)
    except Exception as error:  # whatever an operator's own module raises when it is run
        raise SettingsError(
            f"tool_modules names {name}, which cannot be imported: {type(error).__name__}: {error}",
            "install it beside hostswarm, or take it out of tool_modules",
        ) from error
    found: Sequence[Any] | None = getattr(module, attribute, None if needed else ())
    if found is None:
        raise SettingsError(
            f"the module {name} has no {attribute}", "see docs/extending.md for its form"
        )
    return found
