"""Stores and brokers of other kinds, each a private server process on loopback ports."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

import psutil
import pytest
import redis

from swarm_tasks.embedded import server_binary
from swarm_tasks.guarded import Guarded
from tests.support.certificates import write_pair
from tests.support.waiting import wait_until

PASSWORD = "p;w/%1"
QUOTED = "p%3Bw%2F%251"
MASTER = "main"
DATABASE = 1

VALKEY = """\
bind 127.0.0.1
protected-mode no
dir {dir}
requirepass "{password}"
masterauth "{password}"
replica-announce-ip {host}
save ""
repl-diskless-sync-delay 0
"""

SENTINEL = """\
bind 127.0.0.1
protected-mode no
dir {dir}
requirepass "{password}"
sentinel sentinel-pass "{password}"
sentinel resolve-hostnames {names}
sentinel announce-hostnames {names}
sentinel monitor {master} {host} {port} 2
sentinel auth-pass {master} "{password}"
sentinel down-after-milliseconds {master} 500
sentinel failover-timeout {master} 2000
"""

OVER_TLS = """\
port 0
tls-port {port}
tls-auth-clients no
tls-replication yes
tls-ca-cert-file {certificate}
tls-cert-file {certificate}
tls-key-file {key}
"""

RABBIT = """\
log.console.level = warning
disk_free_limit.absolute = 1MB
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.certfile = {certificate}
ssl_options.keyfile = {key}
"""

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def missing(what: str) -> NoReturn:
    """Skip with the reason; in CI, where it must be installed, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"there is no {what}")


def tls_server() -> Path:
    """A server that knows TLS, which the one in the wheel does not."""
    found = shutil.which("redis-server")
    return Path(found) if found else missing("redis-server (apt-get install redis-server)")


class Servers:
    """Processes that end with the test; use it as a context manager.

    Args:
        directory: Where their files and logs go.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._running: dict[str, Guarded] = {}
        self._how: dict[str, Callable[[], Guarded]] = {}

    def __enter__(self) -> Any:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start them and wait until they serve."""
        raise NotImplementedError

    def stop(self) -> None:
        """End them all. None has anything to keep."""
        for one in self._running.values():
            one.ask_to_stop(0)
        for one in self._running.values():
            one.stop(0)

    def kill(self, name: str) -> None:
        """SIGKILL one, as a power cut would."""
        guard = psutil.Process(self._running[name].pid)
        shells_apart = [one for one in guard.children() if one.name() != "sh"]
        for process in shells_apart:
            process.send_signal(signal.SIGKILL)
        self._running[name].stop(0)

    def revive(self, name: str) -> None:
        """Start one that was killed again, as it was."""
        self._running[name] = self._how[name]()

    def _run(self, name: str, argv: Sequence[str], **environment: str) -> None:
        known = {"LANG": "C", "PATH": os.environ["PATH"], **environment}
        self._how[name] = lambda: Guarded(argv, known, self.directory / f"{name}.log", 0)
        self._running[name] = self._how[name]()

    def _log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text(encoding="utf-8", errors="replace")


class SentinelStore(Servers):
    """A master with one replica, and three Sentinels that look after them.

    Args:
        directory: Where their files and logs go.
        tls: All over TLS; then they call each other by name, as their certificate does.
    """

    def __init__(self, directory: Path, *, tls: bool = False) -> None:
        super().__init__(directory)
        self._tls = tls
        self._host = "localhost" if tls else "127.0.0.1"
        self._program = tls_server() if tls else server_binary()
        self.certificate, self._key = write_pair(directory)

    def start(self) -> None:
        """Start all five and wait until the Sentinels know each other and the replica."""
        self.ports = free_ports(5)
        master, replica, *sentinels = self.ports
        self._serve("master", master, VALKEY)
        self._serve("replica", replica, VALKEY + f"replicaof {self._host} {master}\n")
        wait_until("the replica follows", lambda: self._info(replica)["master_link_status"] == "up")
        for port in sentinels:
            self._serve(f"sentinel{port}", port, SENTINEL, "--sentinel")
        wait_until("the Sentinels agree", lambda: all(self._agrees(port) for port in sentinels))

    @property
    def url(self) -> str:
        """The URL that names the Sentinels."""
        places = ",".join(f"{self._host}:{port}" for port in self.ports[2:])
        return f"sentinel{'s' * self._tls}://:{QUOTED}@{places}/{MASTER}/{DATABASE}"

    def leader(self) -> int:
        """The port of the master that the first Sentinel names."""
        return self._named_by(self.ports[2])

    def hand_over(self) -> None:
        """Have another server made the master, while the first lives and becomes its replica."""
        first = self.leader()
        with self._client(self.ports[2]) as one:
            cast(Any, one).sentinel_failover(MASTER)
        wait_until(
            "all Sentinels name another master",
            lambda: all(self._named_by(port) != first for port in self.ports[2:]),
        )
        with self._client(first) as one:  # Sentinels tell it too, but only after eight seconds
            cast(Any, one).replicaof(self._host, self.leader())

    def kept(self, key: str, field: str) -> str | None:
        """What the master of now has in a hash."""
        with self._client(self.leader(), DATABASE) as one:
            return cast(Any, one).hget(key, field)

    def _named_by(self, sentinel: int) -> int:
        with self._client(sentinel) as one:
            return cast(Any, one).sentinel_masters()[MASTER]["port"]

    def _serve(self, name: str, port: int, config: str, *words: str) -> None:
        directory = self.directory / name
        directory.mkdir()
        path = directory / "conf"
        listen = OVER_TLS if self._tls else "port {port}\n"
        path.write_text(
            listen.format(port=port, certificate=self.certificate, key=self._key)
            + config.format(
                dir=directory,
                password=PASSWORD,
                master=MASTER,
                host=self._host,
                port=self.ports[0],
                names="yes" if self._tls else "no",
            ),
            encoding="utf-8",
        )
        self._run(name, (str(self._program), str(path), *words))

    def _client(self, port: int, database: int = 0) -> redis.Redis:
        checked: Any = {"ssl": True, "ssl_ca_certs": str(self.certificate)} if self._tls else {}
        return redis.Redis(self._host, port, database, PASSWORD, decode_responses=True, **checked)

    def _info(self, port: int) -> dict[str, Any]:
        with self._client(port) as one:
            try:
                return {"master_link_status": "", **cast(Any, one).info("replication")}
            except redis.ConnectionError:
                return {"master_link_status": ""}

    def _agrees(self, port: int) -> bool:
        with self._client(port) as one:
            try:
                state = cast(Any, one).sentinel_masters()[MASTER]
            except redis.ConnectionError:
                return False
        return state["num-slaves"] == 1 and state["num-other-sentinels"] == 2


