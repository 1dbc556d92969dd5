"""Every tool of every domain, as one catalog."""

from __future__ import annotations

from functools import cache

from workers.tools.registry import Registry


@cache
def toolbook() -> Registry:
    """The whole catalog."""
    from workers.tools.catalog import storage

    return Registry((*storage.TOOLS,))
