"""A report as one HTML file, and writing it. What a browser makes of it is tested with one."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from orchestrator.render.cards import (
    EVIDENCE_CHARACTERS,
    EXCERPT_CHARACTERS,
    cards_of,
    references_of,
)
from orchestrator.render.excerpt import excerpt, json_lines
from orchestrator.render.html import render_html, write_html
from swarm_tasks.errors import OutputError
from swarm_tasks.models.finding import EvidenceRef
from swarm_tasks.models.report import Report
from tests.support import reports


class Seen(HTMLParser):
    """Every element with its attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def findings(page: str) -> list[str]:
    """The classes of each finding's element, in order."""
    return [str(attributes["class"]) for tag, attributes in Seen(page).elements if tag == "article"]


def test_the_page_holds_no_script_and_no_outside_resource() -> None:
    for build in (reports.complete, reports.hostile, reports.hostile_model):
        for tag, attributes in Seen(render_html(build())).elements:
            assert tag not in ("script", "img", "link", "iframe", "object", "embed", "base")
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
            assert str(attributes.get("href", "#")).startswith("#")
            assert "src" not in attributes


def test_the_policy_allows_the_one_style_sheet_by_its_hash() -> None:
    page = render_html(reports.complete())
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall('Content-Security-Policy" content="(.*?)"', page)
    assert f"style-src &#39;sha256-{digest}&#39;" in policy
    assert policy.startswith("default-src &#39;none&#39;;")
    assert "unsafe" not in policy


def test_findings_stand_gravest_first_and_the_withdrawn_last() -> None:
    assert findings(render_html(reports.complete())) == [
        "finding critical",
        "finding critical",
        "finding warning row",
        "finding warning row",
        "finding info",
        "finding warning",
        "finding dropped",
    ]


def test_each_card_has_the_id_and_the_fingerprint_of_its_finding() -> None:
    report = reports.complete()
    page = render_html(report)
    told = re.findall('<code class="quiet" title="fingerprint (.*?)">(.*?)</code>', page)
    assert sorted(told) == sorted((one.fingerprint, one.id) for one in report.findings)


def test_what_is_healthy_is_no_finding() -> None:
    page = render_html(reports.healthy())
    assert findings(page) == []
    assert "Nothing that was measured crossed a limit." in Seen(page).text


def test_a_refuted_claim_is_struck_through_with_both_numbers() -> None:
    page = render_html(reports.complete())
    assert re.findall("<s>(.*?)</s>", page) == ["≥ 95 % busy"]
    assert "refuted ≥ 95 % busy the evidence said 96.2 %, measured again: 31.8 %" in Seen(page).text


def test_evidence_names_call_source_and_time_and_marks_the_value() -> None:
    page = render_html(reports.complete())
    text = Seen(page).text
    assert 'largest_paths(mount="/var/lib/postgresql", depth=4, n=10)' in text
    assert "findmnt --json --bytes --list" in text
    assert "2026-03-02 09:14:07 UTC, took 30 ms" in text
    assert "<mark>&#34;used_percent&#34;: 97.3</mark>" in page


def test_many_findings_of_a_kind_share_one_title() -> None:
    text = Seen(render_html(reports.large())).text
    assert text.count("Security updates are not installed") == 1
    assert "on 63 hosts" in text
    apart = reports.large().model_copy(update={"patterns": ()})
    assert "63 findings" in Seen(render_html(apart)).text


def test_a_pattern_is_one_block_with_its_hosts_and_their_rows_behind_it() -> None:
    text = Seen(render_html(reports.complete())).text
    assert (
        "Security updates are not installed on 2 hosts web-1, web-2 apt "
        "3 packages not installed (limit ≥ 1 package) all verified What to do"
    ) in text
    assert "Each host web-1 apt security" in text


def test_the_order_to_act_in_leads_to_the_findings() -> None:
    page = render_html(reports.complete())
    text = Seen(page).text
    assert "What to do, in this order 1 critical: Read its log in the evidence" in text
    assert "Likely one round of updates that was not made: 2 hosts lack the same" in text
    anchors = re.findall('<a href="#(finding-\\d+)">\\d findings?</a>', page)
    assert len(anchors) == 3
    assert all(f'id="{anchor}"' in page for anchor in anchors)
    assert "in this order" not in Seen(render_html(reports.healthy())).text


