"""Which subject a text means: precise names, vague words, and names of something else."""

from __future__ import annotations

import random
import string

import pytest

from swarm_tasks.measures import measures
from workers.rules.known import Known
from workers.rules.names import names_of
from workers.rules.rule import Reading
from workers.rules.subjects import WHOLE_HOST, contradicts, resolve

ROOT = Reading("/ (/dev/sda1, ext4)", 40.0, "/volumes/0/used_percent", key="/")
VAR = Reading("/var (/dev/sda2, ext4)", 91.0, "/volumes/1/used_percent", key="/var")
HOME = Reading("/home (/dev/mapper/vg-home, xfs)", 12.0, "/volumes/2/used_percent", key="/home")
VOLUMES = (ROOT, VAR, HOME)

NGINX = Reading("nginx.service", "failed", "/failed/0/state")
BACKUP = Reading("backup.service", "failed", "/failed/1/state")
UNITS = (NGINX, BACKUP)

WEB = Reading("web (nginx:1.25)", "exited", "/containers/0/state", key="web")
SHOP = Reading("shop-db-1 (postgres:16)", "running", "/containers/1/state", key="shop-db-1")
CONTAINERS = (WEB, SHOP)

LEAK = Reading("python3 (pid 4711)", 3, "/oom_kills/0/kills", key="python3")
JAVA = Reading("java (pid 99)", 1, "/oom_kills/1/kills", key="java")
KILLED = (LEAK, JAVA)

SINCE = "since 2026-01-01T10:00:00Z"
FIRST = Reading(f"pid 12 mysqld, {SINCE}", 150.0, "/processes/0/cpu_percent", key="mysqld")
SECOND = Reading(f"pid 13 nginx, {SINCE}", 9.0, "/processes/1/cpu_percent", key="nginx")
THIRD = Reading(f"pid 14 nginx, {SINCE}", 9.0, "/processes/2/cpu_percent", key="nginx")
PROCESSES = (FIRST, SECOND, THIRD)

PORT = Reading("db1:5432", "refused", "/state")
NUMBER = Reading("10.0.0.5:5432", "ok", "/state")
PORTS = (PORT, NUMBER)

SITE = Reading("https://shop.example/health", "timeout", "/state")
RESOLVERS = (
    Reading("10.0.0.2 asking for example.com", "ok", "/servers/0/state", key="10.0.0.2"),
    Reading("10.0.0.3 asking for example.com", "timeout", "/servers/1/state", key="10.0.0.3"),
)
CERTIFICATE = Reading("/etc/ssl/a/cert.pem (a.example)", 5, "/f", key="/etc/ssl/a/cert.pem")
OTHER_CERTIFICATE = Reading("/etc/ssl/b/cert.pem (b.example)", 5, "/g", key="/etc/ssl/b/cert.pem")
CERTIFICATES = (CERTIFICATE, OTHER_CERTIFICATE)
GLOB = Reading("/backup/*.tar", 5, "/age_seconds")
NICS = (Reading("eth0", 9, "/a"), Reading("eth1", 0, "/b"), Reading("lo", 0, "/c"))
DISKS = (Reading("sda (Samsung, S1)", "ok", "/a", key="sda"), Reading("sdb", "ok", "/b", key="sdb"))

DATA = Reading("/data (/dev/sdb1, xfs)", 50.0, "/volumes/3/used_percent", key="/data")
SYSTEM = Reading("/mnt/system (/dev/sdc1, xfs)", 50.0, "/v/4/used_percent", key="/mnt/system")
POOL = Reading("/pg (/dev/mapper/vg-data, xfs)", 50.0, "/volumes/5/used_percent", key="/pg")
MOUNTS = (*VOLUMES, DATA, SYSTEM, POOL)

CORES = Reading("all 8 cores", 97.0, "/others_percent", key="cpu")
MEMORY = Reading("physical memory", 50.0, "/used_percent")
LIMIT = Reading("container memory limit", 95.0, "/container/used_percent")
CLOCK = Reading("clock", 0.1, "/offset_seconds")


