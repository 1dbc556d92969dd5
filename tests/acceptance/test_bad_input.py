"""Whatever is wrong with what was asked: one line that says so, an exit code, nothing left."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Generator

import psutil
import pytest
from pydantic import ValidationError

from swarm_tasks import contracts
from swarm_tasks.embedded import server_binary
from swarm_tasks.models.job import AuditRequest
from tests.support.commands import Asker, nothing_runs, running
from tests.support.fleets import NAPPER, TestFleet, as_variables
from tests.support.waiting import wait_until

PASSWORD = "open sesame"
MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("audit --hosts delta", r"no host called 'delta': the fleet is: alpha, bravo, charlie"),
        ("audit --hosts x*", r"no host matches 'x\*': the fleet is: alpha, bravo, charlie"),
        ("show nosuchjob", "there is no job 'nosuchjob': see `hostswarm jobs`"),
        ("watch nosuchjob", "there is no job 'nosuchjob'"),
        ("cancel ../../etc", "there is no job '../../etc'"),
        ("hosts --forget delta", "there is no host called 'delta'"),
        ("tool nap --host delta", "there is no host called 'delta'"),
    ],
)
def test_a_name_that_is_not_there_is_told(
    asker: Asker, fleet: TestFleet, words: str, says: str
) -> None:
    asker.on(fleet).refused(*words.split(), says=says)


def test_a_host_that_is_not_there_is_told_where_this_machine_is_all(asker: Asker) -> None:
    alone = asker.with_variables(HOST="here")
    alone.refused("audit", "--hosts", "there", says="no host called 'there'.*the fleet is: here")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("audit --specialists storagee", r"'storagee': did you mean storage\? there are: storage,"),
        ("audit --brain wise", "--brain: Input should be 'auto', 'rules' or 'llm'"),
        ("audit --brain llm", "no model .* --brain llm: set HOSTSWARM_ROUTER_URL, or HOSTSWARM_M"),
        ("audit --budget -1", "--budget '-1' is no amount in dollars: write 0.50"),
        ("audit --budget nan", "--budget 'nan' is no amount in dollars"),
        ("audit --max-tokens 5k", "--max-tokens '5k' is no whole number: write 50000"),
        ("audit --img empty", "--img empty is no image: models take PNG, JPEG, GIF and WebP"),
        ("audit --img nowhere.png", "--img nowhere.png cannot be read: No such file"),
        ("audit --img http://a.example/b.png", "--img http://a.example/b.png is no https: URL"),
        ("audit --img large.png", "--img large.png is larger than 3.1 MB: every agent is sent it"),
        ("audit --img a --img b --img c --img d --img e", "--img is given 5 times: at most 4"),
        ("audit --brain rules --img https://a.example/b", "the rules look at no image: leave out"),
        ("audit --deadline 0", "--deadline must be more than zero: write 90s, 5m or 1h"),
        ("audit --deadline=-5", "--deadline '-5' is not a duration: write 90s, 5m or 1h"),
        ("audit --deadline soon", "--deadline 'soon' is not a duration"),
        ("audit --deadline 2d", "--deadline: Input should be less than or equal to 86400"),
        ("audit --no-wait", "--no-wait needs a fleet that stays: start one with `hostswarm up`"),
        ("audit --hosts @nowhere", "--hosts @nowhere cannot be read: .*one host a line"),
        ("audit --hosts @empty", "--hosts @empty names no host: write one host a line"),
        ("audit --hosts @binary", "--hosts @binary cannot be read: .*name a text file"),
        ("tool lod", r"there is no tool called 'lod': did you mean load"),
        ("tool ping host=--help", "ping: host: .*its arguments are: host, count"),
        ("tool ping host=a host=b", "the argument host is given twice: give it once"),
        ("tool ping host", "'host' is not an argument: write key=value"),
        ("tool kernel_events logs=[1,", "logs is not JSON"),
    ],
)
def test_a_wrong_word_is_told_before_anything_is_started(
    asker: Asker, words: str, says: str
) -> None:
    here = asker.state.parent
    (here / "empty").write_text("# nobody\n\n")
    (here / "binary").write_bytes(b"\xff\xfe\x00alpha")
    (here / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(4 * MEGABYTE))
    asker.refused(*words.split(), says=says)
    assert not asker.state.exists()


def test_a_question_that_is_too_long_is_told(asker: Asker) -> None:
    # An argument of a program holds at most 128 KiB on Linux.
    said = asker.refused("audit", "?" * 120_000, says="at most 8,000 travel with every part")
    assert "the question has 120,000 characters" in said
    assert len(said) < 200


def test_a_question_of_a_megabyte_is_refused_wherever_it_comes_in(fleet: TestFleet) -> None:
    question = "?" * MEGABYTE
    with pytest.raises(ValidationError, match="at most 8000 characters"):
        AuditRequest(question=question)
    with fleet.celery() as app:
        answer = app.send_task(contracts.AUDIT, kwargs={"question": question}, queue="control")
        with pytest.raises(Exception, match="question: String should have at most 8000") as caught:
            answer.get(timeout=20)
        assert len(str(caught.value)) < 500
        del answer, caught
    assert fleet.fleet.wait(fleet.fleet.audit(AuditRequest(specialists=("napper",))).id)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("agents = [", "hostswarm.toml is not TOML: .*mend that line"),
        ('agents = "many"', "agents in hostswarm.toml: Input should be a valid integer"),
        ("agentz = 3", r"agentz in hostswarm.toml: there is no such setting; did you mean agents"),
    ],
)
def test_a_wrong_settings_file_is_told(asker: Asker, text: str, says: str) -> None:
    (asker.state.parent / "hostswarm.toml").write_text(text)
    asker.refused("audit", says=says)


def test_a_settings_file_that_is_not_there_is_told(asker: Asker) -> None:
    asker.refused("--config", "none.toml", "audit", says="there is no settings file none.toml")


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("AGENTS", "many", "HOSTSWARM_AGENTS: Input should be a valid integer"),
        ("CHECKS", "http", "HOSTSWARM_CHECKS is not JSON"),
        ("HOST", "a/b c", "HOSTSWARM_HOST: String should match pattern"),
        ("DEADLINE_SECONDS", "0", "HOSTSWARM_DEADLINE_SECONDS: .*greater than 0"),
        ("BROKER_URL_FILE", "/nowhere", "HOSTSWARM_BROKER_URL_FILE names /nowhere, which cannot"),
        ("ROUTER_URL", "router:4000", "HOSTSWARM_ROUTER_URL: .*'router:4000' is not a URL such as"),
        ("ROUTER_URL", "http://h:x", "HOSTSWARM_ROUTER_URL: .*is not a URL such as"),
        ("CONTEXT_LENGTH", "9", "HOSTSWARM_CONTEXT_LENGTH: .*greater than or equal to 2048"),
    ],
)
def test_a_wrong_variable_is_told(asker: Asker, variable: str, value: str, says: str) -> None:
    asker.with_variables(**{variable: value}).refused("audit", says=says)


def test_a_router_s_url_with_a_key_in_it_is_refused_without_showing_it(asker: Asker) -> None:
    wrong = asker.with_variables(ROUTER_URL="http://me:sk-canary@router:4000/v1")
    said = wrong.refused("audit", says="a router's URL holds no key: set HOSTSWARM_ROUTER_KEY")
    assert "sk-canary" not in said


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1", "redis://", "redis://127.0.0.1:port/0", "redis://127.0.0.1/0?db=x"),
    ],
)
def test_what_is_no_store_s_url_is_told(asker: Asker, url: str) -> None:
    asker.with_variables(BROKER_URL=url).refused("audit", says="^hostswarm: HOSTSWARM_BROKER_URL ")


@pytest.mark.parametrize("words", ["audit", "up", "worker"])
def test_a_store_that_cannot_be_reached_is_told(asker: Asker, words: str) -> None:
    nobody = asker.with_variables(BROKER_URL=f"redis://127.0.0.1:{free_port()}/0")
    nobody.refused(*words.split(), code=1, says="cannot be reached: .*start it, or mend HOSTSWARM_")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_store_that_takes_the_call_and_says_nothing_is_told_soon(asker: Asker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"redis://127.0.0.1:{mute.getsockname()[1]}/0"
        asker.with_variables(BROKER_URL=url).refused("audit", code=1, says="cannot be reached: ")


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Generator[int]:
    """The port of a real Valkey that wants a password."""
    port = free_port()
    directory = tmp_path_factory.mktemp("locked")
    command = (
        *(str(server_binary()), "--bind", "127.0.0.1", "--port", str(port), "--save", ""),
        *("--requirepass", PASSWORD, "--dir", str(directory), "--daemonize", "no"),
    )
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        wait_until("the server listens", lambda: listens(port))
        yield port
        server.terminate()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("login", ["", ":wrong@", "nobody:wrong@"])
def test_a_store_s_password_that_is_missing_or_wrong_is_told(
    asker: Asker, locked: int, login: str
) -> None:
    url = f"redis://{login}127.0.0.1:{locked}/0"
    says = "refuses the password, or wants one.*put the password into HOSTSWARM_BROKER_URL"
    said = asker.with_variables(BROKER_URL=url).refused("audit", code=1, says=says)
    assert "wrong@" not in said


def test_a_store_s_right_password_opens_it(asker: Asker, locked: int) -> None:
    url = f"redis://:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{locked}/0"
    done = asker.with_variables(BROKER_URL=url).run("jobs", "--json")
    assert (done.stdout, done.stderr, done.returncode) == ("[]\n", "", 0)


@pytest.mark.parametrize(
    ("scheme", "says"),
    [("redis://:pw@", "would be used without TLS"), ("rediss://", "without a password")],
)
def test_a_store_elsewhere_without_tls_or_password_is_not_even_called(
    asker: Asker, scheme: str, says: str
) -> None:
    own = [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    ]
    if not own:
        pytest.skip("this machine has no address but its loopback's")
    with socket.create_server((own[0], 0)) as listener:
        listener.settimeout(0)
        url = f"{scheme}{own[0]}:{listener.getsockname()[1]}/0"
        asker.with_variables(BROKER_URL=url).refused("audit", says=f"at {own[0]} .*{says}")
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("words", ["audit", "up"])
def test_a_state_directory_that_cannot_be_used_is_told(asker: Asker, words: str) -> None:
    (asker.state.parent / "file").write_text("")
    nowhere = asker.with_variables(STATE_DIR=str(asker.state.parent / "file" / "state"))
    nowhere.refused(words, code=1, says="cannot be used: Not a directory: set HOSTSWARM_STATE_DIR")


def test_tools_of_one_s_own_that_cannot_be_imported_are_told(asker: Asker) -> None:
    own = asker.with_variables(TOOL_MODULES="nowhere.tools")
    says = "tool_modules names nowhere.tools, which cannot be imported"
    own.refused("tools", says=says)
    own.refused("audit", code=1, says=f"worker did not come up: {says}.*worker.log")
    doctor = own.run("doctor")
    assert doctor.returncode == 1
    assert says in doctor.stdout


def test_two_audits_of_one_machine_at_the_same_time_both_give_a_report(asker: Asker) -> None:
    own = asker.with_variables(TOOL_MODULES="tests.support.fake_tools")
    own.environment |= as_variables({"specialists": {"napper": NAPPER}})
    words = ("audit", "--specialists", "napper", "--json")
    with (
        running(*words, environment=own.environment) as first,
        running(*words, environment=own.environment) as second,
    ):
        for process in (first, second):
            stdout, stderr = process.communicate(timeout=60)
            assert "Traceback" not in stderr
            assert process.returncode == 0
            assert json.loads(stdout)["job"]["status"] == "complete"
    nothing_runs(asker.state)
