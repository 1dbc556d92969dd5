"""What the operator wants judged, and how: thresholds, overrides and checks."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field, model_validator

from swarm_tasks.models.base import Frozen


class Limits(Frozen):
    """Levels of one metric, in that metric's unit; None leaves the default.

    Args:
        warning: The level that raises a warning.
        critical: The level that raises a critical finding.
        warning_clear: A raised warning stays until the value is back past this.
        critical_clear: A raised critical stays until the value is back past this.
    """

    warning: float | None = None
    critical: float | None = None
    warning_clear: float | None = None
    critical_clear: float | None = None


class Override(Limits):
    """Limits for some subjects only, or silence about them.

    Args:
        metric: A metric name or a glob such as `disk.*`.
        host: A glob over host names.
        subject: A glob over subjects such as `/backup*`.
        ignore: True to raise nothing for what matches.
    """

    metric: str
    host: str = "*"
    subject: str = "*"
    ignore: bool = False

    def matches(self, metric: str, host: str, subject: str) -> bool:
        """Whether this override speaks about that metric of that subject on that host."""
        return (
            fnmatchcase(metric, self.metric)
            and fnmatchcase(host, self.host)
            and fnmatchcase(subject, self.subject)
        )


class Checks(Frozen):
    """What this host is expected to do, beyond what every host is.

    Args:
        http: URLs that must answer with a status below 400.
        tcp: `host:port` pairs that must accept a connection.
        tls: `host:port` pairs whose certificate must not be near its end.
        dns: Names that every configured resolver must resolve.
        ping: Hosts that must answer an echo request.
        certificates: Globs of certificate files.
        services: Units that must be active.
        files: Globs of files whose newest match must be younger than the `file.age` limits.
        logs: Log files in which the kernel's messages are looked for as well.
    """

    http: tuple[str, ...] = ()
    tcp: tuple[str, ...] = ()
    tls: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    ping: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()

    def joined(self, other: Checks) -> Checks:
        """Both lists of each kind, in order, without repeats."""
        return Checks(
            **{
                kind: tuple(dict.fromkeys((*getattr(self, kind), *getattr(other, kind))))
                for kind in Checks.model_fields
            }
        )


CheckKind = Literal[
    "http", "tcp", "tls", "dns", "ping", "certificates", "services", "files", "logs"
]


class Policy(Frozen):
    """All of the operator's judgement that an audit carries to a host.

    Args:
        thresholds: Limits by metric name; what is not named keeps the field's default.
        overrides: Exceptions; the last one that matches wins.
    """

    thresholds: dict[str, Limits] = Field(default_factory=dict[str, Limits])
    overrides: tuple[Override, ...] = ()
    checks: Checks = Checks()

    def under(self, own: Policy) -> Policy:
        """This policy with a host's `own` laid over it: the host knows itself best."""
        return Policy(
            thresholds={**self.thresholds, **own.thresholds},
            overrides=(*self.overrides, *own.overrides),
            checks=self.checks.joined(own.checks),
        )


class SweepCall(Frozen):
    """A tool that a specialist always calls first.

    Args:
        each: Call once per entry of this list of the host's checks …
        argument: … with the entry as this argument.
        unless: Leave the call out where this list of checks has entries.
    """

    tool: str
    arguments: dict[str, str | int | float | bool] = Field(
        default_factory=dict[str, str | int | float | bool]
    )
    each: CheckKind | None = None
    argument: str | None = None
    unless: CheckKind | None = None

    @model_validator(mode="after")
    def _each_needs_its_argument(self) -> SweepCall:
        if (self.each is None) != (self.argument is None):
            raise ValueError("`each` and `argument` go together")
        return self