@pytest.mark.parametrize(
    ("subject", "names"),
    [
        ("/var (/dev/sda2, ext4)", {"/var", "/dev/sda2", "ext4"}),
        ("/mnt/my disk (/dev/sdb1, ext4)", {"/mnt/my disk", "/mnt/my", "/dev/sdb1", "ext4"}),
        ("nginx.service", {"nginx.service", "nginx"}),
        ("python3 (pid 4711)", {"python3", "pid 4711"}),
        ("web (nginx:1.25)", {"web", "nginx:1.25"}),
        ("10.0.0.2 asking for example.com", {"10.0.0.2", "example.com"}),
        ("https://shop.example/health", {"https://shop.example/health"}),
        ("[::1]:443 (x.example)", {"[::1]:443", "x.example"}),
        ("GPU 0000:01:00.0 (NVIDIA A100)", {"0000:01:00.0"}),
        ("eth0", {"eth0"}),
        ("all 8 cores", set[str]()),
        ("physical memory", set[str]()),
        ("host", set[str]()),
        ("", set[str]()),
    ],
)
def test_a_subject_s_precise_names_are_read_from_it(subject: str, names: set[str]) -> None:
    assert names_of(subject) == names


@pytest.mark.parametrize(
    ("said", "readings", "meant"),
    [
        ("/var (/dev/sda2, ext4)", VOLUMES, VAR),
        ("/var", VOLUMES, VAR),
        ("/VAR", VOLUMES, VAR),
        ("var", VOLUMES, VAR),
        (" `/var/` ", VOLUMES, VAR),
        ("the volume /var on /dev/sda2", VOLUMES, VAR),
        ("/dev/sda2", VOLUMES, VAR),
        ("sda2", VOLUMES, VAR),
        ("/", VOLUMES, ROOT),
        ("root volume", VOLUMES, ROOT),
        ("the host's root file system", VOLUMES, ROOT),
        ("xfs", VOLUMES, HOME),
        ("ext4", VOLUMES, None),
        ("sda", VOLUMES, None),
        ("the host's disk", VOLUMES, None),
        ("the host's disk", (VAR,), VAR),
        ("the disk", (), None),
        ("the host's disk", (VAR, Reading("/mnt/disk (/dev/sdd1, ext4)", 1.0, "/x")), None),
        ("", (VAR,), VAR),
        ("", VOLUMES, None),
        ("/srv", VOLUMES, None),
        ("/srv", (VAR,), None),
        ("/var on /dev/sdb1", VOLUMES, None),
        ("/var and /home", VOLUMES, None),
        ("nginx", UNITS, NGINX),
        ("nginx.service", UNITS, NGINX),
        ("the nginx service", UNITS, NGINX),
        ("apache2.service", (NGINX,), None),
        ("apache2", (NGINX,), None),
        ("the service", (NGINX,), NGINX),
        ("web", CONTAINERS, WEB),
        ("shop-db-1", CONTAINERS, SHOP),
        ("postgres:16", CONTAINERS, SHOP),
        ("pid 4711", KILLED, LEAK),
        ("PID=99", KILLED, JAVA),
        ("pid 471", KILLED, None),
        ("java", KILLED, JAVA),
        ("mysqld", PROCESSES, FIRST),
        ("mysqld (pid 12)", PROCESSES, FIRST),
        ("nginx", PROCESSES, None),
        ("pid 14", PROCESSES, THIRD),
        ("db1:5432", PORTS, PORT),
        ("db1", PORTS, PORT),
        ("db1:5433", PORTS, None),
        ("10.0.0.5", PORTS, NUMBER),
        ("10.0.0.50", PORTS, None),
        ("https://shop.example", (SITE,), SITE),
        ("https://shop.example/other", (SITE,), None),
        ("https://shop.example.org", (SITE,), None),
        ("resolver 10.0.0.3", RESOLVERS, RESOLVERS[1]),
        ("example.com", RESOLVERS, None),
        ("/etc/ssl/b/cert.pem", CERTIFICATES, OTHER_CERTIFICATE),
        ("b.example", CERTIFICATES, OTHER_CERTIFICATE),
        ("eth1", NICS, NICS[1]),
        ("eth10", NICS, None),
        ("cpu", (CORES,), CORES),
        ("processor usage", (CORES,), CORES),
        ("/dev/sda", (CORES,), None),
        ("memory", (MEMORY, LIMIT), MEMORY),
        ("", (MEMORY, LIMIT), MEMORY),
        ("the container's memory limit", (MEMORY, LIMIT), LIMIT),
        ("system clock", (CLOCK,), CLOCK),
        ("the host", (MEMORY,), MEMORY),
        ("purple monkey", (MEMORY,), None),
        ("the purple monkey", (CORES,), None),
    ],
)
def test_words_mean_one_reading_or_none(
    said: str, readings: tuple[Reading, ...], meant: Reading | None
) -> None:
    assert resolve(said, readings) is meant


