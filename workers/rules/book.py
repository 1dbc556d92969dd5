"""Every rule of every domain, as one book."""

from __future__ import annotations

from functools import cache

from workers.rules.rule import Rule


@cache
def rulebook() -> tuple[Rule, ...]:
    """All rules. Two of the same name are a mistake and raise ValueError."""
    from workers.rules import storage

    domains = (storage.RULES,)
    rules = tuple(rule for domain in domains for rule in domain)
    names = [rule.name for rule in rules]
    if len(set(names)) != len(names):
        raise ValueError(f"two rules share a name: {sorted(names)}")
    return rules