class TlsStore(Servers):
    """Debian's Redis over TLS, with a password."""

    def start(self) -> None:
        """Start it and wait until it listens."""
        program = tls_server()
        (self.port,) = free_ports(1)
        self.certificate, key = write_pair(self.directory)
        path = self.directory / "conf"
        path.write_text(
            OVER_TLS.format(port=self.port, certificate=self.certificate, key=key)
            + VALKEY.format(dir=self.directory, password=PASSWORD, host="localhost"),
            encoding="utf-8",
        )
        self._run("redis", (str(program), str(path)))
        wait_until("Redis is ready", lambda: "Ready to accept" in self._log("redis"))

    @property
    def url(self) -> str:
        """The URL; its host is the name that the certificate is for."""
        return f"rediss://:{QUOTED}@localhost:{self.port}/0"


class RabbitBroker(Servers):
    """Debian's RabbitMQ, with nothing of the system's own."""

    def start(self) -> None:
        """Start it and wait until it speaks AMQP."""
        if not RABBITMQ.exists():
            missing("RabbitMQ (apt-get install rabbitmq-server)")
        epmd = shutil.which("epmd")
        assert epmd, "Erlang comes with it"
        self.port, self.tls_port, names, peers = free_ports(4)
        self.certificate, key = write_pair(self.directory)
        (self.directory / "plugins").write_text("[].", encoding="utf-8")
        (self.directory / "rabbit.conf").write_text(
            RABBIT.format(port=self.tls_port, certificate=self.certificate, key=key),
            encoding="utf-8",
        )
        own = {"ERL_EPMD_PORT": str(names), "ERL_EPMD_ADDRESS": "127.0.0.1"}
        # Left to itself it would start one that outlives it.
        self._run("epmd", (epmd,), **own)
        self._run(
            "rabbitmq",
            (str(RABBITMQ),),
            HOME=str(self.directory),
            RABBITMQ_NODENAME=f"test{self.port}@localhost",
            RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
            RABBITMQ_NODE_PORT=str(self.port),
            RABBITMQ_DIST_PORT=str(peers),
            RABBITMQ_MNESIA_BASE=str(self.directory / "data"),
            RABBITMQ_LOG_BASE=str(self.directory / "log"),
            RABBITMQ_LOGS="-",
            RABBITMQ_ENABLED_PLUGINS_FILE=str(self.directory / "plugins"),
            RABBITMQ_CONFIG_FILE=str(self.directory / "rabbit"),
            RABBITMQ_CONF_ENV_FILE=str(self.directory / "none"),
            # Else a shell of its own would stand before the server, and outlive a kill of it.
            RABBITMQ_ALLOW_INPUT="yes",
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-noinput +S 1:1 +sbwt none",
            **own,
        )
        wait_until("RabbitMQ speaks", self._speaks, 60)

    @property
    def url(self) -> str:
        """The URL of its first virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    @property
    def tls_url(self) -> str:
        """The same over TLS, by the name that the certificate is for."""
        return f"amqps://guest:guest@localhost:{self.tls_port}//"

    def _speaks(self) -> bool:
        assert self._running["rabbitmq"].ended() is None, self._log("rabbitmq")
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1.0) as probe:
                probe.settimeout(1.0)
                probe.sendall(b"AMQP\x00\x00\x09\x01")
                return probe.recv(1) == b"\x01"
        except OSError:
            return False
