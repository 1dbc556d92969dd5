"""Certificates: what they say, and the files that hold them."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from swarm_tasks.errors import ToolFailed, Unavailable
from swarm_tasks.models.base import Moment, now_utc
from workers.tools.access import Access
from workers.tools.spec import Arguments, Result, Tool, every_platform

if TYPE_CHECKING:
    from cryptography import x509

FILES = 500
FILE_LIMIT_BYTES = 1 << 20
SEARCH_SECONDS = 5.0
NAMES = 20
NAME_LENGTH = 200

PEM = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----[^-]+-----END (?:X509 )?CERTIFICATE-----")
"""Base64 has no dash, so this never looks past the next line of dashes."""

DER_SEQUENCE = b"\x30"
"""How every certificate in DER begins (X.690)."""


class Certificate(Result):
    """One X.509 certificate. `left_seconds` is negative once it has expired.

    `common_name` is the subject's, or else the first alternative name.
    """

    common_name: str
    subject: str
    issuer: str
    names: tuple[str, ...]
    names_total: int
    not_before: Moment
    not_after: Moment
    left_seconds: float


class CertFile(Result):
    """The certificates in one file: the first, and the one of all that expires first.

    A file holds a chain with the server's own certificate first, or a bundle of authorities;
    `earliest` is None where the first is also the earliest.
    """

    path: str
    count: int
    certificate: Certificate
    earliest: Certificate | None


class CertFiles(Result):
    """The certificates in the files that match, and the files that could not be read.

    `matched` counts the files; `complete` is False where there were more than are looked at.
    """

    matched: int
    complete: bool
    files: tuple[CertFile, ...]
    unreadable: dict[str, str]


class CertFilesArguments(Arguments):
    """Which files to look at."""

    glob: str = Field(
        pattern=r"^/[^\x00]*$",
        max_length=4096,
        description="An absolute path in which * ? and [] match within one path component.",
    )

    @field_validator("glob")
    @classmethod
    def _goes_down_only(cls, glob: str) -> str:
        if ".." in glob.split("/"):
            raise ValueError("`..` is refused")
        return glob


def load(data: bytes) -> Certificate:
    """A certificate of PEM or DER in our words.

    Raises:
        ValueError: It is not well-formed.
    """
    from cryptography import x509
    from cryptography.utils import CryptographyDeprecationWarning

    # A certificate that bends the rules a little (serial number 0, a country of three letters)
    # is the host's, not ours, and no news for the worker's log.
    warnings.filterwarnings("ignore", category=CryptographyDeprecationWarning)
    warnings.filterwarnings("ignore", "Attribute's length must be", UserWarning)
    if data.startswith(b"-----"):
        return describe(x509.load_pem_x509_certificate(data))
    return describe(x509.load_der_x509_certificate(data))


def describe(certificate: x509.Certificate) -> Certificate:
    """A certificate in our words.

    Raises:
        ValueError: It is not well-formed.
    """
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = [str(getattr(one, "value", "")) for one in extension.value]
    except x509.ExtensionNotFound:
        names = []
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ValueError("its extensions cannot be read") from error
    expires = certificate.not_valid_after_utc
    return Certificate(
        common_name=_common_name(certificate.subject) or (names[0] if names else ""),
        subject=certificate.subject.rfc4514_string()[:NAME_LENGTH],
        issuer=certificate.issuer.rfc4514_string()[:NAME_LENGTH],
        names=tuple(name[:NAME_LENGTH] for name in names[:NAMES]),
        names_total=len(names),
        not_before=certificate.not_valid_before_utc,
        not_after=expires,
        left_seconds=round((expires - now_utc()).total_seconds(), 1),
    )


def _common_name(name: x509.Name) -> str:
    from cryptography.x509.oid import NameOID

    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value)[:NAME_LENGTH] if found else ""


def parse_certificates(data: bytes) -> tuple[Certificate, ...]:
    """Every certificate in a file of PEM or DER, in its order.

    Keys and anything else between PEM certificates are passed over unread.

    Raises:
        ValueError: A certificate in it is not well-formed.
    """
    blocks = PEM.findall(data)
    if blocks:
        return tuple(load(block) for block in blocks)
    return () if b"-----BEGIN" in data or not data.startswith(DER_SEQUENCE) else (load(data),)


def matching(root: Path, pattern: str, deadline: float, denied: dict[str, str]) -> Iterator[Path]:
    """The files below `root` that match an absolute `pattern`, in order.

    As in a shell, a wildcard stays within one path component and does not match a leading
    dot. Directories that cannot be listed go into `denied`, with
    the reason; those that are not there do not.

    Raises:
        ToolFailed: The search went past `deadline`, on the monotonic clock.
    """

    def walk(place: Path, parts: tuple[str, ...]) -> Iterator[Path]:
        if time.monotonic() > deadline:
            raise ToolFailed(
                f"{pattern} matches too many directories", "name the directory more exactly"
            )
        if not parts:
            if _is_leaf(place):
                yield place
            return
        first, rest = parts[0], parts[1:]
        if not re.search(r"[*?\[]", first):
            yield from walk(place / first, rest)
            return
        try:
            entries = sorted(entry.name for entry in os.scandir(place))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            denied[f"/{place.relative_to(root)}"] = error.strerror or "cannot be listed"
            return
        for name in entries:
            if fnmatch.fnmatchcase(name, first) and not (name[0] == "." and first[0] != "."):
                yield from walk(place / name, rest)

    yield from walk(root, tuple(part for part in pattern.split("/") if part))


def _is_leaf(path: Path) -> bool:
    """Whether something is there that is no directory, be it only a link to nowhere."""
    try:
        return not stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return path.is_symlink()
    except OSError:
        return True


def read_regular(path: Path) -> bytes:
    """The content of a regular file of up to 1 MiB.

    Raises:
        OSError: It cannot be read.
        ValueError: It is something else than a file, or larger.
    """
    # Looked at before it is opened, for opening some devices already does something; and after,
    # for it may have been exchanged. Without blocking, or a pipe would never open.
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("not a regular file")
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        about = os.fstat(stream.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("not a regular file")
        if about.st_size > FILE_LIMIT_BYTES:
            raise ValueError("larger than 1 MiB")
        return stream.read(FILE_LIMIT_BYTES)


def cert_file(path: str, certificates: tuple[Certificate, ...]) -> CertFile:
    """One file's entry; it holds at least one certificate."""
    first = certificates[0]
    earliest = min(certificates, key=lambda one: one.not_after)
    return CertFile(
        path=path,
        count=len(certificates),
        certificate=first,
        earliest=earliest if earliest.not_after < first.not_after else None,
    )


