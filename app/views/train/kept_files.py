"""Files that a person uploaded, kept for the visit: Streamlit's own box forgets them when another
page is opened."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app import session
from app.text import readable
from app.text.escape import code_span

KEY = "upload_files"


def chooser(label: str, types: list[str], about: str) -> list[UploadedFile]:
    """The box, and below it the files kept from before, each with a button that removes it. All
    files that there are."""
    in_box = st.file_uploader(
        label, type=types, accept_multiple_files=True, key=KEY, help=about, on_change=take
    )
    kept = files()
    shown = {file.file_id for file in in_box}
    session.put("uploads_in_box", shown)
    for file in [file for file in kept.values() if file.file_id not in shown]:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(
                f":material/draft: {code_span(file.name, 80)} :gray[{readable.size(file.size)},"
                " kept]",
                width="content",
            )
            st.button(
                "",
                key=f"remove_{file.file_id}",
                icon=":material/close:",
                type="tertiary",
                help="Remove it",
                on_click=remove,
                args=(file,),
            )
    return list(kept.values())


def files() -> dict[str, UploadedFile]:
    """By their ids, oldest first."""
    return dict(session.get("uploads") or {})


def take() -> None:
    """The box has changed: files are new in it, or a person took some out of it."""
    kept, in_box = files(), {file.file_id: file for file in session.widget(KEY, [])}
    taken_out = (session.get("uploads_in_box") or set()) - set(in_box)
    session.put(
        "uploads",
        {name: file for name, file in {**kept, **in_box}.items() if name not in taken_out},
    )


def remove(file: UploadedFile) -> None:
    """Forget a file, and give its bytes back at once."""
    session.put("uploads", {name: one for name, one in files().items() if name != file.file_id})
    context = get_script_run_ctx()
    store = context.uploaded_file_mgr if context is not None else None
    if context is not None and isinstance(store, MemoryUploadedFileManager):
        store.remove_file(context.session_id, file.file_id)
