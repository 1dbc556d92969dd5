"""Names that travel stand fast, and what refers to a name finds it."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import re
from collections.abc import Iterator
from typing import Any, cast

import pytest
from celery.worker.control import Panel

import orchestrator
import swarm_tasks
import workers
from swarm_tasks import contracts, routing
from swarm_tasks.app import ROLES, make_app
from swarm_tasks.config import ENV_PREFIX, Settings
from swarm_tasks.errors import ArgumentError
from swarm_tasks.measures import measure, measures
from swarm_tasks.models.base import NAME_PATTERN
from swarm_tasks.models.job import Specialist
from swarm_tasks.models.policy import Checks, SweepCall
from swarm_tasks.specialists import shipped_specialists
from swarm_tasks.store import keys
from workers.rules.rule import Reading, Rule
from workers.tools.book import rulebook, toolbook
from workers.tools.spec import Tool

PACKAGES = (swarm_tasks, workers, orchestrator)
MODULES = ("swarm_tasks", "workers", "orchestrator")

CATALOG = frozenset(
    {
        *("disk_usage", "inode_usage", "disk_fill_eta", "disk_io", "smart_health", "raid_zfs"),
        *("largest_paths", "cpu", "load", "memory", "swap", "pressure", "kernel_events"),
        *("top_processes", "process", "fd_usage", "failed_services", "service", "service_logs"),
        *("read_log", "listening_ports", "connections", "interfaces", "dns_check", "ping"),
        *("http_check", "tcp_check", "tls_cert", "cert_files", "time_sync", "updates"),
        *("reboot_required", "gpu", "containers", "container_logs", "temperature", "file_age"),
        *("backups", "logins", "timers", "mounts", "uptime", "hardware"),
    }
)
"""What operators expect to be able to ask: the catalog never loses one of these."""

SAMPLES = {
    "http": "https://shop.example/health",
    "tcp": "db.example:5432",
    "tls": "shop.example:443",
    "dns": "shop.example",
    "ping": "gateway.example",
    "certificates": "/etc/ssl/own/*.pem",
    "services": "nginx.service",
    "files": "/backup/daily-*.tar",
    "logs": "/var/log/kern.log",
}
"""One entry of each list of checks, as an operator writes it."""

SUBJECTS = {
    "disk": ("/var (/dev/sda1, ext4)", "/var"),
    "service": ("nginx.service", "nginx.service"),
    "container": ("web (docker, nginx:1.27)", "web"),
    "tcp": ("db.example:5432", "db.example:5432"),
    "tls": ("shop.example:443", "shop.example:443"),
    "dns": ("10.0.0.53 (A shop.example)", "10.0.0.53"),
}
"""What readings of a metric are about, with the short name that overrides use."""

COMPARED_ONLY = {("disk_usage", "exclude_fstypes"), ("dns_check", "server")}
"""Text that no program is ever given: it is compared, or parsed as an address."""

TOOLS = {tool.name: tool for tool in toolbook()}
RULES = rulebook()
SPECIALISTS = shipped_specialists()


def everything_imported() -> None:
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


def test_the_tasks_have_the_names_that_producers_send() -> None:
    assert (contracts.AUDIT, contracts.INVESTIGATE) == ("swarm.audit", "swarm.investigate")
    assert (contracts.SYNTHESIZE, contracts.TOOL) == ("swarm.synthesize", "swarm.tool")
    app = make_app(Settings.model_validate({"broker_url": "redis://127.0.0.1"}))
    for role in ROLES.values():
        importlib.import_module(role.tasks)
    app.finalize()
    # Other tests of this process may have tasks of their own.
    others = ("celery.", "tests.")
    ours = {name for name in cast(Any, app).tasks if not name.startswith(others)}
    names = ("audit", "check", "investigate", "outside", "synthesize", "tool")
    assert ours == {f"swarm.{name}" for name in names}
    commands = set(cast(Any, Panel).data)
    assert contracts.CANCEL_COMMAND == "hostswarm_cancel"
    assert contracts.CANCEL_COMMAND in commands


def test_the_queues_have_the_names_that_producers_send_to() -> None:
    assert routing.host_queue("web1") == "host.web1"
    assert routing.errand_queue("web1") == "host.web1.errands"
    assert set(routing.worker_queues("web1")) == {"host.web1", "host.web1.errands", "swarm"}
    assert (routing.SHARED, routing.CONTROL) == ("swarm", "control")


def test_keys_and_variables_begin_with_the_project_s_name() -> None:
    assert ENV_PREFIX == "HOSTSWARM_"
    names = {"job": "j", "part": "p", "call": "c", "schedule": "s", "host": "h"}
    names |= {"instance": "i", "metric": "m", "subject": "s", "owner": "o", "day": "d"}
    names |= {"request": "r"}
    for key in keys.ALL:
        assert key.at(**names).startswith("hostswarm:")
    patterns = [key.pattern for key in keys.ALL]
    assert len(set(patterns)) == len(patterns)


def test_every_declared_key_is_among_all_of_them() -> None:
    declared = {value for value in vars(keys).values() if isinstance(value, keys.Key)}
    assert declared == set(keys.ALL)


def test_no_wire_name_is_a_module_s() -> None:
    everything_imported()
    wire = [
        *(contracts.AUDIT, contracts.INVESTIGATE, contracts.SYNTHESIZE, contracts.TOOL),
        *(contracts.CANCEL_COMMAND, routing.SHARED, routing.CONTROL, routing.host_queue("x")),
        *(key.pattern for key in keys.ALL),
        *logging.root.manager.loggerDict,
    ]
    derived = [name for name in wire if name.split(".")[0].split(":")[0] in MODULES]
    assert derived == []


def test_loggers_are_called_after_the_project() -> None:
    from swarm_tasks.log import logger

    assert logger("worker").name == "hostswarm.worker"


def test_everything_that_operators_expect_is_in_the_catalog() -> None:
    assert sorted(CATALOG - set(TOOLS)) == []


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_a_tool_says_what_it_tells_in_one_sentence(tool: Tool) -> None:
    assert re.fullmatch(NAME_PATTERN, tool.name)
    assert tool.summary[0].isupper()
    assert tool.summary.endswith(".")
    assert "\n" not in tool.summary
    assert tool.reads
    assert 0 < tool.timeout_seconds <= 120
    assert set(tool.needs) <= set(tool.reads)
    assert tool.result.model_json_schema()["additionalProperties"] is False


def leaves(schema: dict[str, Any], name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every plain value in an arguments' schema, under its argument's name."""
    assert "$ref" not in schema, "arguments are flat, so that a model and a person can write them"
    for inner, part in schema.get("properties", {}).items():
        yield from leaves(part, name or inner)
    for part in schema.get("anyOf", ()):
        yield from leaves(part, name)
    if "items" in schema:
        yield from leaves(schema["items"], name)
    if schema.get("type") in ("string", "integer", "number"):
        yield name, schema


