"""Loggers by their wire name, which never derives from a module's."""

from __future__ import annotations

import logging


def logger(name: str) -> logging.Logger:
    """The logger `hostswarm.<name>`."""
    return logging.getLogger(f"hostswarm.{name}")
