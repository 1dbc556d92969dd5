"""Certificates in files: real files of every kind, and rules on typed answers."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from swarm_tasks.errors import ToolFailed
from swarm_tasks.measures import measure
from swarm_tasks.models.evidence import EvidenceStatus
from swarm_tasks.models.finding import Severity
from tests.support.certificates import key_pem, pem, self_signed
from workers.rules.judge import grade
from workers.rules.tls import files_left
from workers.tools.access import Machine, this_machine
from workers.tools.catalog import certificates
from workers.tools.catalog.certificates import CertFiles
from workers.tools.registry import Registry

REGISTRY = Registry(certificates.TOOLS)
DAY = timedelta(days=1)


def scan(glob: str, machine: Machine | None = None) -> CertFiles:
    outcome = asyncio.run(REGISTRY.call("cert_files", {"glob": glob}, machine or this_machine()))
    assert outcome.status is EvidenceStatus.OK, outcome.reason
    assert isinstance(outcome.result, CertFiles)
    return outcome.result


def make(name: str, left: timedelta) -> bytes:
    return pem(self_signed(name, left)[0])


def severities(answer: CertFiles) -> dict[str, Severity | None]:
    metric = measure("tls.left_seconds")
    return {
        reading.subject: crossed.severity
        if (crossed := grade(reading.value, metric, metric, None))
        else None
        for reading in files_left(answer)
    }


def test_an_expired_file_is_critical_and_its_path_and_name_are_told(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(make("shop.example", -DAY))
    found = scan(str(path))
    assert severities(found) == {f"{path} (shop.example)": Severity.CRITICAL}
    (reading,) = files_left(found)
    assert reading.pointer == "/files/0/certificate/left_seconds"
    assert reading.detail.startswith("expired 20")


def test_life_left_in_files_is_graded(tmp_path: Path) -> None:
    for name, left in (("a", 90 * DAY), ("b", 10 * DAY), ("c", 3 * DAY)):
        (tmp_path / f"{name}.crt").write_bytes(make(name, left))
    assert list(severities(scan(f"{tmp_path}/*.crt")).values()) == [
        None,
        Severity.WARNING,
        Severity.CRITICAL,
    ]


def test_der_is_read_as_well(tmp_path: Path) -> None:
    certificate, _ = self_signed("der.example", 90 * DAY)
    (tmp_path / "a.der").write_bytes(certificate.public_bytes(serialization.Encoding.DER))
    (found,) = scan(f"{tmp_path}/*").files
    assert (found.certificate.common_name, found.count) == ("der.example", 1)
    assert found.earliest is None


def test_the_first_of_a_chain_counts_and_so_does_its_weakest_link(tmp_path: Path) -> None:
    chain = make("shop.example", 60 * DAY) + make("Middle CA", 5 * DAY) + make("Root", 900 * DAY)
    path = tmp_path / "fullchain.pem"
    path.write_bytes(chain)
    found = scan(str(path))
    assert (found.files[0].count, found.files[0].certificate.common_name) == (3, "shop.example")
    assert severities(found) == {
        f"{path} (shop.example)": None,
        f"{path} (Middle CA, in its chain)": Severity.CRITICAL,
    }


def test_a_bundle_of_authorities_is_no_chain(tmp_path: Path) -> None:
    old = make("Old Root", -DAY)
    (tmp_path / "bundle.pem").write_bytes(make("Root", 900 * DAY) + old * 9)
    assert list(severities(scan(f"{tmp_path}/*")).values()) == [None]


def test_a_key_beside_its_certificate_never_shows(tmp_path: Path) -> None:
    certificate, key = self_signed("shop.example", 90 * DAY)
    secret = key_pem(key)
    (tmp_path / "both.pem").write_bytes(secret + pem(certificate))
    (tmp_path / "only.key").write_bytes(secret)
    found = scan(f"{tmp_path}/*")
    assert [one.certificate.common_name for one in found.files] == ["shop.example"]
    assert found.unreadable == {f"{tmp_path}/only.key": "holds no certificate"}
    text = found.model_dump_json()
    for line in secret.decode().splitlines():
        assert line not in text


def test_every_file_that_cannot_be_read_is_listed_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "broken.pem").write_bytes(
        b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    )
    (tmp_path / "garbage.der").write_bytes(b"\x30\x82\x00")
    (tmp_path / "large.pem").write_bytes(b"x" * (certificates.FILE_LIMIT_BYTES + 1))
    (tmp_path / "empty.pem").touch()
    (tmp_path / "nowhere.pem").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe.pem")
    (tmp_path / "directory.pem").mkdir()
    found = scan(f"{tmp_path}/*.[pd]e[mr]")
    reasons = {Path(path).name: reason for path, reason in found.unreadable.items()}
    assert reasons == {
        "broken.pem": "a certificate in it is not well-formed",
        "garbage.der": "a certificate in it is not well-formed",
        "large.pem": "larger than 1 MiB",
        "empty.pem": "holds no certificate",
        "nowhere.pem": "No such file or directory",
        "pipe.pem": "not a regular file",
    }
    assert found.matched == 6


def test_a_device_is_never_opened() -> None:
    assert scan("/dev/null").unreadable == {"/dev/null": "not a regular file"}


def test_no_match_is_an_answer_with_nothing_in_it(tmp_path: Path) -> None:
    assert scan(f"{tmp_path}/*.pem") == CertFiles(matched=0, complete=True, files=(), unreadable={})
    assert scan(f"{tmp_path}/no/such/*.pem").matched == 0


def test_a_link_to_a_certificate_is_followed_and_told_by_its_own_path(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/cert1.pem").write_bytes(make("shop.example", 90 * DAY))
    (tmp_path / "live/shop.example").mkdir(parents=True)
    (tmp_path / "live/shop.example/cert.pem").symlink_to(tmp_path / "archive/cert1.pem")
    found = scan(f"{tmp_path}/live/*/cert.pem")
    assert [one.path for one in found.files] == [f"{tmp_path}/live/shop.example/cert.pem"]


def test_paths_are_those_of_the_machine_whose_files_they_are(tmp_path: Path) -> None:
    (tmp_path / "etc/ssl").mkdir(parents=True)
    (tmp_path / "etc/ssl/a.pem").write_bytes(make("a", 90 * DAY))
    found = scan("/etc/ssl/*.pem", Machine(platform="linux", root=tmp_path))
    assert [one.path for one in found.files] == ["/etc/ssl/a.pem"]


def test_a_wildcard_matches_neither_a_leading_dot_nor_a_slash(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in (".hidden.pem", "below/deep.pem", "seen.pem"):
        (tmp_path / name).write_bytes(make("a", 90 * DAY))
    assert [Path(one.path).name for one in scan(f"{tmp_path}/*").files] == ["seen.pem"]
    assert [Path(one.path).name for one in scan(f"{tmp_path}/.*").files] == [".hidden.pem"]


def test_five_hundred_files_are_the_most_and_that_there_are_more_is_said(tmp_path: Path) -> None:
    for number in range(certificates.FILES + 1):
        (tmp_path / f"{number}.pem").touch()
    found = scan(f"{tmp_path}/*.pem")
    assert (found.matched, found.complete) == (certificates.FILES, False)


def test_a_search_that_takes_too_long_ends_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="more exactly"):
        list(certificates.matching(tmp_path, "/*/*", time.monotonic() - 1, {}))


@pytest.mark.parametrize("glob", ["", "etc/ssl/*", "/etc/../root/*", "/a\x00b", "/" + "a" * 5000])
def test_a_pattern_that_is_not_absolute_or_goes_up_is_refused(glob: str) -> None:
    outcome = asyncio.run(REGISTRY.call("cert_files", {"glob": glob}, this_machine()))
    assert outcome.status is EvidenceStatus.FAILED
    assert "glob" in outcome.reason


def test_a_file_full_of_beginnings_is_read_in_no_time() -> None:
    begun = time.monotonic()
    assert certificates.parse_certificates(b"-----BEGIN CERTIFICATE-----" * 38_000) == ()
    assert time.monotonic() - begun < 1


def test_the_certificates_of_this_machine_can_be_read() -> None:
    found = scan("/etc/ssl/certs/*.pem")
    assert all(one.count >= 1 for one in found.files)
    assert "a certificate in it is not well-formed" not in found.unreadable.values()


def test_a_directory_that_cannot_be_listed_is_no_silence(tmp_path: Path) -> None:
    (tmp_path / "live").symlink_to("live")
    outcome = asyncio.run(
        REGISTRY.call("cert_files", {"glob": f"{tmp_path}/live/*.pem"}, this_machine())
    )
    assert outcome.status is EvidenceStatus.UNAVAILABLE
    assert f"{tmp_path}/live" in outcome.reason
