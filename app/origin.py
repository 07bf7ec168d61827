"""Which pages may ask: none but our own. A page served by anybody else on this machine, on another
port, is not ours.

Streamlit takes a websocket from every origin on localhost, and cookies know no ports, so that a
page on a neighbouring port can even read the token against forged requests. The browser's word for
where a request comes from (Origin, Sec-Fetch-Site) settles it. Programs that are no browser say
neither; they could say anything, and are kept out by the address the server listens on.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

USUAL_PORTS = {"http": 80, "https": 443}
ONLY_READING = ("GET", "HEAD", "OPTIONS")
POLICY_VIOLATION = 1008


class OwnPagesOnly:
    """Refuses websockets and whatever may change something when they come from a page of another
    host or port."""

    def __init__(self, app: ASGIApp, also: Iterable[str] = ()) -> None:
        """also: other origins that the owner of the server allows, as `https://lab.example`."""
        self.app, self.also = app, {place for origin in also if (place := place_of(origin))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and not self.is_ours(scope):
            await send(
                {
                    "type": "websocket.close",
                    "code": POLICY_VIOLATION,
                    "reason": "This page is not ours.",
                }
            )
        elif (
            scope["type"] == "http"
            and scope["method"] not in ONLY_READING
            and not self.is_ours(scope)
        ):
            await PlainTextResponse("This page may not ask that: it was not served here.", 403)(
                scope, receive, send
            )
        else:
            await self.app(scope, receive, send)

    def is_ours(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        origins = headers.getlist("origin")
        if len(origins) > 1:
            return False
        place = place_of(origins[0]) if origins else None
        if place is not None and place in self.also:
            return True
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return False
        return not origins or (
            place is not None
            and is_asked(place, headers.get("host", ""), scope["scheme"] in ("https", "wss"))
        )


def place_of(origin: str) -> tuple[str, str, int] | None:
    """(scheme, host, port) of an origin; None of what is none, such as `null`."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if (
        parts.scheme not in USUAL_PORTS
        or not parts.hostname
        or "@" in parts.netloc
        or parts.path
        or parts.query
        or parts.fragment
    ):
        return None
    return (
        parts.scheme,
        parts.hostname.rstrip("."),
        USUAL_PORTS[parts.scheme] if port is None else port,
    )


def is_asked(place: tuple[str, str, int], host: str, secure: bool) -> bool:
    """Whether the page's place is the one that was asked: the host and port of the header Host,
    which leaves out the usual port.

    secure: whether the connection is. A proxy that speaks TLS in front of us on its usual port
    makes no difference.
    """
    scheme, _, port = place
    asked = place_of(f"{scheme}://{host}")
    return asked == place and (secure == (scheme == "https") or port == USUAL_PORTS["https"])
