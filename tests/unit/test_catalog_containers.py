"""Containers: parsers on golden files, tools on this machine, rules on typed answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from swarm_tasks.errors import ToolFailed, Unavailable
from swarm_tasks.models.evidence import EvidenceStatus, ToolCall
from swarm_tasks.models.finding import Severity
from tests.support.golden import assert_golden, inputs
from tests.support.grading import graded, rule_called
from workers.rules.containers import RULES
from workers.tools.access import this_machine
from workers.tools.catalog import containers
from workers.tools.catalog.containers import Containers
from workers.tools.registry import Registry
from workers.tools.spec import Completed

REGISTRY = Registry(containers.TOOLS)
RULE = rule_called("container-state", RULES)


@pytest.mark.parametrize("source", inputs("docker_ps"), ids=lambda path: path.stem)
def test_containers_of_docker_are_parsed(source: Path) -> None:
    assert_golden(containers.parse_docker_ps(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("podman_ps"), ids=lambda path: path.stem)
def test_containers_of_podman_are_parsed(source: Path) -> None:
    assert_golden(containers.parse_podman_ps(source.read_text()), source)


def test_the_format_reaches_docker_with_both_its_braces() -> None:
    assert containers.DOCKER_PS.filled({})[-1] == "{{json .}}"


@pytest.mark.parametrize(
    ("state", "health", "code", "graded_state"),
    [
        ("running", "", None, "running"),
        ("running", "healthy", None, "running"),
        ("running", "starting", None, "running"),
        ("running", "unhealthy", None, "unhealthy"),
        ("exited", "", 0, "finished"),
        ("exited", "", 137, "exited"),
        ("stopped", "", 0, "finished"),
        ("dead", "", None, "dead"),
    ],
)
def test_only_what_ended_with_a_code_is_exited(
    state: str, health: str, code: int | None, graded_state: str
) -> None:
    assert containers.state_of(state, health, code) == graded_state


def test_both_streams_are_put_in_the_order_of_time() -> None:
    later, sooner = "2026-11-21T07:50:36.565845820Z out", "2026-11-21T07:50:36.565812769Z broken"
    assert containers.in_order([later, sooner]) == (sooner, later)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (
            "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?",
            Unavailable,
        ),
        ("permission denied while trying to connect to the Docker daemon socket", Unavailable),
        ("Error response from daemon: No such container: x", ToolFailed),
        ("", ToolFailed),
    ],
)
def test_a_daemon_that_cannot_be_asked_is_unavailable_and_a_wrong_name_is_a_failure(
    said: str, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        containers.answered(Completed(argv=("docker",), code=1, stdout="", stderr=said))
    assert str(caught.value)


def test_containers_are_listed_here_or_it_is_said_why_not() -> None:
    outcome = asyncio.run(REGISTRY.call("containers", {}, this_machine()))
    assert outcome.status in (EvidenceStatus.OK, EvidenceStatus.UNAVAILABLE), outcome.reason
    assert outcome.result is not None or outcome.reason


def test_a_container_that_is_not_there_is_named() -> None:
    outcome = asyncio.run(
        REGISTRY.call("container_logs", {"id": "catalog-nowhere"}, this_machine())
    )
    assert outcome.status in (EvidenceStatus.FAILED, EvidenceStatus.UNAVAILABLE)
    assert "catalog-nowhere" in outcome.reason or outcome.status is EvidenceStatus.UNAVAILABLE


@pytest.mark.parametrize("name", ["", "-f", "--since=1", "a b", "a/b", "a;b", "a\nb", "x" * 257])
def test_a_hostile_container_name_never_reaches_a_program(name: str) -> None:
    outcome = asyncio.run(REGISTRY.call("container_logs", {"id": name}, this_machine()))
    assert outcome.status is EvidenceStatus.FAILED
    assert outcome.source == ()


def test_containers_are_graded_and_the_log_of_the_ill_is_read() -> None:
    (path,) = (path for path in inputs("docker_ps") if path.stem == "linux-every-state")
    found = tuple(containers.parse_docker_ps(path.read_text()))
    answer = Containers(engine="docker", containers=found, total=len(found))
    severities = graded(RULE, answer)
    image = "hostswarm-base:local"
    assert {name for name, severity in severities.items() if severity} == {
        f"catalog-failed ({image})",
        f"catalog-sick ({image})",
        f"catalog-loop ({image})",
    }
    assert severities[f"catalog-sick ({image})"] is Severity.WARNING
    assert severities[f"catalog-done ({image})"] is None
    sick = next(one for one in RULE.readings(answer) if one.key == "catalog-sick")
    call = ToolCall(tool="container_logs", arguments={"id": "catalog-sick", "lines": 100})
    assert RULE.dig(sick) == (call,)
