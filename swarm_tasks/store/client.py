"""Connect to the store, or say in one line why not and what to do."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import SplitResult, unquote, urlsplit

import redis
from kombu.exceptions import OperationalError
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.retry import Retry

from swarm_tasks.config import Settings
from swarm_tasks.errors import SettingsError, StoreError
from swarm_tasks.store.commands import Commands

SCHEMES = ("redis", "rediss", "unix")
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 30.0
ONCE = Retry(NoBackoff(), 0)
PATIENTLY = Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), 3)


def checked_broker_url(settings: Settings) -> str:
    """The broker's URL, once it is known to be safe to use.

    A store on another machine holds the authority over every host, so it must speak TLS and
    ask for a password, unless the operator allows otherwise by name.

    Raises:
        SettingsError: There is no URL, it is not one, or it is not safe.
    """
    if settings.broker_url is None:
        raise SettingsError(
            "no store is configured",
            "set HOSTSWARM_BROKER_URL, or start one on this machine with `hostswarm up`",
        )
    url = settings.broker_url.get_secret_value()
    parts = _parts(url)
    if parts.scheme == "unix":
        return url
    host = parts.hostname or ""
    if is_loopback(host):
        return url
    if parts.scheme != "rediss" and not settings.allow_plaintext_broker:
        raise SettingsError(
            f"the store at {host} would be used without TLS",
            "use a rediss:// URL, or set HOSTSWARM_ALLOW_PLAINTEXT_BROKER=true on a network "
            "that you trust",
        )
    if not parts.password and not settings.allow_passwordless_broker:
        raise SettingsError(
            f"the store at {host} would be used without a password",
            "write rediss://:PASSWORD@HOST:PORT/0 and requirepass on the server, or set "
            "HOSTSWARM_ALLOW_PASSWORDLESS_BROKER=true",
        )
    return url


def _parts(url: str) -> SplitResult:
    """The parts of a store's URL.

    Raises:
        SettingsError: It is not one. Parameters after a `?` are refused: each of the two
            libraries that read the URL knows others, and some switch checks off.
    """
    try:
        parts = urlsplit(url)
        wrong = parts.scheme not in SCHEMES or parts.port == 0
    except ValueError:
        parts, wrong = urlsplit(""), True
    if wrong:
        raise SettingsError(
            f"HOSTSWARM_BROKER_URL is not a URL of a store: {shown_url(url)}",
            "it begins with redis://, rediss:// or unix://",
        )
    if parts.query or parts.fragment:
        raise SettingsError(
            f"HOSTSWARM_BROKER_URL has parameters: {shown_url(url)}",
            "leave out what follows the ? or #; the settings say the rest",
        )
    if parts.scheme == "unix":
        if parts.hostname or len(parts.path) < 2:
            raise SettingsError(
                f"HOSTSWARM_BROKER_URL names no socket: {shown_url(url)}", "write unix:///PATH"
            )
        return parts
    if not parts.hostname or " " in parts.hostname:
        raise SettingsError(
            f"HOSTSWARM_BROKER_URL names no host: {shown_url(url)}", "write redis://HOST:PORT/0"
        )
    if not re.fullmatch(r"/?\d*", parts.path):
        raise SettingsError(
            f"HOSTSWARM_BROKER_URL ends with {parts.path!r}, which is no database's number",
            "write redis://HOST:PORT/0",
        )
    return parts


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine by definition."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def shown_url(url: str) -> str:
    """The URL as far as it is no secret: scheme, host, port and path.

    What is not a URL of a store may be anything, a password too, and is not shown at all.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(unreadable)"
    if parts.scheme not in SCHEMES:
        return "(unreadable)"
    login = f"{parts.username or ''}:***@" if "@" in parts.netloc else ""
    return f"{parts.scheme}://{login}{host}{port}{parts.path}"


def celery_url(url: str) -> str:
    """The same store as kombu writes it: `unix:///path` is `redis+socket:///path` there."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return f"redis+socket://{login}{unquote(parts.path)}"


def tls_options(settings: Settings) -> dict[str, object]:
    """What a `rediss://` connection checks; empty for other URLs."""
    url = settings.broker_url.get_secret_value() if settings.broker_url else ""
    if not url.startswith("rediss://"):
        return {}
    options: dict[str, object] = {"ssl_cert_reqs": "required"}
    if settings.broker_ca is not None:
        options["ssl_ca_certs"] = str(settings.broker_ca)
    return options


def connect(settings: Settings) -> Commands:
    """A client of the store, checked with one PING.

    Raises:
        SettingsError: The URL is missing, wrong or unsafe.
        StoreError: The store cannot be reached or wants another password.
    """
    url = checked_broker_url(settings)
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_connect_timeout": CONNECT_SECONDS,
        **tls_options(settings),
    }
    make = cast(Any, redis.Redis).from_url
    # Asked once and briefly: a store that is not there is told at once. What is asked later may
    # take its time, and gets over a connection that drops.
    with store_errors(url), make(url, socket_timeout=CONNECT_SECONDS, retry=ONCE, **options) as one:
        one.ping()
    return make(
        url, socket_timeout=ANSWER_SECONDS, health_check_interval=15, retry=PATIENTLY, **options
    )


@contextmanager
def store_errors(url: str) -> Generator[None]:
    """Turn the client libraries' errors into ours.

    Raises:
        StoreError: For whatever goes wrong with the store inside.
    """
    shown = shown_url(url)
    try:
        yield
    except redis.AuthenticationError as error:
        raise StoreError(
            f"the store at {shown} refuses the password, or wants one: {error}",
            "put the password into HOSTSWARM_BROKER_URL: redis://:PASSWORD@HOST:PORT/0",
        ) from error
    except redis.ResponseError as error:
        raise StoreError(f"the store at {shown} refuses: {error}") from error
    except (redis.RedisError, OperationalError) as error:
        raise StoreError(
            f"the store at {shown} cannot be reached: {error}",
            "name its certificate or authority in HOSTSWARM_BROKER_CA"
            if "certificate verify failed" in str(error).lower()
            else "start it, or mend HOSTSWARM_BROKER_URL",
        ) from error
