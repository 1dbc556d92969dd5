"""Which broker and store the settings lead to, once their URLs are known to be safe to use."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from swarm_tasks.config import Settings
from swarm_tasks.errors import SettingsError
from swarm_tasks.store.urls import (
    BROKERS,
    FORM,
    SENTINEL_PORT,
    STORES,
    WITH_TLS,
    Address,
    address,
    shown_url,
)

GUEST = "guest"
"""The password that every RabbitMQ comes with."""


def checked_broker_url(settings: Settings) -> str:
    """The broker's URL, once it is known to be safe to use.

    Who may write to a broker or a store on another machine has authority over every host, so it
    must speak TLS and ask for a password, unless the operator allows otherwise by name.

    Raises:
        SettingsError: There is no URL, it is not one, or it is not safe.
    """
    url = _broker_url(settings)
    place = _checked(url, "HOSTSWARM_BROKER_URL", BROKERS)
    _check_safe(settings, place, "broker" if place.is_amqp else "store")
    if place.is_amqp and settings.store_url is None:
        raise SettingsError(
            f"the broker at {shown_url(url)} keeps no state, and no store is named",
            "set HOSTSWARM_STORE_URL to the rediss:// URL of a Valkey or Redis",
        )
    return url


def checked_store_url(settings: Settings) -> str:
    """The URL of the store, which keeps the state, once it is known to be safe to use.

    Raises:
        SettingsError: There is no URL, it is not one, or it is not safe; or the broker keeps
            state itself and another store is named.
    """
    broker = checked_broker_url(settings)
    if settings.store_url is None:
        return broker
    url = settings.store_url.get_secret_value()
    place = _checked(url, "HOSTSWARM_STORE_URL", STORES)
    _check_safe(settings, place, "store")
    if url != broker and not address(broker).is_amqp:
        raise SettingsError(
            "HOSTSWARM_STORE_URL is another store than the broker, which can keep the state itself",
            "leave it out; it is for a broker that keeps none, RabbitMQ",
        )
    return url


def keeps_queues(settings: Settings) -> bool:
    """Whether the queues stand in the store, where they can be looked at beside the state."""
    return not address(_broker_url(settings)).is_amqp


def _broker_url(settings: Settings) -> str:
    if settings.broker_url is None:
        raise SettingsError(
            "no store is configured"
            if settings.store_url is None
            else "HOSTSWARM_STORE_URL is set, and no broker is",
            "set HOSTSWARM_BROKER_URL, or start one on this machine with `hostswarm up`",
        )
    return settings.broker_url.get_secret_value()


def _checked(url: str, setting: str, schemes: Iterable[str]) -> Address:
    """The parts of a URL that a setting gives.

    Raises:
        SettingsError: It is not one. Parameters after a `?` are refused: each of the
            libraries that read the URL knows others, and some switch checks off.
    """
    shown = shown_url(url)
    found = FORM.fullmatch(url)
    if found and found[1] in schemes and found[4]:
        raise SettingsError(
            f"{setting} has parameters: {shown}",
            "leave out what follows the ? or #; the settings say the rest",
        )
    try:
        place = address(url)
    except ValueError:
        place = None
    if place is None or place.scheme not in schemes:
        raise SettingsError(
            f"{setting} is not a URL of a store: {shown}",
            f"it begins with {', '.join(f'{scheme}://' for scheme in schemes)}",
        )
    if place.scheme == "unix":
        if place.nodes or len(place.path) < 2:
            raise SettingsError(f"{setting} names no socket: {shown}", "write unix:///PATH")
        return place
    if not place.nodes or not all(host and " " not in host for host, _ in place.nodes):
        raise SettingsError(f"{setting} names no host: {shown}", f"write {_form(place)}")
    if place.is_sentinel and not re.fullmatch(r"/[^/@]+(/\d*)?", place.path):
        raise SettingsError(f"{setting} names no master: {shown}", f"write {_form(place)}")
    if not (place.is_sentinel or place.is_amqp or re.fullmatch(r"/?\d*", place.path)):
        raise SettingsError(
            f"{setting} ends with {place.path!r}, which is no database's number",
            f"write {_form(place)}",
        )
    return place


def _form(place: Address) -> str:
    """How a URL of this kind is written."""
    if place.is_sentinel:
        return f"{place.scheme}://HOST:{SENTINEL_PORT},HOST:{SENTINEL_PORT}/MASTER/0"
    return f"{place.scheme}://HOST:PORT/" + ("VHOST" if place.is_amqp else "0")


def _check_safe(settings: Settings, place: Address, what: str) -> None:
    """Raises SettingsError where another machine would be spoken to without TLS or password."""
    for host in (host for host, _ in place.nodes if not is_loopback(host)):
        if not place.encrypted and not settings.allow_plaintext_broker:
            raise SettingsError(
                f"the {what} at {host} would be used without TLS",
                f"use a {WITH_TLS[place.scheme]}:// URL, or set "
                "HOSTSWARM_ALLOW_PLAINTEXT_BROKER=true on a network that you trust",
            )
        known = place.is_amqp and place.password == GUEST
        if (known or not place.password) and not settings.allow_passwordless_broker:
            raise SettingsError(
                f"the {what} at {host} would be used without a password"
                + (" of its own" if known else ""),
                "make a user with `rabbitmqctl add_user` and write amqps://USER:PASSWORD@HOST, or "
                "set HOSTSWARM_ALLOW_PASSWORDLESS_BROKER=true"
                if place.is_amqp
                else f"write {WITH_TLS.get(place.scheme, place.scheme)}://:PASSWORD@HOST:PORT/… "
                "and requirepass on the server, or set HOSTSWARM_ALLOW_PASSWORDLESS_BROKER=true",
            )


def check_master(settings: Settings, place: Address, host: str) -> None:
    """See that the master that Sentinels name may be used as they may.

    Raises:
        SettingsError: It is on another machine, and not reached safely.
    """
    _check_safe(settings, Address(place.scheme, place.login, ((host, None),), place.path), "store")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine by definition."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
