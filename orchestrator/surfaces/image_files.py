"""`--img`: an image of whoever asks, as a URL. Only the command line reads files."""

from __future__ import annotations

import base64
from pathlib import Path

from swarm_tasks.errors import ArgumentError
from swarm_tasks.models.job import IMAGE_COUNT_LIMIT, IMAGE_LIMIT_CHARACTERS

URLS = ("https://", "data:image/")

PREFIX_CHARACTERS = len("data:image/jpeg;base64,")
FILE_LIMIT_BYTES = (IMAGE_LIMIT_CHARACTERS - PREFIX_CHARACTERS) // 4 * 3
"""What base64 lets through: four characters for three bytes."""


def image_urls(words: tuple[str, ...]) -> tuple[str, ...]:
    """Files as `data:` URLs; `https:` and `data:` URLs as they are.

    Raises:
        ArgumentError: There are too many, a file cannot be read, or it is no image that models
            take.
    """
    if len(words) > IMAGE_COUNT_LIMIT:
        raise ArgumentError(
            f"--img is given {len(words)} times",
            f"at most {IMAGE_COUNT_LIMIT} images go with a question",
        )
    return tuple(word if word.startswith(URLS) else _from_file(word) for word in words)


def _from_file(word: str) -> str:
    if "://" in word:
        raise ArgumentError(f"--img {word[:80]} is no https: URL", "name a file, or an https: URL")
    try:
        with Path(word).open("rb") as stream:
            data = stream.read(FILE_LIMIT_BYTES + 1)
    except OSError as error:
        raise ArgumentError(
            f"--img {word} cannot be read: {error.strerror or error}", "name an image file"
        ) from error
    kind = image_kind(data)
    if kind is None:
        raise ArgumentError(f"--img {word} is no image", "models take PNG, JPEG, GIF and WebP")
    if len(data) > FILE_LIMIT_BYTES:
        raise ArgumentError(
            f"--img {word} is larger than {FILE_LIMIT_BYTES / 1e6:.1f} MB",
            "every agent is sent it: make it smaller",
        )
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def image_kind(data: bytes) -> str | None:
    """The kind of image that begins like this, as its media type calls it; None for none.

    The marks are those of the formats' own specifications.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return None
