"""The words that travel: models, contracts, the ledger and the Celery app, shared by all."""

from __future__ import annotations

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Make the Celery app when, and only when, `celery -A swarm_tasks …` asks for it."""
    if name == "celery":
        from swarm_tasks.app import app_from_environment

        return app_from_environment()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
