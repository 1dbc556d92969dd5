"""The one error tree. A message says what is wrong, where, and how to mend it.

HostswarmError                  anything this project raises on purpose
├── UsageError                  the caller's input is wrong           (exit 2)
│   ├── SettingsError           a settings file or variable
│   ├── UnknownName             a host, specialist, tool or job that is not there
│   └── ArgumentError           an argument of a tool or a verb
├── StoreError                  the store cannot be used              (exit 1)
│   └── StoreBusy               another process has the embedded store
├── JobError                    a job that could not end with a report (exit 1)
│   └── Busy                    as many parts wait as may: ask again later
├── OutputError                 a report that could not be written    (exit 1)
├── ModelError                  a model could not be asked; agents go on by the rules
│   ├── ModelUnreachable        it is down, slow or out of quota
│   ├── ModelRefused            the key, the model's name or the request is refused for good
│   ├── ContextExceeded         the conversation does not fit the model's window
│   └── NoToolCalling           the model takes no tools
└── ToolError                   a tool's own failure: data for the agent, never an end
    ├── Unavailable             this machine lacks what the tool needs
    ├── ToolFailed              the tool ran and could not answer
    └── ToolTimeout             the tool did not answer in time
"""

from __future__ import annotations


class HostswarmError(Exception):
    """Something went wrong that hostswarm can name.

    Args:
        message: What is wrong and where, in one line.
        remedy: How to mend it, in one line; empty where there is nothing to do.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}: {self.remedy}" if self.remedy else self.message


class UsageError(HostswarmError):
    """The caller's input is wrong."""

    exit_code = 2


class SettingsError(UsageError):
    """A settings file or an environment variable is wrong."""


class UnknownName(UsageError):
    """A host, specialist, tool or job was named that is not there."""


class ArgumentError(UsageError):
    """An argument of a tool or of a verb is wrong."""


class StoreError(HostswarmError):
    """The store cannot be reached, or refuses to be used."""


class StoreBusy(StoreError):
    """Another process of this machine has the embedded store."""


class JobError(HostswarmError):
    """A job could not be brought to a report."""


class Busy(JobError):
    """As many parts wait as may. Nothing was asked; the same request may be sent again.

    Args:
        message: What waits, what may, and when to ask again: a producer may see no more of it.
        retry_after_seconds: When there is most likely room again.
    """

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        super().__init__(message)
        # Celery keeps an error's arguments, and makes it anew from them for the producer.
        self.args = (message, retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


class OutputError(HostswarmError):
    """A report exists but could not be written where it was asked for."""


class ModelError(HostswarmError):
    """A model could not be asked, or not made to answer. The agent goes on by the rules."""


class ModelUnreachable(ModelError):
    """The model is down, slow, out of quota, or was so often so that it is not asked just now."""


class ModelRefused(ModelError):
    """The endpoint refuses the request, and would refuse it again: 400, 401, 403, 404."""


class ContextExceeded(ModelError):
    """The conversation does not fit the model's window.

    Args:
        limit: The window in tokens, where the endpoint names it.
    """

    def __init__(self, message: str, remedy: str = "", limit: int | None = None) -> None:
        super().__init__(message, remedy)
        self.limit = limit


class NoToolCalling(ModelError):
    """The model behind the endpoint takes no tools."""


class ToolError(HostswarmError):
    """A tool's own failure. The loop hands it to the brain as data."""


class Unavailable(ToolError):
    """This machine lacks what the tool needs: a program, a device, a permission."""


class ToolFailed(ToolError):
    """The tool ran and could not answer."""


class ToolTimeout(ToolError):
    """The tool did not answer within its time."""
