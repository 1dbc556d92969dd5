"""Which stores are used at all, and how their URLs are shown and passed on."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from swarm_tasks.app import make_app
from swarm_tasks.config import Settings
from swarm_tasks.errors import SettingsError, StoreError
from swarm_tasks.store.client import (
    celery_url,
    checked_broker_url,
    connect,
    is_loopback,
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
    ],
)
def test_a_safe_url_is_taken_as_it_is(url: str) -> None:
    assert checked_broker_url(settings(url)) == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (None, "no store is configured"),
        ("", "is not a URL of a store"),
        ("nonsense", "is not a URL of a store"),
        ("http://store.example/", "is not a URL of a store"),
        ("amqp://guest@localhost//", "is not a URL of a store"),
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
    ],
)
def test_celery_gets_the_same_store_in_its_own_words(url: str, celery: str) -> None:
    assert celery_url(url) == celery


def test_tls_checks_the_store_s_certificate() -> None:
    assert tls_options(settings("redis://127.0.0.1")) == {}
    assert tls_options(settings("rediss://:pw@a.example")) == {"ssl_cert_reqs": "required"}
    own = tls_options(settings("rediss://:pw@a.example", broker_ca="/etc/ca.pem"))
    assert own == {"ssl_cert_reqs": "required", "ssl_ca_certs": "/etc/ca.pem"}