@pytest.mark.parametrize(
    ("said", "own", "readings", "name"),
    [
        ("/home", VAR, VOLUMES, "/home"),
        ("/", VAR, VOLUMES, "/"),
        ("root volume at /", VAR, VOLUMES, "/"),
        ("/srv", VAR, (VAR,), "/srv"),
        ("/var (/dev/sdb1, ext4)", VAR, VOLUMES, "/dev/sdb1"),
        ("/dev/sda1", VAR, VOLUMES, "/dev/sda1"),
        ("/home/data", VAR, VOLUMES, "/home/data"),
        ("/var/log", ROOT, VOLUMES, "/var/log"),
        ("/HOME", VAR, VOLUMES, "/HOME"),
        ("/home/", VAR, VOLUMES, "/home"),
        ("home", VAR, VOLUMES, "home"),
        ("the home", VAR, VOLUMES, "home"),
        ("BACKUP.SERVICE", NGINX, UNITS, "BACKUP.SERVICE"),
        ("DB1:5432", NUMBER, PORTS, "DB1:5432"),
        ("apache2.service", NGINX, UNITS, "apache2.service"),
        ("backup.service", NGINX, UNITS, "backup.service"),
        ("shop-db-1", WEB, CONTAINERS, "shop-db-1"),
        ("web", SHOP, CONTAINERS, "web"),
        ("pid 99", LEAK, KILLED, "pid 99"),
        ("pid 1234", LEAK, KILLED, "pid 1234"),
        ("mysqld (pid 13)", FIRST, PROCESSES, "pid 13"),
        ("pid 14", SECOND, PROCESSES, "pid 14"),
        ("db1:5433", PORT, PORTS, "db1:5433"),
        ("10.0.0.6:5432", NUMBER, PORTS, "10.0.0.6:5432"),
        ("resolver 10.0.0.3", RESOLVERS[0], RESOLVERS, "10.0.0.3"),
        ("https://shop.example/cart", SITE, (SITE,), "https://shop.example/cart"),
        ("/etc/ssl/b", CERTIFICATE, CERTIFICATES, "/etc/ssl/b"),
        ("eth1", NICS[0], NICS, "eth1"),
        ("sdb", DISKS[0], DISKS, "sdb"),
    ],
)
def test_a_name_of_something_else_is_a_contradiction(
    said: str, own: Reading, readings: tuple[Reading, ...], name: str
) -> None:
    assert contradicts(said, own, readings) == name


