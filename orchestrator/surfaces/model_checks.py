"""What `doctor` says of the models: each tier is asked at each of its endpoints, all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestrator.asking import in_time
from orchestrator.surfaces.check import Check
from swarm_tasks.brain.model import Probe
from swarm_tasks.config import Settings
from swarm_tasks.errors import HostswarmError, ModelUnreachable
from swarm_tasks.models.charge import Tier

if TYPE_CHECKING:
    from swarm_tasks.brain.direct import DirectModel
    from swarm_tasks.brain.router import RouterModel

PROBE_SECONDS = 8.0
"""A large model that is asked first after a pause is loaded first; longer than this, a person
should know."""

DIRECT_PROBE_SECONDS = 20.0
"""litellm alone takes some seconds to be imported."""

SETTING = {Tier.ORCHESTRATOR: "HOSTSWARM_ORCHESTRATOR_MODEL", Tier.WORKER: "HOSTSWARM_MODEL"}
WINDOW = {
    Tier.ORCHESTRATOR: "HOSTSWARM_ORCHESTRATOR_CONTEXT_LENGTH",
    Tier.WORKER: "HOSTSWARM_CONTEXT_LENGTH",
}
MOST_OFFERED = 6


@dataclass(frozen=True, slots=True)
class Place:
    """One model at one endpoint.

    Args:
        tiers: Those that it is the model of.
        url: Empty for litellm in this process.
    """

    tiers: tuple[Tier, ...]
    name: str
    url: str

    @property
    def title(self) -> str:
        """What it is, and where."""
        return f"{self.what} at {self.url}" if self.url else self.what

    @property
    def what(self) -> str:
        """The model's name, and whose it is."""
        return f"{self.name} ({' and '.join(tier.value for tier in self.tiers)})"


def model_checks(settings: Settings, seconds: float | None = None) -> Iterator[Check]:
    """Whether the models that are set can be used, and as what.

    Args:
        seconds: How long each may take; None takes what its way needs.
    """
    if not settings.has_model:
        yield Check("model", "ok", "none is set: the rules answer")
        return
    yield from open_keys(settings)
    places = places_of(settings)
    found = _probe_all(settings, places, seconds)
    answering = {place.tiers for place, one in zip(places, found, strict=True) if _is_probe(one)}
    for place, one in zip(places, found, strict=True):
        if isinstance(one, Probe):
            yield from _answered(settings, place, one)
        else:
            others = isinstance(one, ModelUnreachable) and place.tiers in answering
            yield Check(
                "model",
                "warning" if others else "broken",
                # An endpoint's own error names it.
                f"{place.what if place.url in one.message else place.title}: {one.message}",
                one.remedy or "until it answers, agents go by the rules",
            )


def places_of(settings: Settings) -> tuple[Place, ...]:
    """Every model at every endpoint that the settings name, each once."""
    tiers: dict[str, tuple[Tier, ...]] = {}
    for tier in Tier:
        name = settings.model_of(tier)
        tiers[name] = (*tiers.get(name, ()), tier)
    return tuple(
        Place(tiers=those, name=name, url=url)
        for name, those in tiers.items()
        for url in settings.router_url or ("",)
    )


