"""Connect to the store, or say in one line why not and what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, cast

import redis
from kombu.exceptions import OperationalError
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelManagedConnection

from swarm_tasks.config import Settings
from swarm_tasks.errors import StoreError
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.safety import check_master, checked_store_url
from swarm_tasks.store.urls import (
    address,
    sentinel_login,
    shown_url,
    tls_options,
)

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 30.0
ONCE = Retry(NoBackoff(), 0)
PATIENTLY = Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), 3)
FAILOVER_SECONDS = 12.0
"""Sentinels that take a master for lost after 5 s have named the next one by then."""


class _Until(Retry):
    """Tries again until a time is over, however often and wherever it is asked to.

    A client tries a command again, and within each try to connect: counts would multiply.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(ExponentialWithJitterBackoff(base=0.05, cap=0.5), -1)
        self._seconds = seconds

    def call_with_retry(
        self,
        do: Callable[[], Any],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> Any:
        """What `do` gives in the end; the last error once the time is over."""
        end = time.monotonic() + self._seconds

        def failed(error: Exception, count: int) -> None:
            fail(*((error, count) if with_failure_count else (error,)))
            if time.monotonic() > end:
                raise error

        return super().call_with_retry(do, failed, is_retryable, with_failure_count=True)


class _Sentinels(Sentinel):
    """Sentinels whose errors are fit to be shown: the library's print the insides of clients."""

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Host and port of the master."""
        try:
            return cast(Any, super()).discover_master(service_name)
        except MasterNotFoundError:
            raise MasterNotFoundError(f"no Sentinel names a master {service_name!r}") from None

    def why_not(self) -> str:
        """What each Sentinel that does not answer gives as the reason; empty if all do."""
        reasons: dict[str, None] = {}
        for one in cast(list[Any], self.sentinels):
            try:
                one.ping()
            except redis.RedisError as error:
                reasons[str(error)] = None
        return "; ".join(reasons)


class _LedConnection(SentinelManagedConnection):
    """A connection that asks the Sentinels each time it is made anew.

    The library's own does so when a pool hands it out. One that is in use when its master falls, or
    becomes a replica, would be tried again at the same address for as long as anybody has patience.
    """

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send it to the master of now."""
        if not self.is_connected:
            self.connect()
        cast(Any, super()).send_packed_command(command, check_health)


class _LedTlsConnection(_LedConnection, redis.SSLConnection):
    """The same over TLS."""


class _Led(redis.Redis):
    """A client of whatever store the Sentinels call the master."""

    def close(self) -> None:
        """Let go of the store, and of the Sentinels too."""
        super().close()
        cast(Any, self.connection_pool).sentinel_manager.close()


def connect(settings: Settings) -> Commands:
    """A client of the store, checked with one PING.

    Raises:
        SettingsError: The URL is missing, wrong or unsafe.
        StoreError: The store cannot be reached or wants another password.
    """
    url = checked_store_url(settings)
    # Asked once and briefly: a store that is not there is told at once. What is asked later may
    # take its time, and gets over a connection that drops.
    with store_errors(settings), _client(settings, url, CONNECT_SECONDS, ONCE) as one:
        try:
            one.ping()
        except MasterNotFoundError as error:
            why = one.connection_pool.sentinel_manager.why_not()
            raise redis.ConnectionError(f"{error}{why and f': {why}'}") from error
        if (place := address(url)).is_sentinel:
            check_master(settings, place, one.connection_pool.get_master_address()[0])
    patience = _Until(FAILOVER_SECONDS) if place.is_sentinel else PATIENTLY
    return _client(settings, url, ANSWER_SECONDS, patience, health_check_interval=15)


def _client(
    settings: Settings, url: str, answer_seconds: float, retry: Retry, **more: object
) -> Any:
    """A client of the store behind a URL; not connected yet."""
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": answer_seconds,
        "retry": retry,
        **tls_options(url, settings.broker_ca),
        **more,
    }
    place = address(url)
    if not place.is_sentinel:
        return cast(Any, redis.Redis).from_url(url, **options)
    # One that does not answer must not keep the next from being asked.
    each = {**sentinel_login(url, settings.broker_ca), "retry": ONCE}
    sentinels: Any = _Sentinels(place.sentinels, sentinel_kwargs=each)
    return sentinels.master_for(
        place.master,
        _Led,
        db=place.database,
        connection_class=_LedTlsConnection if place.encrypted else _LedConnection,
        **place.credentials,
        **options,
    )


def let_go(pool: Any) -> None:
    """Close the connections of a pool, and those to the Sentinels that it asks."""
    pool.disconnect()
    if (sentinels := getattr(pool, "sentinel_manager", None)) is not None:
        sentinels.close()


@contextmanager
def store_errors(settings: Settings) -> Generator[None]:
    """Turn the client libraries' errors into ours.

    Raises:
        StoreError: For whatever goes wrong with the store or the broker inside.
    """
    broker, apart = settings.broker_url or "", settings.store_url is not None
    store, setting = settings.store_url or broker, f"HOSTSWARM_{'STORE' if apart else 'BROKER'}_URL"
    try:
        yield
    except redis.AuthenticationError as error:
        raise StoreError(
            f"the store at {shown_url(store)} refuses the password, or wants one: {error}",
            f"put the password into {setting}: redis://:PASSWORD@HOST:PORT/0",
        ) from error
    except redis.ResponseError as error:
        full = str(error).startswith("MISCONF")
        raise StoreError(
            f"the store at {shown_url(store)} refuses: {error}",
            "make room on the disk of its data, and it goes on by itself" if full else "",
        ) from error
    except redis.RedisError as error:
        raise _unreachable(f"the store at {shown_url(store)}", error, setting) from error
    except OperationalError as error:
        what = f"the {'broker' if apart else 'store'} at {shown_url(broker)}"
        raise _unreachable(what, error, "HOSTSWARM_BROKER_URL") from error


def _unreachable(what: str, error: Exception, setting: str) -> StoreError:
    return StoreError(
        f"{what} cannot be reached: {error}",
        "name its certificate or authority in HOSTSWARM_BROKER_CA"
        if "certificate verify failed" in str(error).lower()
        else f"start it, or mend {setting}",
    )
