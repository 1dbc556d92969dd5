"""Tokens are counted without a vocabulary, and come near what real ones make of a text.

The golden counts were made once, outside of the tests, with the vocabularies themselves: cl100k and
o200k (OpenAI), Llama 3, Qwen and Mistral's tekken, in this order.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from swarm_tasks.brain.tokens import count

DISK = (
    '{"volumes":[{"mount":"/","device":"/dev/vda1","fstype":"ext4","kind":"local",'
    '"read_only":false,"total_bytes":270553174016,"used_bytes":28572069888,'
    '"free_bytes":80372224000,"used_percent":26.23}]}'
)
PROCESS = (
    '{"sort":"cpu","window_seconds":0.507,"processes_seen":78,"processes":[{"pid":812,'
    '"name":"postgres","user":"postgres","started":"2026-11-21T10:08:39.290Z",'
    '"cpu_percent":2.0,"rss_bytes":49152,"memory_percent":0.4}]}'
)
SCHEMA = (
    '{"type":"function","function":{"name":"read_log","description":"The last lines of a log '
    'file below one of the permitted directories.","parameters":{"type":"object","properties":'
    '{"path":{"type":"string","maxLength":4096},"lines":{"type":"integer","minimum":1,'
    '"maximum":500,"default":100}},"required":["path"],"additionalProperties":false}}}'
)
PROSE = (
    "The disk of the database server is 97 percent full, and in the last six hours more than "
    "forty gigabytes were added. The likely cause is the log of a service that has been writing "
    "error messages without a pause since it was restarted. Check first that logs are rotated, "
    "then keep them for a shorter time."
)
LOG = (
    'Nov 21 10:03:11 db01 postgres[2231]: ERROR:  could not extend file "base/16384/2619": No '
    "space left on device\nNov 21 10:03:11 db01 systemd[1]: postgresql@15-main.service: Main "
    "process exited, code=exited, status=1/FAILURE\n"
)
CODE = (
    "def of(cls, told: int, counted: int) -> Scale:\n    if told <= 0 or counted <= 0:\n"
    "        return cls()\n    return cls(min(max(told / counted, 0.5), 3.0))\n"
)
CHINESE = "数据库服务器的磁盘已使用百分之九十七，过去六小时增加了四十多吉字节。"
EMOJI = "🚀 deploy done ✅ disk 97% 🔥🔥 backup ❌ failed"

GOLDEN = {
    "disk": (DISK, (61, 64, 61, 85, 89)),
    "process": (PROCESS, (72, 73, 72, 89, 95)),
    "schema": (SCHEMA, (75, 78, 75, 81, 86)),
    "prose": (PROSE, (64, 64, 64, 65, 66)),
    "log": (LOG, (75, 77, 75, 93, 96)),
    "code": (CODE, (51, 51, 51, 51, 51)),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_count_is_near_that_of_real_vocabularies(name: str) -> None:
    text, told = GOLDEN[name]
    middle = sum(told) / len(told)
    assert abs(count(text) / middle - 1) < 0.16
    assert all(count(text) > 0.85 * one for one in told)


def test_other_scripts_are_counted_and_not_far_too_low() -> None:
    assert 0.85 * 36 < count(CHINESE) < 1.7 * 21
    assert 0.65 * 25 < count(EMOJI) < 1.3 * 16


def test_a_longer_text_takes_at_most_one_token_less() -> None:
    texts = (DISK, PROSE, LOG, CODE, CHINESE, EMOJI, "straße", "\ud800 alone", "\t\r\n \x00")
    for text in texts:
        counts = [count(text[:length]) for length in range(len(text) + 1)]
        assert counts[0] == 0
        assert all(after >= before - 1 for before, after in pairwise(counts))
        assert counts[-1] >= 1


def test_long_runs_of_one_character_are_counted_in_one_pass() -> None:
    assert count(" " * 1_000_000) <= 2
    assert 100_000 < count("a" * 1_000_000) < 200_000
    assert count("9" * 1_000) == 1_000
    assert count("/" * 900) == 300
