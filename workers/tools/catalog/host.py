"""What kind of machine this is at all: metal, a virtual machine or a container."""

from __future__ import annotations

from swarm_tasks.errors import Unavailable
from workers.tools.access import Access

MARKERS = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}
"""Files that a container engine leaves at the root of what it starts."""

SYSTEMD_MARKER = "/run/systemd/container"
"""Where systemd writes what it was told by the engine that started it."""


async def container_engine(access: Access) -> str | None:
    """The engine of the container that this worker runs in; None where it sees none.

    An engine that leaves no marker is not seen; what was unpacked from an image may bear one.
    """
    try:
        return (await access.read(SYSTEMD_MARKER)).strip() or "container"
    except Unavailable:
        pass
    for marker, engine in MARKERS.items():
        if await access.call(f"stat({marker})", (access.machine.root / marker[1:]).exists):
            return engine
    return None
