"""A plausible answer of every tool that a rule reads, with names as awkward as they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.rules.rule import Reading, Rule
from workers.tools.book import toolbook
from workers.tools.spec import Result

NOW = "2026-03-01T12:00:00Z"
PLAIN = {"kind": "local", "read_only": False}
VOLUME = {"mount": "/media/disk (1)", "device": "//nas/old (cold)", "fstype": "cifs", **PLAIN}
ROOT = {"mount": "/", "device": "/dev/sda2", "fstype": "ext4", **PLAIN}
SPACE = {"total_bytes": 10**12, "used_bytes": 9 * 10**11}
SHARES = {"user_percent": 90.0, "system_percent": 5.0, "busiest_core_percent": 99.0}
LOADS = {f"load{minutes}{per}": 2.5 for minutes in (1, 5, 15) for per in ("", "_per_core")}
CERTIFICATE: dict[str, Any] = {
    **{"common_name": "shop (eu)", "subject": "CN=shop (eu)", "issuer": "CN=ca", "names": []},
    **{"names_total": 0, "not_before": NOW, "not_after": NOW, "left_seconds": 3600.0},
}
PROCESS = {"pid": 4711, "name": "java", "started": NOW, "rss_bytes": 2**30, "memory_percent": 9.0}
UNIT = "srv-backup\\x2ddaily.service"
ENDPOINT = {"target": "[::1]:8443", "host": "::1", "port": 8443, "address": "::1", "note": ""}
NIC = {
    **{"name": "eth0", "state": "up", "loopback": False, "mtu_bytes": 1500},
    **{"speed_mbit_per_second": 1000, "addresses": ["10.0.0.2/24"]},
    **{f"{way}_{what}": 5 for way in ("rx", "tx") for what in ("bytes", "packets", "errors")},
    **{"rx_dropped": 1, "tx_dropped": 0, "window_seconds": 600.0},
    **{"errors_10min": 6.0, "drops_percent": 3.0},
}
EVENT = {"last_at": NOW, "last_line": "it went wrong"}

ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "disk_usage": {
        "volumes": [
            {**ROOT, **SPACE, "free_bytes": 10**11, "used_percent": 90.0},
            {**VOLUME, **SPACE, "free_bytes": 10**9, "used_percent": 99.0},
        ],
        "left_out": {},
    },
    "inode_usage": {
        "volumes": [
            {**one, "total": 100, "used": 95, "used_percent": 95.0} for one in (ROOT, VOLUME)
        ]
    },
    "disk_fill_eta": {
        **{**VOLUME, "samples": 9, "span_seconds": 7200.0, "growth_bytes_per_hour": 1e9},
        **{"free_bytes": 10**9, "full_in_seconds": 3600.0},
    },
    "disk_io": {
        "window_seconds": 1.0,
        "disks": [
            {
                **{"device": "cciss/c0d0", "busy_percent": 99.0, "queue": 12.0, "latency_ms": 80.0},
                **{f"{way}s_per_second": 1.0 for way in ("read", "write")},
                **{f"{way}_bytes_per_second": 4096.0 for way in ("read", "write")},
            }
        ],
    },
    "smart_health": {
        "disks": [
            {"device": "/dev/sda", "model": "ACME (SSD)", "serial": "S1", "health": "failing"},
            {"device": "/dev/bus/0", "model": "ACME", "serial": "S2", "health": "warning"},
            {"device": "/dev/sdb", "port": "sat+megaraid,4", "health": "failing"},
        ]
    },
    "raid_zfs": {
        "arrays": [
            {
                **{"name": "tank", "kind": "zfs", "level": "raidz1", "state": "degraded"},
                **{"detail": "", "members": []},
            }
        ],
        "looked_for": ["zfs"],
        "left_out": {},
    },
    "file_age": {
        **{"glob": "/backup/[a-z]*.tar (new)", "state": "present", "count": 1, "newest": "/b"},
        **{"modified": NOW, "age_seconds": 1e5, "size_bytes": 1, "cut_short": False, "denied": 0},
    },
    "cpu": {
        **{"cores": 4, "physical_cores": 2, "window_seconds": 1.0, "busy_percent": 97.0},
        **{"own_percent": 1.0, "others_percent": 96.0, **SHARES},
        **{"iowait_percent": 50.0, "steal_percent": 12.0},
    },
    "load": {"cores": 4, **LOADS},
    "memory": {
        **{"total_bytes": 100, "available_bytes": 5, "used_bytes": 95, "used_percent": 95.0},
        "arc_reclaimable_bytes": 0,
        "container": {"limit_bytes": 10, "used_bytes": 9, "used_percent": 90.0},
    },
    "swap": {"total_bytes": 100, "used_bytes": 95, "free_bytes": 5, "used_percent": 95.0},
    "pids": {
        **{"used": 95, "limit": 100, "used_percent": 95.0, "processes": 90, "zombies": 0},
        "zombie_parents": [],
    },
    "fd_usage": {"used": 95, "limit": 100, "used_percent": 95.0},
    "top_processes": {
        **{"sort": "cpu", "window_seconds": 0.5, "processes_seen": 1},
        "processes": [
            {
                **{**PROCESS, "user": "root", "cpu_percent": 180.0},
                **{"read_bytes_per_second": None, "write_bytes_per_second": None},
            }
        ],
    },
    "process": {
        **{**PROCESS, "program": None, "user": None, "status": "running", "age_seconds": 60.0},
        **{"cpu_user_seconds": 1.0, "cpu_system_seconds": 1.0, "threads": 3, "open_fds": 4},
        **{"open_fds_limit": 1024, "connections": 0, "children": 0, "parents": []},
    },
    "kernel_events": {
        **{"since": NOW, "since_minutes": 1440, "sources": ["journal"], "unread": {}},
        "messages": 4,
        "oom_kills": [
            {
                **{"at": at, "process": "java", "pid": pid, "kills": 1, "wanting": "host"},
                **{"memory_cgroup": None, "log": "journal", "line": "Killed process"},
            }
            for at, pid in ((NOW, 7), ("2026-03-02T11:45:00Z", 8))
        ],
        "oom_kills_total": 2,
        "ecc": [{"where": "EDAC MC0", "corrected": 0, "uncorrectable": 1, **EVENT}],
        **{"ecc_corrected_total": 0, "ecc_uncorrectable_total": 1},
        "io_errors": [{"device": "sd 0:0:0:0", "errors": 3, **EVENT}],
        **{"io_errors_total": 3, "hung_tasks": [], "hung_tasks_total": 0},
        "xid_errors": [{"gpu": "0000:01:00", "errors": 1, "codes": [79], **EVENT}],
        "xid_errors_total": 1,
    },
    "failed_services": {
        "failed": [
            {"unit": unit, "state": "failed", "description": "", "vendor": False}
            for unit in (UNIT, "-.mount")
        ],
        "total": 2,
    },
    "service": {
        **{"unit": UNIT, "description": "", "state": "failed", "sub_state": "", "result": ""},
        **{"exit_code": 1, "exit_signal": None, "restarts": 0, "since": None, "main_pid": None},
        "memory_bytes": None,
    },
    "service_restarts": {
        "window_seconds": 300,
        "units": [{"unit": UNIT, "total": 9, "recent": 4, "counted_from": "journal"}],
        "units_total": 1,
    },
    "containers": {
        "engine": "docker",
        "containers": [
            {
                **{"id": "0123456789ab", "name": "web", "image": "nginx:1.25", "exit_code": 1},
                **{"state": "exited", "health": "", "status": "Exited (1)"},
            }
        ],
        "total": 1,
    },
    "gpu": {
        "gpus": [
            {
                **{"address": "0000:01:00.0", "name": "H100 (80 GB)", "driver": "550"},
                **{"celsius": 95.0, "used_percent": 99.0, "memory_used_bytes": 1},
                **{"memory_total_bytes": 2, "power_watts": 300.0, "thermal": "violation"},
                **{"ecc_corrected": 0, "ecc_uncorrectable": 0},
            }
        ]
    },
    "temperature": {
        "sensors": [
            {
                **{"sensor": "coretemp Package id 0", "celsius": 99.0, "high_celsius": 80.0},
                **{"critical_celsius": 95.0, "state": "critical"},
            }
        ]
    },
    "uptime": {"booted": NOW, "uptime_seconds": 60.0, "container": None},
    "time_sync": {
        **{"synchronised": "no", "offset_seconds": 0.7, "server": "", "stratum": None},
        "said_by": "chrony",
    },
    "updates": {
        **{"manager": "apt", "total": 1, "security": 1, "packages": []},
        **{"lists_age_seconds": 60.0, "left_out": {}},
    },
    "reboot_required": {
        **{"required": "yes", "said_by": "apt", "wanted_by": [], "running_kernel": "6.1"},
        "newer_kernel": None,
    },
    "interfaces": {"interfaces": [NIC]},
    "ping": {
        **{"host": "fe80::1%eth0", "state": "lossy", "address": "", "sent": 3, "received": 2},
        **{"loss_percent": 33.33, "rtt_min_ms": 1.0, "rtt_avg_ms": 2.0, "rtt_max_ms": 3.0},
    },
    "tcp_check": {**ENDPOINT, "state": "refused", "connect_ms": None},
    "http_check": {"url": "https://web:8443/a%20(b)?c=1", "state": "timeout", "seconds": 5.0},
    "dns_check": {
        **{"name": "example.org", "type": "MX", "configured_by": "/etc/resolv.conf"},
        "servers": [
            {"server": server, "address": "", "port": 53, "state": "timeout", "rtt_ms": None}
            for server in ("10.0.0.1", "[::1]:5353", "fe80::1", "no resolver")
        ],
    },
    "cert_files": {
        **{"matched": 1, "complete": True, "unreadable": {}},
        "files": [
            {
                **{"path": "/etc/ssl/[old] (a).pem", "count": 2, "certificate": CERTIFICATE},
                "earliest": {**CERTIFICATE, "common_name": "root) ca"},
            }
        ],
    },
    "tls_cert": {
        **{**ENDPOINT, "state": "ok", "protocol": "TLSv1.3", "certificate": CERTIFICATE},
        **{"verified": True, "reason": ""},
    },
    "trend": {
        **{"metric": "disk.used_percent", "subject": "/mnt/a to 5 (/dev/sdb1, ext4)", "hours": 48},
        **{"unit": "percent", "samples": 9, "first_at": NOW, "first_value": 40.0, "last_at": NOW},
        **{"last_value": 50.0, "minimum": 40.0, "maximum": 50.0, "since_yesterday": 5.0},
        **{"per_hour": 0.2, "limit": 92.5, "reaches_in_seconds": 3600.0},
    },
}
"""By the tool's name."""


def answer(tool: str) -> Result:
    """The tool's sample answer; KeyError where there is none."""
    return toolbook().get(tool).result.model_validate(ANSWERS[tool])


def readings(rule: Rule) -> tuple[Reading, ...]:
    """What a rule reads in the sample of its tool."""
    return tuple(rule.readings(answer(rule.tool)))