def is_loopback(url: str) -> bool:
    """Whether an endpoint is on this machine, as far as its URL says."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_probe(found: Probe | HostswarmError) -> bool:
    return isinstance(found, Probe)


def open_keys(settings: Settings) -> Iterator[Check]:
    """A warning for each endpoint on another machine that is sent the key for all to read."""
    if settings.router_key is None:
        return
    for url in settings.router_url:
        if urlsplit(url).scheme == "http" and not is_loopback(url):
            yield Check(
                "model",
                "warning",
                f"the router's key is sent to {url} without TLS: whoever listens can read it",
                "give the router TLS and write https:, or keep it on a network of your own",
            )


def _probe_all(
    settings: Settings, places: Sequence[Place], seconds: float | None
) -> list[Probe | HostswarmError]:
    """What each place says, in order; those that say nothing do not hold up the others."""
    found: dict[Place, Probe | HostswarmError] = {}

    async def ask(place: Place) -> None:
        found[place] = await _probe(settings, place, _seconds_of(place, seconds))

    async def ask_all() -> None:
        await asyncio.gather(*map(ask, places))

    most = max(_seconds_of(place, seconds) for place in places)
    with suppress(TimeoutError):
        in_time(ask_all(), most)
    late = ModelUnreachable(f"no answer within {most:g} s")
    return [found.get(place, late) for place in places]


def _seconds_of(place: Place, seconds: float | None) -> float:
    return seconds or (PROBE_SECONDS if place.url else DIRECT_PROBE_SECONDS)


async def _probe(settings: Settings, place: Place, seconds: float) -> Probe | HostswarmError:
    """What one place says of itself, or why it says nothing."""
    try:
        model = _opened(settings, place)
    except HostswarmError as error:
        return error
    try:
        async with asyncio.timeout(seconds):
            return await model.probe(seconds)
    except TimeoutError:
        return ModelUnreachable(f"no answer within {seconds:g} s")
    except HostswarmError as error:
        return error
    finally:
        await model.close()


def _opened(settings: Settings, place: Place) -> RouterModel | DirectModel:
    """The model at a place, which is asked once: doctor's job is to say what is wrong, at once.

    Raises:
        SettingsError: The way to it cannot be taken.
    """
    # What is set about windows is left out: the endpoint is to say what it has.
    change = {"context_length": None, "orchestrator_context_length": None}
    tier = place.tiers[-1]
    if place.url:
        from swarm_tasks.brain.retry import Patience
        from swarm_tasks.brain.router import RouterModel

        alone = settings.model_copy(update={**change, "router_url": (place.url,)})
        return RouterModel(alone, tier, Patience(rounds=1))
    from swarm_tasks.brain.direct import DirectModel

    return DirectModel(settings.model_copy(update=change), tier)


def _answered(settings: Settings, place: Place, probe: Probe) -> Iterator[Check]:
    """What follows from what a place says of itself."""
    if not offered(place.name, probe.models):
        listed = ", ".join(probe.models[:MOST_OFFERED])
        more = len(probe.models) - MOST_OFFERED
        yield Check(
            "model",
            # One that called a tool is there, whatever the list says.
            "broken" if probe.tool_calling is None else "warning",
            f"{place.title} is not among the models on offer: {listed}"
            + (f" and {more} more" if more > 0 else ""),
            f"set {' and '.join(SETTING[tier] for tier in place.tiers)} to one of them",
        )
        if probe.tool_calling is None:
            return
    said = [f"{place.title} answers", *_told(settings, place, probe)]
    yield Check("model", "ok", "; ".join(said))
    yield from _windows(settings, place, probe)
    if probe.tool_calling is False and settings.tool_calling == "native":
        yield Check(
            "model",
            "warning",
            f"{place.title} called no tool when it was asked to, and tool_calling is native",
            "set HOSTSWARM_TOOL_CALLING to auto, or start the model with tool calling",
        )


def _told(settings: Settings, place: Place, probe: Probe) -> Iterator[str]:
    """Window, tool calling and price, in words."""
    windows = {settings.context_length_of(tier) or probe.context_length for tier in place.tiers}
    yield from (f"{window:,} tokens" for window in sorted(one for one in windows if one))
    if probe.tool_calling is False or settings.tool_calling == "json":
        yield "no tool calling: agents use a JSON protocol in the prompt"
    elif probe.tool_calling:
        yield "calls tools"
    price = settings.prices.get(place.name)
    if price is not None:
        yield (
            f"${price.input_usd_per_million:g} in and ${price.output_usd_per_million:g} out "
            "for a million tokens"
        )
    elif place.url:
        yield "no price is set: dollars are unknown unless the endpoint tells them"


def _windows(settings: Settings, place: Place, probe: Probe) -> Iterator[Check]:
    """What is wrong with the windows that are set, or not set, for a place."""
    for tier in place.tiers:
        own = settings.context_length_of(tier)
        if own is None and probe.context_length is None:
            yield Check(
                "model",
                "warning",
                f"{place.title} does not say how many tokens it takes: 8,192 are assumed, and "
                "where it takes fewer it may forget the question without a word",
                f"set {WINDOW[tier]} to what it was started with "
                "(Ollama: OLLAMA_CONTEXT_LENGTH, 4096 if unset)",
            )
            return
        if own and probe.context_length and own > probe.context_length:
            yield Check(
                "model",
                "warning",
                f"{place.title} takes {probe.context_length:,} tokens, and {own:,} are set",
                f"lower {WINDOW[tier]}, or leave it out",
            )


def offered(name: str, models: Sequence[str]) -> bool:
    """Whether a model is among those on offer. Ollama adds `:latest`; routers list patterns."""
    return not models or any(
        fnmatchcase(name, one) or one in (f"{name}:latest", f"models/{name}") for one in models
    )
