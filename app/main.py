"""The entry of the app: `streamlit run app/main.py` from any folder, or `python app/main.py`.

Three ways in: imported by `streamlit run` it offers `app`, an ASGI application; started by Python
it serves itself with the options of streamlit_config.toml; run as a script inside Streamlit (tests
do) it draws the pages.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402
from streamlit.runtime.scriptrunner import get_script_run_ctx  # noqa: E402

from app import serving  # noqa: E402
from app.engine import jobs  # noqa: E402
from cpart_core.runs.private import only_for_me  # noqa: E402

if get_script_run_ctx(suppress_warning=True) is not None:
    from app import ui

    ui.draw()
else:
    only_for_me()
    if __name__ != "__main__":
        serving.refuse_to_run_open()
    app = st.App(
        str(ROOT / "app" / "ui.py"),
        routes=serving.routes(),
        middleware=serving.middleware(),
        on_script_error=serving.show_error,
    )
    jobs.warm_up()
    jobs.read_list()
    if __name__ == "__main__":
        app.run(config=serving.flat_settings())