ARGUMENTS = [
    pytest.param(tool, name, schema, id=f"{tool.name}-{name}-{schema['type']}")
    for tool in TOOLS.values()
    for name, schema in leaves(tool.arguments.model_json_schema())
]


@pytest.mark.parametrize(("tool", "name", "schema"), ARGUMENTS)
def test_an_argument_is_bounded_by_its_type(tool: Tool, name: str, schema: dict[str, Any]) -> None:
    if schema["type"] in ("integer", "number"):
        assert {"minimum", "exclusiveMinimum"} & set(schema)
        assert {"maximum", "exclusiveMaximum"} & set(schema)
    elif "enum" not in schema and (tool.name, name) not in COMPARED_ONLY:
        pattern = schema["pattern"]
        assert pattern.startswith("^")
        assert pattern.endswith("$")
        for flag in ("-", "-x", "--help", "--output=/etc/passwd"):
            assert not re.match(pattern, flag), f"{flag} would be read as a flag"
            with pytest.raises(ArgumentError, match=name):
                tool.parse_arguments({name: flag})


def lists(tool: Tool) -> Iterator[dict[str, Any]]:
    for schema in tool.arguments.model_json_schema().get("properties", {}).values():
        yield from (part for part in (schema, *schema.get("anyOf", ())) if "items" in part)


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_a_list_of_arguments_has_an_end(tool: Tool) -> None:
    assert all("maxItems" in schema for schema in lists(tool))


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_an_argument_that_nobody_knows_is_refused(tool: Tool) -> None:
    with pytest.raises(ArgumentError, match="wibble"):
        tool.parse_arguments({"wibble": 1})


