"""Rules about updates and reboots."""

from __future__ import annotations

from collections.abc import Iterable

from workers.rules.rule import Reading, Rule
from workers.tools.catalog.reboot import RebootRequired
from workers.tools.catalog.updates import Updates

STALE_SECONDS = 7 * 86_400
"""Lists older than a week do not show that nothing is pending: distributions publish updates for
security several times a week. What they do show as pending still is."""


def security_updates(answer: Updates) -> Iterable[Reading]:
    """How many updates for security are pending, where the package manager tells."""
    if answer.security is None:
        return
    age = answer.lists_age_seconds
    if not answer.security and age is not None and age > STALE_SECONDS:
        return
    names = ", ".join(one.package for one in answer.packages[:5] if one.security)
    yield Reading(
        subject=f"packages ({answer.manager})",
        value=answer.security,
        pointer="/security",
        detail=f"such as {names}" if names else "",
    )


def reboot(answer: RebootRequired) -> Iterable[Reading]:
    """Whether a reboot is wanted, where the machine keeps account of it."""
    if answer.required != "unknown":
        names = ", ".join(answer.wanted_by[:5])
        yield Reading(
            subject="host",
            value=answer.required,
            pointer="/required",
            detail=f"wanted by {names}" if names else "",
        )


RULES = (
    Rule(
        name="updates-security",
        tool="updates",
        metric="updates.security",
        readings=security_updates,
        title="Security updates are not installed",
        advice="Install them in the next maintenance window.",
    ),
    Rule(
        name="reboot-required",
        tool="reboot_required",
        metric="reboot.required",
        readings=reboot,
        title="Host waits for a reboot",
        advice="Plan a reboot: until then, it runs what the updates replaced.",
    ),
)
