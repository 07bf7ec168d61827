"""streamlit_config.toml is in force, keeps the app closed, and the app refuses to run where it is
not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from starlette.applications import Starlette

from app import serving
from app.charts.theme import DARK, LIGHT
from tests.app.asking import ask

ROOT = serving.CONFIG_FILE.parent
MAIN = ROOT / "app" / "main.py"


def luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_link_is_the_file():
    link = ROOT / "app" / ".streamlit" / "config.toml"
    assert (
        link.is_symlink()
        and link.resolve() == serving.CONFIG_FILE
        and os.readlink(link) == "../../streamlit_config.toml"
    )


def test_every_option_is_in_force_from_any_folder(tmp_path):
    """As `streamlit run` sets it up, in a process of its own and elsewhere."""
    code = (
        "import sys; from streamlit import config; config._main_script_path ="
        " sys.argv[1]\nconfig.get_config_options(force_reparse=True,"
        " options_from_flags={})\nsys.path.insert(0, sys.argv[2]); from app import"
        " serving\nprint([name for name, value in serving.flat_settings().items() if"
        " config.get_option(name) != value], serving.differences())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, MAIN, ROOT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[] []"


def test_the_file_keeps_the_app_closed():
    flat = serving.flat_settings()
    assert (
        flat["server.address"] == "127.0.0.1"
        and flat["server.enableXsrfProtection"]
        and flat["server.maxUploadSize"] <= 50
    )
    assert set(flat["server.allowedHosts"]) == {"localhost", "127.0.0.1"}
    assert (
        flat["client.showErrorDetails"] != "full"
        and not flat["browser.gatherUsageStats"]
        and not flat["server.enableStaticServing"]
    )


FREE = {
    "server": (
        "port headless baseUrlPath cookieSecret sslCertFile sslKeyFile websocketPingInterval"
        " enableWebsocketCompression fileWatcherType folderWatchBlacklist folderWatchList runOnSave"
        " allowRunOnSave maxCacheDataSize showEmailPrompt agentMaxSessions agentPreviewRows"
        " agentSessionTTL agentWaitTimeout enableExpensiveMemoryStats trustedUserHeaders"
    ),
    "browser": "serverAddress serverPort",
    "client": "disableDataExport showSidebarNavigation toolbarMode",
    "global": (
        "appTest disableWidgetStateDuplicationWarning maxCachedMessageAge minCachedMessageSize"
        " showWarningOnDirectExecution suppressDeprecationWarnings unitTest"
    ),
}
"""Options that may be given otherwise: they open nothing, or only say how an interface works that
app/offered.py closes (agents, metrics)."""


def test_every_option_is_closed_or_named_free():
    """One that a later Streamlit adds fails here, until somebody has said which it is."""
    from streamlit import config

    known = {name for name in config.get_config_options() if name.split(".")[0] in FREE}
    free = {f"{section}.{name}" for section, names in FREE.items() for name in names.split()}
    assert known - free - set(serving.CLOSED) == set() and not free & set(serving.CLOSED)
    assert set(serving.CLOSED) <= set(serving.flat_settings())


def test_it_refuses_to_run_open(capsys, monkeypatch):
    given = {**serving.flat_settings(), "server.address": None}
    monkeypatch.setattr(serving.st, "get_option", given.get)
    with pytest.raises(SystemExit):
        serving.refuse_to_run_open()
    said = capsys.readouterr().err
    assert "server.address is None, not '127.0.0.1'" in said and "python app/main.py" in said


def test_every_answer_carries_the_headers_and_strangers_hosts_get_none():
    app = Starlette(routes=serving.routes(), middleware=serving.middleware())
    answer = ask(app, "/api/healthz")
    assert answer.status == 200 and answer.headers[b"x-frame-options"] == b"SAMEORIGIN"
    policy = answer.headers[b"content-security-policy"]
    assert b"default-src 'self'" in policy and b"{" not in policy
    assert b"connect-src 'self' ws://127.0.0.1:8501 wss://127.0.0.1:8501;" in policy, (
        "websockets to this host alone"
    )
    assert ask(app, "/api/healthz", host="evil.example").status == 400
    refused = ask(app, "/api/healthz", method="POST", origin="http://127.0.0.1:9999")
    assert refused.status == 403 and b"content-security-policy" in refused.headers
    assert (
        ask(app, "/_stcore/metrics").status == ask(app, "/_stcore/agent/openapi.json").status == 404
    )


def test_both_themes_can_be_read():
    flat = serving.flat_settings()
    assert len(flat["theme.chartCategoricalColors"]) >= 10
    # as ui.STYLE says
    for mode, ink, on_button in (("light", LIGHT, "#ffffff"), ("dark", DARK, DARK.background)):
        background = flat[f"theme.{mode}.backgroundColor"]
        assert background == ink.background and flat[f"theme.{mode}.textColor"] == ink.text
        assert contrast(flat[f"theme.{mode}.primaryColor"], on_button) >= 4.5, (
            "words on the primary button"
        )
        assert contrast(flat[f"theme.{mode}.linkColor"], background) >= 4.5
        assert contrast(ink.text, background) >= 7 and contrast(ink.faint, background) >= 4.5