SWEEPS = [
    pytest.param(call, id=f"{one.name}-{call.tool}-{number}")
    for one in SPECIALISTS.values()
    for number, call in enumerate(one.sweep)
]


@pytest.mark.parametrize("call", SWEEPS)
def test_a_sweep_s_call_is_one_that_its_tool_takes(call: SweepCall) -> None:
    arguments: dict[str, Any] = dict(call.arguments)
    if call.each is not None and call.argument is not None:
        arguments[call.argument] = SAMPLES[call.each]
    TOOLS[call.tool].parse_arguments(arguments)


@pytest.mark.parametrize("one", SPECIALISTS.values(), ids=SPECIALISTS)
def test_a_specialist_s_tools_and_rules_are_there(one: Specialist) -> None:
    assert set(one.tools) <= set(TOOLS)
    assert len(set(one.tools)) == len(one.tools)
    assert set(one.rules) <= {rule.name for rule in RULES}
    assert one.sweep
    assert one.title
    assert one.prompt.strip()


def test_every_list_of_checks_is_swept_by_somebody() -> None:
    swept = {call.each for one in SPECIALISTS.values() for call in one.sweep}
    assert set(SAMPLES) == set(Checks.model_fields)
    assert set(Checks.model_fields) <= swept


def test_every_tool_may_be_used_by_some_specialist() -> None:
    used = {tool for one in SPECIALISTS.values() for tool in one.tools}
    assert sorted(set(TOOLS) - used) == []


def test_what_rules_judge_is_looked_at_by_a_specialist_that_has_the_rule() -> None:
    swept = {call.tool for one in SPECIALISTS.values() for call in one.sweep}
    judging = {rule.tool for rule in RULES if measure(rule.metric).judged}
    assert sorted(judging - swept) == []


def test_what_only_serves_claims_has_no_levels() -> None:
    idle = [one for one in measures().values() if not one.judged]
    assert idle
    assert not [one.name for one in idle if one.states or one.warning or one.critical]


def test_rules_and_measures_fit_each_other() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert sorted({rule.metric for rule in RULES} - set(measures())) == []
    assert sorted(set(measures()) - {rule.metric for rule in RULES}) == []


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_a_rule_reads_a_tool_that_is_there_and_digs_with_tools_that_are(rule: Rule) -> None:
    assert rule.tool in TOOLS
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)
    assert rule.advice.endswith((".", "?"))
    assert not re.search(r"\d", rule.title), "numbers stand in the claims"
    subject, key = SUBJECTS.get(rule.metric.split(".")[0], ("x", "x"))
    reading = Reading(subject=subject, key=key, value=1, pointer="/x")
    owners = [one for one in SPECIALISTS.values() if rule.tool in one.tools]
    assert owners
    for call in rule.dig(reading):
        TOOLS[call.tool].parse_arguments(call.arguments)
        assert any(call.tool in one.tools for one in owners), "nobody who judges may call it"


@pytest.mark.parametrize("name", measures(), ids=str)
def test_a_measure_says_what_it_means_and_whose_levels_it_has(name: str) -> None:
    metric = measures()[name]
    assert re.fullmatch(r"[a-z0-9]+(\.[a-z0-9_]+)+", name)
    assert metric.meaning
    assert metric.source
    assert bool(metric.states) == (metric.comparator == "==") == (metric.unit == "state")