def scan(root: Path, pattern: str) -> CertFiles:
    """Every matching file's certificates."""
    files: list[CertFile] = []
    unreadable: dict[str, str] = {}
    denied: dict[str, str] = {}
    matched = 0
    for path in matching(root, pattern, time.monotonic() + SEARCH_SECONDS, denied):
        if matched == FILES:
            return CertFiles(
                matched=matched, complete=False, files=tuple(files), unreadable=unreadable
            )
        matched += 1
        name = f"/{path.relative_to(root)}"
        try:
            data = read_regular(path)
        except OSError as error:
            unreadable[name] = error.strerror or "cannot be read"
            continue
        except ValueError as error:
            unreadable[name] = str(error)
            continue
        try:
            certificates = parse_certificates(data)
        except ValueError:
            unreadable[name] = "a certificate in it is not well-formed"
            continue
        if certificates:
            files.append(cert_file(name, certificates))
        else:
            unreadable[name] = "holds no certificate"
    return CertFiles(
        matched=matched,
        complete=not denied,
        files=tuple(files),
        unreadable={**denied, **unreadable},
    )


async def read_cert_files(arguments: CertFilesArguments, access: Access) -> CertFiles:
    """The certificates in the files that match.

    Raises:
        Unavailable: Nothing was found, and a directory on the way may not be listed.
    """
    root = access.machine.root
    found = await access.call(f"certificates in {arguments.glob}", scan, root, arguments.glob)
    if not found.matched and not found.complete:
        place, reason = next(iter(found.unreadable.items()))
        raise Unavailable(f"{place}: {reason}", "run the worker as root")
    return found


TOOLS = (
    Tool(
        name="cert_files",
        summary="The certificates in files that match a pattern, and how long they hold.",
        arguments=CertFilesArguments,
        result=CertFiles,
        reads=every_platform(read_cert_files),
    ),
)