@pytest.mark.parametrize(
    ("said", "own", "readings"),
    [
        ("", VAR, VOLUMES),
        ("the disk", VAR, VOLUMES),
        ("the host's data volume", VAR, VOLUMES),
        ("/var", VAR, VOLUMES),
        ("/var (/dev/sda2, ext4)", VAR, VOLUMES),
        ("/var on sda", VAR, VOLUMES),
        ("/var/log/journal", VAR, VOLUMES),
        ("/srv/data", ROOT, VOLUMES),
        ("the root volume", ROOT, VOLUMES),
        ("/home (LVM on /dev/sdc)", HOME, VOLUMES),
        ("/var, filled by mysqld.service (pid 12)", VAR, VOLUMES),
        ("mysqld.service", VAR, VOLUMES),
        ("nginx", NGINX, UNITS),
        ("nginx.service, which pulls in php-fpm.service", NGINX, UNITS),
        ("the web server's unit", NGINX, UNITS),
        ("web", WEB, CONTAINERS),
        ("container web from nginx:1.25", WEB, CONTAINERS),
        ("python3 (pid 4711)", LEAK, KILLED),
        ("python3", LEAK, KILLED),
        ("mysqld, pid 12", FIRST, PROCESSES),
        ("the nginx worker", SECOND, PROCESSES),
        ("db1", PORT, PORTS),
        ("db1:5432 (10.9.9.9:5432)", PORT, PORTS),
        ("10.9.9.9:5432", PORT, (PORT,)),
        ("https://shop.example", SITE, (SITE,)),
        ("shop.example", SITE, (SITE,)),
        ("10.0.0.2", RESOLVERS[0], RESOLVERS),
        ("/etc/ssl/a", CERTIFICATE, CERTIFICATES),
        ("/backup/db-2024.tar", GLOB, (GLOB,)),
        ("/backup", GLOB, (GLOB,)),
        ("/dev/sda", DISKS[0], DISKS),
        ("mysqld (pid 12)", CORES, (CORES,)),
        ("physical memory", MEMORY, (MEMORY, LIMIT)),
    ],
)
def test_honest_words_are_no_contradiction(
    said: str, own: Reading, readings: tuple[Reading, ...]
) -> None:
    assert contradicts(said, own, readings) == ""
    assert contradicts(said, own, readings, title=True) == ""


@pytest.mark.parametrize(
    ("title", "own", "readings", "name"),
    [
        ("Volume / is nearly full", VAR, VOLUMES, "/"),
        ("/home is nearly full", VAR, VOLUMES, "/home"),
        ("/dev/sda1 is full", VAR, VOLUMES, "/dev/sda1"),
        ("The ext4 volume / is full", VAR, VOLUMES, "/"),
        ("/HOME is nearly full", VAR, VOLUMES, "/HOME"),
        ("home: volume nearly full", VAR, VOLUMES, "home"),
        ("nginx has failed", BACKUP, UNITS, "nginx"),
        ("The backup service has failed", NGINX, UNITS, "backup"),
        ("Container web has exited", SHOP, CONTAINERS, "web"),
        ("java was killed", LEAK, KILLED, "java"),
        ("10.0.0.3 does not answer", RESOLVERS[0], RESOLVERS, "10.0.0.3"),
        ("eth1 loses packets", NICS[0], NICS, "eth1"),
        ("The data volume is full", ROOT, MOUNTS, "data"),
        ("The data volume is full", HOME, MOUNTS, "data"),
        ("Too little room on the Data disk", VAR, MOUNTS, "data"),
        ("The home partition is full", VAR, MOUNTS, "home"),
        ("Filesystem home is full", VAR, MOUNTS, "home"),
        ("Mount data fills up", ROOT, MOUNTS, "data"),
        ("The system disk is full", VAR, MOUNTS, "system"),
    ],
)
def test_a_title_that_names_another_known_subject_is_a_contradiction(
    title: str, own: Reading, readings: tuple[Reading, ...], name: str
) -> None:
    assert contradicts(title, own, readings, title=True) == name


@pytest.mark.parametrize(
    ("title", "own", "readings"),
    [
        ("Volume nearly full", VAR, VOLUMES),
        ("CPU / memory pressure fills the log volume", VAR, VOLUMES),
        ("Read/write errors and/or I/O waits", VAR, VOLUMES),
        ("/var is fuller than /home", VAR, VOLUMES),
        ("/var/log/journal fills /var", VAR, VOLUMES),
        ("The root volume is filled by /var/cache", ROOT, VOLUMES),
        ("/srv is nearly full", VAR, (VAR,)),
        ("nginx cannot reach backup.service", NGINX, UNITS),
        ("No backup was made: the unit's disk is full", NGINX, UNITS),
        ("Web site is down since php-fpm.service failed", NGINX, UNITS),
        ("The web shop's database is slow", SHOP, CONTAINERS),
        ("The database was killed for want of memory", LEAK, KILLED),
        ("A port takes no connection", PORT, PORTS),
        ("The data volume is full", ROOT, VOLUMES),
        ("The data volume is full", DATA, MOUNTS),
        ("The data volume is full", POOL, MOUNTS),
        ("The system disk is full", ROOT, MOUNTS),
        ("The system disk is full", SYSTEM, MOUNTS),
        ("The root volume is full, the data volume is not", ROOT, MOUNTS),
        ("Too much data on a volume at home", VAR, MOUNTS),
        ("CPU saturated by java", CORES, (CORES,)),
    ],
)
def test_a_title_may_tell_of_other_things(
    title: str, own: Reading, readings: tuple[Reading, ...]
) -> None:
    assert contradicts(title, own, readings, title=True) == ""