def test_what_a_model_adds_is_told_as_its_words() -> None:
    text = Seen(render_html(reports.thoughtful())).text
    for said in (
        "The database volume on db-1 is nearly full, and most of it is write-ahead log.",
        "Written by a model, with numbers that the hosts measured. 2 numbers were taken out",
        "Degraded: 2 agents went on by the rules (web-1/services, web-2/storage): http://router",
        "db-1 storage The volume of the database is 97.3 % used",
        "The model says Most of it is write-ahead log: a replication slot",
        "A model's notes Said by a model on the host, and neither confirmed nor withdrawn",
        "note The queue gives up too early web-1 checkout-queue.service",
        "cache-1 physical memory: 71.4 % used, where the median of 6 linux hosts",
        "52 calls, about 48,400 tokens, at least $0.0312; the price of deepthought-2 is unknown.",
        "The job had a budget of $0.05. It is used up: mail-1/network went on without a model.",
        "qwen3-8b worker 50 about 38,400 about 4,270 $0.0312",
        "deepthought-2 orchestrator 2 5,120 610 price unknown",
        "by a model: Checkout passes the web servers, their queue and the database.",
    ):
        assert said in text
    plain = Seen(render_html(reports.complete())).text
    for unsaid in ("What thinking cost", "A model's notes", "Degraded", "What the agents answer"):
        assert unsaid not in plain
    # The summary that is made from counts says nothing that the page does not.
    assert "The database volume on db-1 is nearly full" not in plain


def test_blind_spots_and_what_was_ruled_out_are_told() -> None:
    text = Seen(render_html(reports.partial())).text
    assert "everything on cache-1, db-2 they did not answer" in text
    assert "storage on mail-1 was stopped by the deadline" in text
    assert "smartctl is not installed apt install smartmontools" in text
    assert "Process ids and file handles are far from their limits" in text


def test_hostile_text_is_shown_and_no_byte_of_it_acts_unseen() -> None:
    page = render_html(reports.hostile()) + render_html(reports.hostile_model())
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", page
    )
    text = Seen(page).text
    for shown in ("<script>window.pwned=1</script>", "{{7*7}}", "\\x1b[31mred", "\\u202eorder"):
        assert text.count(shown) > 40


def test_evidence_that_is_missing_or_altered_is_told() -> None:
    report = reports.complete()
    first, *others = report.findings
    (claim,) = first.claims
    bent = claim.evidence[0].model_copy(update={"sha256": "0" * 64})
    lost = EvidenceRef(call_id="nowhere", pointer="", sha256="0" * 64)
    claims = (claim.model_copy(update={"evidence": (bent, lost)}),)
    changed = (first.model_copy(update={"claims": claims}), *others)
    text = Seen(render_html(report.model_copy(update={"findings": changed}))).text
    assert "The evidence nowhere is not in this report." in text
    assert text.count("this is not the data that the claim quoted") == 1


def test_evidence_of_the_cause_stands_under_its_finding() -> None:
    report = reports.complete()
    finding = report.findings[0]
    other = next(
        item
        for item in report.evidence
        if item.call_id not in references_of(finding) and item.data is not None
    )
    related = finding.model_copy(update={"related": (other.call_id,)})
    (card,) = cards_of((related,), report)
    assert [exhibit.call_id for exhibit in card.exhibits][-1] == other.call_id
    assert not card.exhibits[-1].altered


def test_an_answer_that_two_findings_share_is_shown_in_full_once() -> None:
    report = reports.complete()
    volume, logs = report.findings[2], reports.failed_service("web-1")[0]
    twin = logs.model_copy(update={"id": "another"})
    page = render_html(report.model_copy(update={"findings": (logs, twin, volume)}))
    assert page.count("<mark>{&#34;unit&#34;: &#34;checkout-queue.service&#34;") == 2
    assert page.count('under <a href="#finding-1">another finding</a>') == 2
    assert len(page) < 90_000


