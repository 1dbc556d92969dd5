"""One look over all hosts of a job. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.across.actions import order_actions
from orchestrator.across.causes import find_causes
from orchestrator.across.outliers import find_outliers
from orchestrator.across.patterns import find_patterns
from orchestrator.across.scene import Scene
from swarm_tasks.models.across import Action, Cause, Outlier, Pattern


@dataclass(frozen=True, slots=True)
class Across:
    """What was seen by looking at every host at once."""

    patterns: tuple[Pattern, ...]
    causes: tuple[Cause, ...]
    outliers: tuple[Outlier, ...]
    actions: tuple[Action, ...]


def look_across(scene: Scene) -> Across:
    """Patterns, likely causes, outliers, and the order to act in."""
    patterns = find_patterns(scene)
    causes = find_causes(scene)
    return Across(
        patterns=patterns,
        causes=causes,
        outliers=find_outliers(scene.readings, scene.peers, scene.findings),
        actions=order_actions(scene.findings, patterns, causes, scene.dark),
    )
