"""How the app is served: the settings that keep it closed, security headers, its own routes, and
what a person sees of an error.

Knows streamlit's server; knows no page.
"""

from __future__ import annotations

import logging
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.offered import OfferedOnly
from app.origin import OwnPagesOnly
from app.shell.first_paint import FirstPaint
from app.uploads import UploadBudget
from app.visits import Visits

CONFIG_FILE = Path(__file__).resolve().parents[1] / "streamlit_config.toml"

CLOSED = (
    "server.address",
    "server.allowedHosts",
    "server.corsAllowedOrigins",
    "server.customComponentBaseUrlPath",
    "server.disconnectedSessionTTL",
    "server.enableAgentApi",
    "server.enableCORS",
    "server.enableStaticServing",
    "server.enableXsrfProtection",
    "server.maxMessageSize",
    "server.maxUploadSize",
    "server.maxWidgetStateSize",
    "server.scriptHealthCheckEnabled",
    "server.unsafeMetricsUserAttributes",
    "server.xsrfCookieSameSite",
    "browser.gatherUsageStats",
    "client.allowedOrigins",
    "client.showErrorDetails",
    "client.showErrorLinks",
    "global.developmentMode",
    "global.e2eTest",
)
"""The options without which strangers could reach the app, learn of it or fill its memory, or by
which it would send something elsewhere. Port, theme and the like may be given otherwise."""

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'{websockets}",
        "worker-src 'self' blob:",
        "frame-ancestors 'self'",
        "form-action 'self'",
        "object-src 'none'",
        "base-uri 'self'",
    )
)
"""Nothing is fetched from elsewhere, so an image in somebody's text cannot call home. Streamlit's
own bundle needs the two 'unsafe' words. {websockets}: this very host, since not every browser
counts its websockets as 'self'."""

HEADERS = (
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


def flat_settings(file: Path = CONFIG_FILE) -> dict[str, Any]:
    """streamlit_config.toml as {"server.address": "127.0.0.1", ...}."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, table: dict[str, Any]) -> None:
        for name, value in table.items():
            if isinstance(value, dict):
                walk(f"{prefix}{name}.", value)
            else:
                flat[prefix + name] = value

    walk("", tomllib.loads(file.read_text(encoding="utf-8")))
    return flat


def differences() -> list[str]:
    """A sentence for every closing option whose value in force is not the file's."""
    wanted = flat_settings()
    return [
        f"{name} is {st.get_option(name)!r}, not {wanted[name]!r}"
        for name in CLOSED
        if st.get_option(name) != wanted[name]
    ]


def refuse_to_run_open() -> None:
    """Exit with a sentence when Streamlit runs with other settings than streamlit_config.toml
    gives."""
    found = differences()
    if found:
        print(
            "CPart does not start, since streamlit_config.toml is not in force:"
            f" {'; '.join(found)}.\nStart it with `python app/main.py`, or leave out the option"
            " that says otherwise. To open CPart to others, change streamlit_config.toml.",
            file=sys.stderr,
        )
        raise SystemExit(2)


def policy_for(host: bytes) -> tuple[bytes, bytes]:
    """POLICY as the header of an answer to a request of this host."""
    name = host.decode("latin-1")
    websockets = (
        f" ws://{name} wss://{name}" if re.fullmatch(r"[\w.-]+(:\d+)?", name, re.ASCII) else ""
    )
    return b"content-security-policy", POLICY.format(websockets=websockets).encode()


class SecurityHeaders:
    """Puts HEADERS and the policy on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message.get("headers", ())}
                ours = (policy_for(dict(scope["headers"]).get(b"host", b"")), *HEADERS)
                message["headers"] = [
                    *message.get("headers", ()),
                    *(pair for pair in ours if pair[0] not in given),
                ]
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def middleware() -> list[Middleware]:
    """Outermost first. Streamlit's allow-list covers websockets only; ours covers plain requests
    too."""
    settings = flat_settings()
    return [
        Middleware(
            TrustedHostMiddleware, allowed_hosts=settings["server.allowedHosts"], www_redirect=False
        ),
        Middleware(SecurityHeaders),
        Middleware(OwnPagesOnly, also=settings["server.corsAllowedOrigins"]),
        Middleware(OfferedOnly),
        Middleware(Visits),
        Middleware(UploadBudget),
        Middleware(
            FirstPaint,
            light=settings["theme.light.backgroundColor"],
            dark=settings["theme.dark.backgroundColor"],
        ),
    ]


async def healthz(request: Request) -> Response:
    return JSONResponse({"ok": True})


async def plotly_script(request: Request) -> Response:
    """plotly.js from the installed plotly package, for the live panels."""
    import importlib.util

    spec = importlib.util.find_spec("plotly")
    assert spec is not None and spec.origin is not None, "plotly is a dependency"
    file = Path(spec.origin).parent / "package_data" / "plotly.min.js"
    return FileResponse(
        file, media_type="text/javascript", headers={"cache-control": "public, max-age=86400"}
    )


def routes() -> list[Route]:
    """Ours, below the path that Streamlit serves its own below: a proxy may let nothing else
    through."""
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    below = f"/{base}/api" if base else "/api"
    return [Route(f"{below}/healthz", healthz), Route(f"{below}/plotly.min.js", plotly_script)]


def show_error(error: Exception) -> bool:
    """A box without file names and line numbers in the page; the traceback goes to the terminal.
    True: Streamlit shows nothing of its own."""
    logging.getLogger("cpart.app").error("A page failed", exc_info=error)
    from app.engine.said import shortened
    from app.text.escape import code_span

    said = str(error) if isinstance(error, ValueError) else type(error).__name__
    st.error(
        f"This part of the page could not be drawn: {code_span(shortened(said), 400)}",
        icon=":material/error:",
    )
    st.caption(
        "Nothing of the run is lost: pages only read. Choose another run or step, or load the page"
        " again. The terminal shows the details."
    )
    return True