def test_several_subjects_may_be_named_where_several_are_claimed() -> None:
    assert contradicts("/var and /home", VAR, VOLUMES) == "/home"
    assert contradicts("/var and /home", VAR, VOLUMES, also=(HOME,)) == ""
    assert contradicts("/var and /", VAR, VOLUMES, also=(HOME,)) == "/"


def test_a_subject_that_was_measured_twice_is_one() -> None:
    later = Reading(VAR.subject, 92.0, VAR.pointer, key=VAR.key)
    assert resolve("/var", (VAR, later)) == later
    assert contradicts("/var", VAR, (VAR, later)) == ""


@pytest.mark.parametrize(
    "words",
    [
        "/dev/sda " * 33,
        " ".join(f"u{number}.service" for number in range(25)),
        " ".join(f"/a{number}" for number in range(60)),
        "https://a.example/x 10.0.0.1:80 pid 7 /etc/ssl " * 6,
    ],
)
def test_many_names_over_many_subjects_are_looked_up_and_not_searched_for(words: str) -> None:
    many = [
        Reading(f"/etc/ssl/{at}/cert.pem (s{at}.example)", 5, f"/f/{at}", key=f"/etc/ssl/{at}")
        for at in range(300)
    ]
    known = Known(many)
    for own in many[:100]:
        contradicts(words, own, known)
        contradicts(words, own, known, many[:20], title=True)
    # Each text against each word once, and a name against what may be meant: not 100 * 300 * 25.
    assert known.looked_at <= 10 * len(many)


def test_a_name_is_found_among_hundreds_however_it_is_written() -> None:
    many = [Reading(f"/srv/{at} (/dev/vd{at}, ext4)", 5, f"/f/{at}") for at in range(300)]
    everything = Known([*many, *VOLUMES], Known([*UNITS, *PORTS, SITE, *CERTIFICATES, GLOB]))
    for said, name in (
        *(("/srv/7/a/b", "/srv/7/a/b"), ("/home/x", "/home/x"), ("sda2", "sda2")),
        *(("NGINX.service", "NGINX.service"), ("nginx.socket", "nginx.socket")),
        *(("db1:5432", "db1:5432"), ("10.0.0.5:5432", "10.0.0.5:5432")),
        *(("https://shop.example", "https://shop.example"), ("/etc/ssl/b", "/etc/ssl/b")),
        *(("/backup/x.tar", "/backup/x.tar"), ("/etc/ssl", "/etc/ssl")),
    ):
        assert contradicts(said, many[8], everything, title=True) == name


def test_what_a_host_has_once_is_in_the_table_of_metrics() -> None:
    assert measures().keys() >= WHOLE_HOST


def test_no_text_makes_it_fail() -> None:
    dice = random.Random(4)  # noqa: S311 - for tests
    pieces = (*string.printable, "/", "/var", "/dev/sd", "pid ", ".service", "http://", "[", "::1")
    for _ in range(500):
        text = "".join(dice.choices(pieces, k=dice.randrange(60)))
        for readings in (VOLUMES, UNITS, PORTS, KILLED):
            resolve(text, readings)
            contradicts(text, readings[0], readings)
            contradicts(text, readings[0], readings, title=True)
            names_of(text)


def test_a_volume_s_whole_name_is_that_volume_s_though_another_one_s_begins_with_it() -> None:
    short, long = "/srv/mail (planted, tmpfs)", "/srv/mail spool (planted, tmpfs)"
    known = [Reading(short, 1, "/a"), Reading(long, 2, "/b")]
    assert contradicts(short, known[1], known) == short
    assert contradicts(long, known[0], known) == long
    assert contradicts(long, known[1], known) == ""
