"""Whether a visitor sits at this machine, and may name a folder on its disk for the server to read.

A proxy on this machine makes every visitor's connection come from here, so that the peer's address
alone says nothing. That there is one is told by its headers, by the host that was asked for and the
page's origin, and by a base path or other names that the owner gave the server. Those who come
through a proxy choose their own headers, so once the server has another name no header says that a
visitor is here. In doubt a visitor is far.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Mapping

import streamlit as st

from app.origin import place_of

TRUST = "CPART_TRUST_PROXY"
"""Environment variable: 1 when whoever comes through the proxy in front of CPart may read this
machine's disk (one's own notebook server)."""
TOLD_BY_PROXIES = (
    "forwarded",
    "via",
    "x-real-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-client-ip",
    "x-cluster-client-ip",
)
BEGINNINGS = ("x-forwarded", "x-original", "x-envoy", "x-proxy")


def at_this_machine() -> bool:
    """Whether the visitor whose page is drawn now sits here."""
    return sits_here(
        peer=st.context.ip_address or "127.0.0.1",  # streamlit gives None for this machine
        headers={name.lower(): value for name, value in st.context.headers.to_dict().items()},
        address=st.get_option("server.address") or "",
        base_path=st.get_option("server.baseUrlPath") or "",
        names=[*st.get_option("server.allowedHosts"), *st.get_option("server.corsAllowedOrigins")],
        trusted=os.environ.get(TRUST) == "1",
    )


def sits_here(
    peer: str,
    headers: Mapping[str, str],
    address: str,
    base_path: str,
    names: Iterable[str] = (),
    trusted: bool = False,
) -> bool:
    """peer: the address the connection comes from. headers: of its first request, names in lower
    case; empty outside a server. address, base_path: where the server listens. names: hosts and
    origins that it answers to. trusted: TRUST is given."""
    if not is_loopback(address):
        return False
    if trusted:
        return True
    proxied = base_path.strip("/") or any(
        name in TOLD_BY_PROXIES or name.startswith(BEGINNINGS) for name in headers
    )
    asked = [headers.get("host", "localhost"), headers.get("origin", "localhost"), *names]
    return not proxied and is_loopback(peer) and all(is_loopback(host_of(name)) for name in asked)


def host_of(name: str) -> str:
    """The host of an origin, or of a host with or without a port; empty where there is none."""
    place = place_of(name if "://" in name else f"http://{name}")
    return "" if place is None else place[1]


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
