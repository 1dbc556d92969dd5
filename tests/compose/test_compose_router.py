"""The fleet of `docker-compose.yml` with its router: it thinks, and one of two models may die."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from swarm_tasks.models.report import JobStatus, Report
from tests.support.containers import (
    HOSTS,
    LABEL,
    SERVICES,
    Containers,
    fleet_up,
    said,
    write_secret,
)
from tests.support.model_script import Script, answers, role, says

pytestmark = [
    pytest.mark.compose,
    pytest.mark.skipif(
        os.environ.get("HOSTSWARM_TEST_COMPOSE") != "1",
        reason="brings up containers: set HOSTSWARM_TEST_COMPOSE=1 (docs/compose.md)",
    ),
]

ROUTER_KEY = "sk-fleet-4e0b51c7"
PROVIDER_KEY = "sk-provider-92d7aa03"
FILES = ("-f", "docker-compose.yml", "-f", "tests/compose/models.yml")
SUMMARY = "Nothing is wrong on any of these hosts."
SCRIPT = Script(
    roles=(
        role("synthesis", "You sum up", says(SUMMARY)),
        role("agents", None, answers({"answer": "All is well.", "ruled_out": ["all"]}, 0.2)),
    ),
    key=PROVIDER_KEY,
    models=("scripted",),
)


@pytest.fixture(scope="module")
def containers(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Containers]:
    """The fleet, its router, and two scripted models behind that."""
    directory = tmp_path_factory.mktemp("secrets")
    write_secret(directory / "router_key", ROUTER_KEY)
    write_secret(directory / "provider_key", PROVIDER_KEY)
    scripts = directory / "scripts"
    scripts.mkdir(mode=0o755)
    write_secret(scripts / "script.json", SCRIPT.model_dump_json())
    with fleet_up(
        base_image,
        directory,
        *FILES,
        "--profile",
        "router",
        services=(*SERVICES, "router"),
        ROUTER_IMAGE="hostswarm-router:test",
        MODEL_SCRIPTS=str(scripts),
        HOSTSWARM_ROUTER_URL="http://router:4000",
        ROUTER_KEY_FILE=str(directory / "router_key"),
        ROUTER_WORKER_MODEL="openai/scripted",
        ROUTER_WORKER_API_BASE="http://model-one:4100/v1",
        ROUTER_WORKER_API_KEY_FILE=str(directory / "provider_key"),
        ROUTER_WORKER_2_MODEL="openai/scripted",
        ROUTER_WORKER_2_API_BASE="http://model-two:4100/v1",
        ROUTER_WORKER_2_API_KEY_FILE=str(directory / "provider_key"),
    ) as fleet:
        yield fleet


def thought(containers: Containers) -> Report:
    """The report of an audit in which everybody must have had a model."""
    report = containers.audit()
    assert report.job.status is JobStatus.COMPLETE
    assert report.degraded == ()
    assert report.job.brain == "llm"
    assert sorted(report.coverage.answered) == list(HOSTS)
    assert report.summary == SUMMARY
    return report


def test_every_agent_thinks_through_the_router(containers: Containers) -> None:
    report = thought(containers)
    assert report.usage.llm_calls > len(HOSTS)
    assert report.usage.cost_usd is None  # LiteLLM knows no price of this model


def test_nothing_is_lost_when_one_of_two_models_dies(containers: Containers) -> None:
    killed = containers.inside("model-one", "pkill", "-f", "^python -m tests")
    assert killed.returncode == 0, killed.stderr
    thought(containers)


def test_hosts_reach_the_router_and_no_provider(containers: Containers) -> None:
    reach = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)"
    assert containers.inside("alpha", "python", "-c", reach, "router", "4000").returncode == 0
    assert containers.inside("alpha", "python", "-c", reach, "model-two", "4100").returncode != 0


def test_the_router_refuses_another_key(containers: Containers) -> None:
    ask = (
        "import urllib.request as u; where = 'http://router:4000/v1/models'; "
        "u.urlopen(u.Request(where, headers={'Authorization': 'Bearer x'}))"
    )
    done = containers.inside("alpha", "python", "-c", ask)
    assert "401" in done.stderr


def test_no_host_sees_a_provider_s_key_and_no_key_is_in_a_command_line_environment_or_log(
    containers: Containers,
) -> None:
    for service in (*HOSTS, "control", "beat", "flower", "valkey"):
        found = containers.inside(service, "sh", "-c", "cat /run/secrets/*; env").stdout
        assert PROVIDER_KEY not in found, service
    ids = said("docker", "ps", "--quiet", "--filter", LABEL).split()
    told = said("docker", "inspect", *ids) + containers.call("logs", "--no-color")
    for key in (PROVIDER_KEY, ROUTER_KEY):
        assert key not in told
        assert key not in containers.inside("router", "ps", "axww").stdout


def test_the_router_may_do_nothing_but_run_its_program(containers: Containers) -> None:
    status = containers.inside("router", "cat", "/proc/1/status").stdout
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(facts["CapBnd"], 16) == 0
    assert facts["NoNewPrivs"] == "1"
    assert set(facts["Uid"].split()) == {"10001"}
    assert containers.inside("router", "touch", "/etc/written").returncode != 0
