"""Which stores are used at all, and how their URLs are shown and passed on."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

from swarm_tasks.app import make_app
from swarm_tasks.config import Settings
from swarm_tasks.errors import SettingsError, StoreError
from swarm_tasks.store.client import connect
from swarm_tasks.store.safety import (
    checked_broker_url,
    checked_store_url,
    is_loopback,
    keeps_queues,
)
from swarm_tasks.store.urls import (
    celery_url,
    sentinel_options,
    shown_url,
    tls_options,
)


def settings(url: str | None, **more: Any) -> Settings:
    return Settings(broker_url=SecretStr(url) if url is not None else None, **more)


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1",
        "redis://127.0.0.1:6379/0",
        "redis://localhost:6380/3",
        "redis://[::1]:6379/0",
        "redis://:pw@127.1.2.3/",
        "rediss://:pw@store.example:6379/0",
        "rediss://user:pw@10.0.0.1/0",
        "unix:///run/valkey/s",
        "unix://:pw@/run/valkey/s",
        "sentinel://127.0.0.1:26379/main",
        "sentinel://:pw@localhost,127.0.0.1:26380,[::1]:26381/main/2",
        "sentinels://me:pw@db1:26379,db2:26379,db3/main/0",
    ],
)
def test_a_safe_url_is_taken_as_it_is(url: str) -> None:
    assert checked_broker_url(settings(url)) == url
    assert checked_store_url(settings(url)) == url
    assert keeps_queues(settings(url))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (None, "no store is configured"),
        ("", "is not a URL of a store"),
        ("nonsense", "is not a URL of a store"),
        ("http://store.example/", "is not a URL of a store"),
        ("sentinel://localhost:0/main", "is not a URL of a store"),
        ("sentinel://localhost:1,localhost:port/main", "is not a URL of a store"),
        ("redis://localhost:1,localhost:2/0", "is not a URL of a store"),
        ("sentinel:///main", "names no host"),
        ("sentinel://localhost,,localhost/main", "names no host"),
        ("sentinel://localhost", "names no master"),
        ("sentinel://localhost/", "names no master"),
        ("sentinel://localhost/main/one", "names no master"),
        ("sentinel://localhost/main/0/1", "names no master"),
        ("sentinel://localhost/main?master_name=other", "has parameters"),
        ("amqp://guest@localhost//", "no store is named"),
        ("amqp:///", "names no host"),
        ("amqp://localhost//?heartbeat=0", "has parameters"),
        ("redis+socket:///run/s", "is not a URL of a store"),
        ("redis://localhost:port", "is not a URL of a store"),
        ("redis://localhost:99999", "is not a URL of a store"),
        ("redis://localhost:0", "is not a URL of a store"),
        ("redis://[::1", "is not a URL of a store"),
        ("redis://", "names no host"),
        ("redis:///0", "names no host"),
        ("redis://:pw@/0", "names no host"),
        ("redis://two words/0", "names no host"),
        ("redis://localhost/main", "which is no database's number"),
        ("redis://localhost/0/1", "which is no database's number"),
        ("redis://localhost/0?ssl_cert_reqs=none", "has parameters"),
        ("rediss://:pw@store.example/0#x", "has parameters"),
        ("unix://", "names no socket"),
        ("unix:///", "names no socket"),
        ("unix://run/valkey/s", "names no socket"),
    ],
)
def test_what_is_no_store_s_url_is_refused(url: str | None, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        checked_broker_url(settings(url))
    with pytest.raises(SettingsError, match=said):
        make_app(settings(url))


@pytest.mark.parametrize(
    ("url", "allowed", "said"),
    [
        ("redis://10.0.0.1", {}, "at 10.0.0.1 would be used without TLS"),
        ("redis://:pw@store.example", {}, "without TLS"),
        ("redis://localhost.example", {}, "without TLS"),
        ("redis://0.0.0.0", {}, "without TLS"),
        ("rediss://10.0.0.1", {}, "without a password"),
        ("redis://10.0.0.1", {"allow_plaintext_broker": True}, "without a password"),
        ("redis://10.0.0.1", {"allow_passwordless_broker": True}, "without TLS"),
        ("sentinel://:pw@localhost,db2/main", {}, "the store at db2 would be used without TLS"),
        ("sentinels://localhost,db2/main", {}, "the store at db2 would be used without a password"),
        ("amqp://me:pw@mq1", {}, "the broker at mq1 would be used without TLS"),
        ("amqps://mq1", {}, "the broker at mq1 would be used without a password:"),
        ("amqps://me@mq1", {}, "without a password:"),
        ("amqps://guest:guest@mq1", {}, "without a password of its own"),
        ("amqps://me:gues%74@mq1", {}, "without a password of its own"),
    ],
)
def test_a_store_on_another_machine_needs_tls_and_a_password(
    url: str, allowed: dict[str, bool], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        connect(settings(url, **allowed))


def test_an_operator_may_allow_each_by_name() -> None:
    both = {"allow_plaintext_broker": True, "allow_passwordless_broker": True}
    assert checked_broker_url(settings("redis://10.0.0.1", **both)) == "redis://10.0.0.1"


@pytest.mark.parametrize(
    "url",
    ["amqp://localhost", "amqp://guest:guest@127.0.0.1:5673//", "amqps://me:pw@mq1:5671/fleet"],
)
def test_rabbitmq_carries_messages_and_a_store_beside_it_keeps_the_state(url: str) -> None:
    both = settings(url, store_url="rediss://:pw@db1:6379/0")
    assert checked_broker_url(both) == url
    assert checked_store_url(both) == "rediss://:pw@db1:6379/0"
    assert not keeps_queues(both)


@pytest.mark.parametrize(
    ("broker", "store", "said"),
    [
        ("amqp://localhost", "amqp://localhost", "STORE_URL is not a URL of a store"),
        ("amqp://localhost", "http://db1/", "STORE_URL is not a URL of a store"),
        ("amqp://localhost", "redis://db1", "the store at db1 would be used without TLS"),
        ("amqp://localhost", "rediss://db1", "the store at db1 would be used without a password"),
        ("redis://localhost", "redis://localhost:6380", "another store than the broker"),
        (None, "redis://localhost", "STORE_URL is set, and no broker is"),
    ],
)
def test_a_store_beside_the_broker_is_checked_as_well(
    broker: str | None, store: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        checked_store_url(settings(broker, store_url=store))
    with pytest.raises(SettingsError, match=said):
        make_app(settings(broker, store_url=store))


def test_a_broker_may_be_named_as_its_own_store() -> None:
    same = settings("redis://localhost:6379/1", store_url="redis://localhost:6379/1")
    assert checked_store_url(same) == "redis://localhost:6379/1"


@pytest.mark.parametrize(
    ("host", "yes"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.255.0.9", True),
        ("::1", True),
        ("localhost.example", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, yes: bool) -> None:
    assert is_loopback(host) is yes


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://:hunter2@127.0.0.1:1/0", "127.0.0.1:1"),
        ("redis://me:hunter2@127.0.0.1:1/0", "127.0.0.1:1"),
        ("rediss://me:hunter2@127.0.0.1:1", "127.0.0.1:1"),
        ("rediss://:hunter%32@store.example:70000", ""),
        ("unix://:hunter2@/run/s", "/run/s"),
        ("redis://[hunter2", ""),
        ("hunter2", ""),
        ("://:hunter2@store.example", ""),
        ("redis://127.0.0.1:1", "127.0.0.1:1"),
        ("redis://:hunter/2@127.0.0.1:1", ""),
        ("redis://127.0.0.1:1/0?password=hunter2", "127.0.0.1:1"),
        ("sentinel://me:hunter2@127.0.0.1:1,[::1]:1/main", "127.0.0.1:1,[::1]:1/main"),
        ("amqp://me:hunter2@127.0.0.1:1/fleet", "127.0.0.1:1/fleet"),
    ],
)
def test_a_password_is_never_shown_and_the_place_is(url: str, place: str) -> None:
    assert place in shown_url(url)
    assert "hunter" not in shown_url(url)
    with pytest.raises((SettingsError, StoreError)) as caught:
        connect(settings(url, allow_plaintext_broker=True))
    assert "hunter" not in str(caught.value)
    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("url", "celery"),
    [
        ("redis://:pw@127.0.0.1:6379/2", "redis://:pw@127.0.0.1:6379/2"),
        ("unix:///run/valkey/s", "redis+socket:///run/valkey/s"),
        ("unix:///run/with%20space/s", "redis+socket:///run/with space/s"),
        ("unix://me:pw@/run/s", "redis+socket://me:pw@/run/s"),
        ("amqps://me:pw@mq1/fleet", "amqps://me:pw@mq1/fleet"),
        ("sentinel://db1/main", "sentinel://db1:26379/0"),
        (
            "sentinels://:p;w%2F@db1:1,[::1]/main/3",
            "sentinel://:p%3Bw%2F@db1:1/3;sentinel://:p%3Bw%2F@[::1]:26379/3",
        ),
    ],
)
def test_celery_gets_the_same_store_in_its_own_words(url: str, celery: str) -> None:
    assert celery_url(url) == celery


@pytest.mark.parametrize("scheme", ["redis://127.0.0.1", "unix:///s", "amqp://localhost"])
def test_without_tls_there_is_nothing_to_check(scheme: str) -> None:
    assert tls_options(scheme, Path("/etc/ca.pem")) == {}


@pytest.mark.parametrize("url", ["rediss://:pw@a.example", "sentinels://:pw@a,b/main"])
def test_tls_checks_the_store_s_certificate(url: str) -> None:
    assert tls_options(url, None) == {"ssl_cert_reqs": "required"}
    own = tls_options(url, Path("/etc/ca.pem"))
    assert own == {"ssl_cert_reqs": "required", "ssl_ca_certs": "/etc/ca.pem"}


def test_tls_checks_rabbitmq_s_certificate_and_its_name() -> None:
    own = tls_options("amqps://me:pw@mq1", Path("/etc/ca.pem"))
    checked = {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "mq1", "ca_certs": "/etc/ca.pem"}
    assert own == checked


def test_sentinels_are_asked_with_the_store_s_password_and_over_tls_as_well() -> None:
    assert sentinel_options("redis://:pw@localhost", None) == {}
    options = sentinel_options("sentinels://me:p%77@db1/ma%20in/1", Path("/etc/ca.pem"))
    asked = cast(dict[str, object], options.pop("sentinel_kwargs"))
    assert options == {"master_name": "ma in"}
    assert asked["username"], asked["password"] == ("me", "pw")
    assert asked["ssl"] is True
    assert asked["ssl_ca_certs"] == "/etc/ca.pem"


def test_each_server_gets_the_options_that_it_knows() -> None:
    own: Any = make_app(settings("redis://127.0.0.1"), listens=False).conf
    assert own.broker_transport_options["visibility_timeout"]
    assert own.result_backend == "swarm_tasks.silent:SilentBackend+redis://127.0.0.1"

    led: Any = make_app(settings("sentinel://127.0.0.1/main"), listens=False).conf
    assert led.broker_transport_options["visibility_timeout"]
    assert led.broker_transport_options["master_name"] == "main"
    assert led.result_backend_transport_options["master_name"] == "main"
    assert led.result_backend.startswith("swarm_tasks.silent:SilentSentinelBackend+sentinel://")

    apart = settings("amqps://me:pw@mq1", store_url="rediss://:pw@db1", broker_ca="/etc/ca.pem")
    amqp: Any = make_app(apart, listens=False).conf
    assert amqp.broker_transport_options == {"confirm_publish": True}
    assert amqp.broker_use_ssl["server_hostname"] == "mq1"
    assert amqp.redis_backend_use_ssl["ssl_ca_certs"] == "/etc/ca.pem"
    assert amqp.result_backend == "swarm_tasks.silent:SilentBackend+rediss://:pw@db1"
