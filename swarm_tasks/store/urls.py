"""The URLs of brokers and stores: their parts, how they are shown, and what others call them.

A broker carries the messages, a store keeps the state. They are one and the same server where it
speaks Redis; RabbitMQ carries messages only.

    redis://[USER:PASSWORD@]HOST[:PORT]/DB            rediss:// with TLS
    unix://[USER:PASSWORD@]/PATH
    sentinel://[USER:PASSWORD@]HOST[:PORT],…/MASTER[/DB]   sentinels:// with TLS
    amqp://[USER:PASSWORD@]HOST[:PORT][/VHOST]        amqps:// with TLS; a broker only
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

STORES = ("redis", "rediss", "unix", "sentinel", "sentinels")
BROKERS = (*STORES, "amqp", "amqps")
WITH_TLS = {"redis": "rediss", "sentinel": "sentinels", "amqp": "amqps"}
"""What a scheme is called over TLS."""

SENTINEL_PORT = 26379
SENTINEL_SECONDS = 3.0
"""How long one Sentinel may take to answer before the next is asked."""

FORM = re.compile(r"([a-z]+)://([^/?#]*)([^?#]*)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Address:
    """A URL in its parts.

    Args:
        login: User and password as the URL writes them, with the `@` behind; empty for none.
        nodes: Host and port of each server that is named; none for a socket.
        path: What follows, with its slash.
    """

    scheme: str
    login: str
    nodes: tuple[tuple[str, int | None], ...]
    path: str

    @property
    def user(self) -> str:
        """Who logs in; empty for the server's default user."""
        return unquote(self.login.removesuffix("@").partition(":")[0])

    @property
    def password(self) -> str:
        """With which password; empty for none."""
        return unquote(self.login.removesuffix("@").partition(":")[2])

    @property
    def credentials(self) -> dict[str, str]:
        """User and password as redis-py names them, where they are given."""
        given = {"username": self.user, "password": self.password}
        return {name: value for name, value in given.items() if value}

    @property
    def encrypted(self) -> bool:
        """Whether it is reached over TLS."""
        return self.scheme in WITH_TLS.values()

    @property
    def is_sentinel(self) -> bool:
        """Whether the nodes are Sentinels, which know the store."""
        return self.scheme in ("sentinel", "sentinels")

    @property
    def is_amqp(self) -> bool:
        """Whether it is RabbitMQ, which keeps no state."""
        return self.scheme in ("amqp", "amqps")

    @property
    def master(self) -> str:
        """What the Sentinels call the store."""
        return unquote(self.path.split("/")[1])

    @property
    def database(self) -> int:
        """The number of the database behind a master."""
        return int("".join(self.path.split("/")[2:]) or 0)

    @property
    def sentinels(self) -> list[tuple[str, int]]:
        """Host and port of each Sentinel."""
        return [(host, port or SENTINEL_PORT) for host, port in self.nodes]


def address(url: str) -> Address:
    """A URL in its parts.

    Raises:
        ValueError: It is none of a broker or store.
    """
    found = FORM.fullmatch(url)
    if found is None or found[1] not in BROKERS or found[4]:
        raise ValueError("not a URL of a broker or store")
    scheme, authority, path = found[1], found[2], found[3]
    login, at, places = authority.rpartition("@")
    several = places.split(",") if scheme in ("sentinel", "sentinels") else [places]
    nodes = tuple(_node(place) for place in several) if places else ()
    return Address(scheme, login + at, nodes, path)


def _node(place: str) -> tuple[str, int | None]:
    parts = urlsplit(f"//{place}")
    if parts.port == 0:
        raise ValueError("there is no port 0")
    return parts.hostname or "", parts.port


def shown_url(url: str | SecretStr) -> str:
    """The URL as far as it is no secret: scheme, hosts, ports and path.

    What is not a URL of a store may be anything, a password too, and is not shown at all.
    """
    text = url if isinstance(url, str) else url.get_secret_value()
    try:
        place = address(re.split(r"[?#]", text, maxsplit=1)[0])
    except ValueError:
        return "(unreadable)"
    # A password with a slash in it that nobody has written as %2F.
    if "@" in place.path:
        return "(unreadable)"
    login = f"{place.user}:***@" if place.login else ""
    return f"{place.scheme}://{login}{_written(place.nodes)}{place.path}"


def _written(nodes: Iterable[tuple[str, int | None]]) -> str:
    """Hosts and ports as a URL has them."""
    return ",".join(
        (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
        for host, port in nodes
    )


def celery_url(url: str) -> str:
    """The same server as kombu and Celery write it.

    `unix:///path` is `redis+socket:///path` there, and each Sentinel has a URL of its own.
    """
    place = address(url)
    if place.is_sentinel:
        # Their lists are split at semicolons, whatever these belong to.
        login = f"{quote(place.user, safe='')}:{quote(place.password, safe='')}@"
        login = login if place.login else ""
        return ";".join(
            f"sentinel://{login}{_written((node,))}/{place.database}" for node in place.sentinels
        )
    if place.scheme == "unix":
        return f"redis+socket://{place.login}{unquote(place.path)}"
    return url


def tls_options(url: str, ca: Path | None) -> dict[str, object]:
    """What a connection over TLS checks, as the library behind the URL names it; else nothing.

    Args:
        ca: A file of certificates that the server's own must lead to; None takes the system's.
    """
    place = address(url)
    if not place.encrypted:
        return {}
    if place.is_amqp:
        named: dict[str, object] = {"ca_certs": str(ca)} if ca else {}
        # Without a name to compare with, any certificate of the authority's would do.
        return {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": place.nodes[0][0], **named}
    return {"ssl_cert_reqs": "required", **({"ssl_ca_certs": str(ca)} if ca else {})}


def sentinel_options(url: str, ca: Path | None) -> dict[str, object]:
    """What kombu and Celery must know of a store behind Sentinels besides its URL; else nothing.

    The Sentinels ask for the same password as the store: who may talk to one without, may name
    another master to every host.
    """
    place = address(url)
    if not place.is_sentinel:
        return {}
    return {"master_name": place.master, "sentinel_kwargs": sentinel_login(url, ca)}


def sentinel_login(url: str, ca: Path | None) -> dict[str, object]:
    """How redis-py reaches each Sentinel itself."""
    place = address(url)
    return {
        "socket_timeout": SENTINEL_SECONDS,
        "socket_connect_timeout": SENTINEL_SECONDS,
        **place.credentials,
        **({"ssl": True, **tls_options(url, ca)} if place.encrypted else {}),
    }