def test_json_lines_know_where_each_value_stands() -> None:
    data: dict[str, object] = {"a/b": [1, {"c~d": None, "e": [2]}], "f": {}, "x": "é", "y": [1, 2]}
    assert list(json_lines(data)) == [
        (("",), "{"),
        (("/a~1b",), '  "a/b": ['),
        (("/a~1b/0",), "    1,"),
        (("/a~1b/1",), "    {"),
        (("/a~1b/1/c~0d",), '      "c~d": null,'),
        (("/a~1b/1/e", "/a~1b/1/e/0"), '      "e": [2]'),
        ((), "    }"),
        ((), "  ],"),
        (("/f",), '  "f": {},'),
        (("/x",), '  "x": "é",'),
        (("/y", "/y/0", "/y/1"), '  "y": [1, 2]'),
        ((), "}"),
    ]


@pytest.mark.parametrize("limit", [EVIDENCE_CHARACTERS, EXCERPT_CHARACTERS])
def test_a_long_answer_keeps_the_lines_around_the_value(limit: int) -> None:
    data = {"rows": [{"index": index, "word": "x" * 90} for index in range(5_000)]}
    lines = excerpt(data, ["/rows/4000/index"], limit)
    assert sum(len(line.text) for line in lines) <= limit + 200
    assert [line.text.strip() for line in lines if line.marked] == ['"index": 4000,']
    gaps = [line.text for line in lines if line.gap]
    assert len(gaps) == 2
    assert all(re.fullmatch(r"… [\d,]+ lines \([\d,.]+ KiB\) left out …", gap) for gap in gaps)


def test_one_very_long_string_is_cut_with_a_note() -> None:
    (_, line, _) = excerpt({"log": "y" * 100_000}, [], EVIDENCE_CHARACTERS)
    assert line.text.endswith("yyy … 92.8 KiB left out …")


def test_a_big_fleet_makes_a_page_of_bearable_size() -> None:
    assert len(render_html(reports.large())) < 2_000_000


def test_no_library_for_rendering_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys, orchestrator.render.console, orchestrator.render.html\n"
        "print(sorted({'jinja2', 'rich', 'celery', 'redis', 'aiohttp'} & set(sys.modules)))"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "[]"


def test_a_report_is_written_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    umask = os.umask(0o027)
    try:
        write_html(reports.complete(), path)
    finally:
        os.umask(umask)
    assert path.read_text(encoding="utf-8") == render_html(reports.complete())
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_written_through_and_stays_a_link(tmp_path: Path) -> None:
    link, target = tmp_path / "latest.html", tmp_path / "kept.html"
    link.symlink_to(target)
    write_html(reports.healthy(), link)
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_device_is_written_to_and_never_replaced() -> None:
    write_html(reports.healthy(), Path("/dev/null"))
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def refused(path: Path, report: Report | None = None) -> OutputError:
    with pytest.raises(OutputError) as caught:
        write_html(report or reports.healthy(), path)
    return caught.value


def test_a_missing_directory_is_told_with_the_command_that_mends_it(tmp_path: Path) -> None:
    error = refused(tmp_path / "none" / "report.html")
    assert error.message.endswith("none/report.html: there is no such directory")
    assert error.remedy == f"make it first: mkdir -p {tmp_path / 'none'}"


def test_a_directory_is_no_place_for_a_report(tmp_path: Path) -> None:
    error = refused(tmp_path)
    assert error.message.endswith(": it is a directory")
    assert error.remedy.endswith(f"{tmp_path / 'report.html'}")


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refused(tmp_path / "file" / "report.html").message.endswith("is not a directory")


def test_a_link_to_itself_is_told(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "symbolic links" in refused(tmp_path / "loop").message


@pytest.fixture
def an_ordinary_user(tmp_path: Path) -> Iterator[None]:
    """Permissions as they are for anyone but root."""
    tmp_path.chmod(0o500)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65_534)
    yield
    if was == 0:
        os.seteuid(was)
    tmp_path.chmod(0o700)


@pytest.mark.usefixtures("an_ordinary_user")
def test_a_directory_without_permission_is_told(tmp_path: Path) -> None:
    error = refused(tmp_path / "report.html")
    assert error.message.endswith(": permission denied")
    assert "may write" in error.remedy


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told() -> None:
    error = refused(Path("/dev/full"))
    assert error.message == "the report cannot be written to /dev/full: no space is left there"


def test_a_report_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        error = refused(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "too large" in error.message.lower()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
