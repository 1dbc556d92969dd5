"""What may be asked for, and how producers may write it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.surfaces.image_files import FILE_LIMIT_BYTES, image_kind, image_urls
from orchestrator.surfaces.options import parse_count, parse_dollars
from swarm_tasks.errors import ArgumentError
from swarm_tasks.models.charge import Allowance
from swarm_tasks.models.job import IMAGE_LIMIT_CHARACTERS, AuditRequest
from swarm_tasks.models.schedule import Schedule
from swarm_tasks.schedule import beat_schedule

HEADS = {
    "png": b"\x89PNG\r\n\x1a\n",
    "jpeg": b"\xff\xd8\xff\xe0",
    "gif": b"GIF89a",
    "webp": b"RIFF\x24\x00\x00\x00WEBP",
}


@pytest.mark.parametrize(
    ("given", "allowance"),
    [
        ({}, Allowance()),
        ({"budget_usd": 0.5}, Allowance(budget_usd=0.5)),
        ({"budget_usd": 0, "max_tokens": 9}, Allowance(budget_usd=0, max_tokens=9)),
        ({"budget_usd": None, "max_tokens": None}, Allowance()),
        ({"allowance": {"max_tokens": 9}}, Allowance(max_tokens=9)),
    ],
)
def test_a_budget_may_be_given_as_it_is(given: dict[str, Any], allowance: Allowance) -> None:
    request = AuditRequest.model_validate({"question": "why?", **given})
    assert request.allowance == allowance
    assert AuditRequest.model_validate(request.model_dump(mode="json")) == request


def test_a_budget_is_given_once_and_is_not_negative() -> None:
    both = {"allowance": {"budget_usd": 1}, "budget_usd": 2}
    with pytest.raises(ValidationError, match="say budget_usd once"):
        AuditRequest.model_validate(both)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        AuditRequest.model_validate({"budget_usd": -1})


def test_a_schedule_s_budget_travels() -> None:
    often = Schedule(name="often", every_seconds=100, budget_usd=0.2, max_tokens=5)
    kwargs = beat_schedule([often])["often"]["kwargs"]
    assert AuditRequest.model_validate(kwargs).allowance == Allowance(budget_usd=0.2, max_tokens=5)


@pytest.mark.parametrize(
    ("given", "periodic"),
    [
        ({}, False),
        ({"priority": "interactive"}, False),
        ({"priority": "periodic"}, True),
        ({"slot": "nightly"}, True),
    ],
)
def test_a_request_is_periodic_if_it_says_so_or_is_a_schedule_s(
    given: dict[str, Any], periodic: bool
) -> None:
    assert AuditRequest.model_validate(given).periodic is periodic


def test_a_schedule_asks_with_the_priority_of_one() -> None:
    often = Schedule(name="often", every_seconds=100)
    assert beat_schedule([often])["often"]["kwargs"]["priority"] == "periodic"


@pytest.mark.parametrize(
    ("text", "dollars"), [("0.50", 0.5), ("$2", 2), (".5", 0.5), (" 1. ", 1), ("0", 0)]
)
def test_an_amount_is_read(text: str, dollars: float) -> None:
    assert parse_dollars(text, "--budget") == dollars


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "1e3", "1,5", "0x1"])
def test_what_is_no_amount_is_told(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"--budget .* is no amount in dollars: write 0.50"):
        parse_dollars(text, "--budget")


@pytest.mark.parametrize(("text", "number"), [("5", 5), ("50_000", 50_000), ("50,000", 50_000)])
def test_a_whole_number_is_read(text: str, number: int) -> None:
    assert parse_count(text, "--max-tokens") == number


@pytest.mark.parametrize("text", ["", "5k", "-1", "1.5", "_", "9" * 99])
def test_what_is_no_whole_number_is_told(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"--max-tokens .* is no whole number"):
        parse_count(text, "--max-tokens")


@pytest.mark.parametrize("kind", HEADS)
def test_an_image_file_becomes_a_url(kind: str, tmp_path: Path) -> None:
    data = HEADS[kind] + bytes(range(256))
    file = tmp_path / "picture"
    file.write_bytes(data)
    (url,) = image_urls((str(file),))
    head, _, body = url.partition(",")
    assert head == f"data:image/{kind};base64"
    assert base64.b64decode(body) == data
    assert AuditRequest(img=(url,)).img == (url,)


def test_the_largest_file_makes_the_longest_url_that_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(HEADS["png"].ljust(FILE_LIMIT_BYTES, b"\0"))
    (url,) = image_urls((str(file),))
    assert IMAGE_LIMIT_CHARACTERS - 8 < len(url) <= IMAGE_LIMIT_CHARACTERS
    assert AuditRequest(img=(url,))
    with file.open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(ArgumentError, match=r"is larger than 3.1 MB"):
        image_urls((str(file),))


def test_urls_pass_as_they_are() -> None:
    urls = ("https://a.example/b.png", "data:image/png;base64,AAAA")
    assert image_urls(urls) == urls


@pytest.mark.parametrize("data", [b"", b"<svg/>", b"%PDF-1.7", b"RIFF____WAVE", b"\x89PNG"])
def test_what_is_no_image_that_models_take_is_none(data: bytes) -> None:
    assert image_kind(data) is None
