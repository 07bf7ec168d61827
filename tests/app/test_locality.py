"""A visitor who comes through a proxy is far, though the proxy's connection comes from this
machine."""

from __future__ import annotations

import pytest

from app.locality import sits_here

HERE = {
    "host": "127.0.0.1:8501",
    "origin": "http://127.0.0.1:8501",
    "user-agent": "x",
    "accept-language": "en",
}


@pytest.mark.parametrize(
    ("peer", "headers", "address", "base", "here"),
    [
        ("127.0.0.1", HERE, "127.0.0.1", "", True),
        ("::1", HERE | {"host": "localhost:8501"}, "localhost", "/", True),
        ("::ffff:127.0.0.1", HERE | {"host": "[::1]:8501"}, "::1", "", True),
        ("127.0.0.1", {}, "127.0.0.1", "", True),  # drawn outside a server
        ("192.0.2.7", HERE, "127.0.0.1", "", False),
        ("127.0.0.1", HERE, "0.0.0.0", "", False),
        ("127.0.0.1", HERE, "", "", False),
        ("127.0.0.1", HERE, "127.0.0.1", "lab/cpart", False),
        ("127.0.0.1", HERE | {"host": "cpart.example"}, "127.0.0.1", "", False),
        ("127.0.0.1", HERE | {"origin": "https://cpart.example"}, "127.0.0.1", "", False),
        ("127.0.0.1", HERE | {"origin": "null"}, "127.0.0.1", "", False),
        *(
            ("127.0.0.1", HERE | {name: "127.0.0.1"}, "127.0.0.1", "", False)
            for name in (
                "x-forwarded-for",
                "x-forwarded-host",
                "forwarded",
                "via",
                "x-real-ip",
                "cf-connecting-ip",
                "x-proxy-user",
            )
        ),
        ("visitor", HERE, "127.0.0.1", "", False),
    ],
)
def test_who_sits_here(peer, headers, address, base, here):
    assert sits_here(peer, headers, address, base) == here


@pytest.mark.parametrize("name", ["cpart.example", "*.example", "*", "https://cpart.example"])
def test_whoever_comes_through_a_proxy_cannot_say_that_they_sit_here(name):
    """Once the server has a name for others, Host and Origin are theirs to choose."""
    known = ["localhost", "127.0.0.1"]
    assert sits_here("127.0.0.1", HERE, "127.0.0.1", "", known)
    assert not sits_here("127.0.0.1", HERE, "127.0.0.1", "", [*known, name])


def test_the_owner_of_a_proxy_can_say_so():
    proxied = HERE | {"x-forwarded-for": "192.0.2.7"}
    assert sits_here("192.0.2.7", proxied, "127.0.0.1", "user/ada/cpart", trusted=True)
    assert not sits_here("192.0.2.7", proxied, "0.0.0.0", "user/ada/cpart", trusted=True), (
        "then anybody reaches it without the proxy"
    )
