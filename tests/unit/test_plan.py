"""A job and the fleet become parts."""

from __future__ import annotations

import pytest

from orchestrator.plan import Part, default_parts, host_tasks, select_hosts, select_specialists
from swarm_tasks.errors import JobError, UnknownName
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.charge import Allowance
from swarm_tasks.models.job import BrainChoice, Job
from swarm_tasks.models.policy import Checks, Limits, Policy
from swarm_tasks.specialists import shipped_specialists

FLEET = ("db1", "db2", "mail", "web1", "web2", "web10")


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ((), ("db1", "db2", "mail", "web1", "web10", "web2")),
        (("mail",), ("mail",)),
        (("web*",), ("web1", "web10", "web2")),
        (("web?",), ("web1", "web2")),
        (("db[12]", "mail"), ("db1", "db2", "mail")),
        (("web1", "web1", "w*1"), ("web1",)),
        (("*",), ("db1", "db2", "mail", "web1", "web10", "web2")),
    ],
)
def test_names_and_globs_choose_hosts_once_and_in_order(
    wanted: tuple[str, ...], chosen: tuple[str, ...]
) -> None:
    assert select_hosts(wanted, FLEET) == chosen


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("wbe1", "there is no host called 'wbe1': did you mean web1?"),
        ("printer", "there is no host called 'printer': the fleet is: db1, db2"),
        ("x*", "no host matches 'x*': the fleet is: db1, db2"),
        ("WEB1", "there is no host called 'WEB1'"),
        ("", "there is no host called ''"),
    ],
)
def test_a_name_that_means_nobody_is_told_with_the_fleet(wanted: str, said: str) -> None:
    with pytest.raises(UnknownName) as caught:
        select_hosts(("web1", wanted), FLEET)
    assert str(caught.value).startswith(said)


def test_a_large_fleet_is_not_listed_to_its_end() -> None:
    with pytest.raises(UnknownName, match=r"h000, .*h007 and 992 more$"):
        select_hosts(("x",), [f"h{number:03}" for number in range(1000)])


def test_an_empty_fleet_says_how_a_host_joins() -> None:
    with pytest.raises(JobError, match="hostswarm worker"):
        select_hosts((), ())


def test_specialists_come_in_their_own_order_whatever_was_asked() -> None:
    known = shipped_specialists()
    chosen = select_specialists(("network", "storage", "network"), known)
    assert [one.name for one in chosen] == ["storage", "network"]
    assert [one.name for one in select_specialists((), known)] == list(known)


def test_an_unknown_specialist_is_told_with_those_that_there_are() -> None:
    known = shipped_specialists()
    with pytest.raises(UnknownName, match=r"'netwrok': did you mean network\? there are: storage,"):
        select_specialists(("netwrok",), known)
    with pytest.raises(UnknownName, match="'cook': there are: storage, "):
        select_specialists(("cook",), known)


def job_of(hosts: tuple[str, ...], specialists: tuple[str, ...]) -> Job:
    return Job(
        id="abcdefgh",
        question="why?",
        hosts=hosts,
        specialists=specialists,
        brain=BrainChoice.AUTO,
        created=now_utc(),
        deadline_seconds=60,
        allowance=Allowance(budget_usd=0.5),
    )


def test_the_default_plan_has_one_part_for_each_host_and_specialist() -> None:
    chosen = select_specialists(("storage", "network"), shipped_specialists())
    policy = Policy(thresholds={"cpu.busy_percent": Limits(warning=50)})
    job = job_of(("alpha", "bravo", "charlie"), ("storage", "network"))
    parts = default_parts(job.hosts, chosen, job.question)
    tasks = host_tasks(job, parts, policy, deadline_at=1000.0, images=2)
    assert [task.part for task in tasks] == [
        *("alpha/storage", "alpha/network", "bravo/storage"),
        *("bravo/network", "charlie/storage", "charlie/network"),
    ]
    for task in tasks:
        assert (task.job, task.question, task.deadline_at) == ("abcdefgh", "why?", 1000.0)
        assert (task.brain, task.allowance, task.images) == (BrainChoice.AUTO, job.allowance, 2)
        assert task.part == f"{task.host}/{task.specialist.name}"
        assert task.policy == policy
    assert host_tasks(job, parts, policy, deadline_at=1000.0, images=2) == tasks


def test_further_questions_to_one_specialist_of_a_host_are_parts_of_their_own() -> None:
    storage, network = select_specialists(("storage", "network"), shipped_specialists())
    parts = (
        Part("bravo", network, "reach?"),
        Part("alpha", storage, "full?"),
        Part("bravo", storage, "full?"),
        Part("alpha", storage, "slow?"),
        Part("alpha", storage, "old?"),
    )
    job = job_of(("alpha", "bravo"), ("storage", "network"))
    tasks = host_tasks(job, parts, Policy(), deadline_at=1000.0)
    assert [(task.part, task.question) for task in tasks] == [
        ("alpha/storage", "full?"),
        ("alpha/storage/2", "slow?"),
        ("alpha/storage/3", "old?"),
        ("bravo/storage", "full?"),
        ("bravo/network", "reach?"),
    ]


def test_the_first_parts_for_a_queue_go_before_the_rest_and_a_schedule_s_behind_both() -> None:
    (storage,) = select_specialists(("storage",), shipped_specialists())
    wanted = [Part(host, storage, "?") for host in ("alpha", "", "bravo") for _ in range(10)]
    job = job_of(("alpha", "bravo"), ("storage",))
    for periodic, first, rest in ((False, 0, 1), (True, 4, 5)):
        tasks = host_tasks(job, wanted, Policy(), 1000.0, periodic=periodic)
        for host in ("alpha", "", "bravo"):
            lanes = [task.lane for task in tasks if task.host == host]
            assert lanes == [first] * 8 + [rest] * 2


def test_the_asker_s_checks_stay_at_home() -> None:
    (storage,) = select_specialists(("storage",), shipped_specialists())
    policy = Policy(checks=Checks(tcp=("127.0.0.1:5432",)))
    job = job_of(("alpha",), ("storage",))
    (task,) = host_tasks(job, default_parts(job.hosts, (storage,), "?"), policy, 1000.0)
    assert task.policy == Policy()
