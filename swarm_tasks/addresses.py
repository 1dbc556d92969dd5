"""Which addresses one host may try for another. Pure.

A host that was taken over may announce what it likes, and a peer will knock there: so only plain
addresses of machines count, never a name, and never a place that means the peer itself, all the
machines of a network, or the cloud's own services.
"""

from __future__ import annotations

import ipaddress

OF_THE_CLOUD = frozenset(
    map(
        ipaddress.ip_address,
        # Metadata and platform services of Alibaba, Azure, Oracle, AWS and Google. The usual
        # 169.254.169.254 is link-local.
        ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"),
    )
)

THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")


def machine_address(text: str) -> str:
    """`text` in its one usual form if it is the address of some machine, else nothing."""
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return ""
    if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        return ""
    if ip.is_reserved or ip in OF_THE_CLOUD or ip in THIS_NETWORK:
        return ""  # in IPv6 that covers what maps IPv4 (::ffff:0:0/96, 64:ff9b::/96)
    if isinstance(ip, ipaddress.IPv6Address) and (
        ip.is_site_local or ip.scope_id or ip.sixtofour or ip.teredo
    ):
        return ""  # other ways to write an IPv4 address, and an interface of our own
    return str(ip)
