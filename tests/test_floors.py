"""Imports go down the floors only. The table below is the plan; design decisions that change it are
made here, visibly."""

from __future__ import annotations

import pytest

from tests.source_files import files, imports, loaded_by, module_name, modules

FLOORS = {
    # room: floor. A file may import its own room and any lower floor. The longest matching name
    # counts.
    "cpart_core": 0,  # the bare package: version only
    "cpart_core.wording": 1,
    "cpart_core.files": 1,
    "cpart_core.records": 2,
    "cpart_core.settings.fields": 2,
    # Methods own their settings, so the settings of a run stand above the families of methods.
    "cpart_core.model.kernels": 3,
    "cpart_core.partition": 4,
    "cpart_core.model.fusion": 4,
    "cpart_core.settings": 5,
    "cpart_core.corpus": 6,
    "cpart_core.model": 6,
    "cpart_core.training": 7,
    "cpart_core.runs": 8,
    "cpart_core.analysis": 9,
    "cpart_core.service": 10,
    "cpart_core.study": 11,
    "cpart_core.bench": 12,
    "cpart_core.cli": 13,
    "cpart_core.__main__": 14,
    "app.engine": 15,
    "app.text": 16,
    "app.charts": 17,
    "app": 18,
}
HEAVY = ("torch", "umap", "sklearn", "numba")
SCREEN = ("streamlit", "plotly")
SILENT = ("app.charts", "app.engine", "app.text")
"""Parts of the app that know nothing of streamlit."""


def room(module: str) -> str:
    names = [
        name
        for name in FLOORS
        if module == name or (name != "cpart_core" and module.startswith(name + "."))
    ]
    assert names, f"{module} has no floor; give it one in tests/test_floors.py."
    return max(names, key=len)


def top(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("path", files("cpart_core", "app"), ids=module_name)
def test_imports_go_down_only(path):
    mine = room(module_name(path))
    for item in imports(path):
        if top(item.module) not in ("cpart_core", "app"):
            continue
        theirs = room(item.module)
        allowed = theirs == mine or FLOORS[theirs] < FLOORS[mine]
        assert allowed, (
            f"{path.name}:{item.line} ({mine}, floor {FLOORS[mine]}) imports {item.module}"
            f" ({theirs}, floor {FLOORS[theirs]})."
        )


def test_no_circles():
    graph = {
        name: {item.module for item in imports(path)} & set(modules()) - {name}
        for name, path in modules().items()
    }
    while leaves := [name for name, below in graph.items() if not below & set(graph)]:
        for name in leaves:
            del graph[name]
    assert not graph, (
        f"Files that import each other in a circle, or stand above one: {', '.join(sorted(graph))}."
    )


@pytest.mark.parametrize("path", files("cpart_core"), ids=module_name)
def test_engine_knows_no_screen(path):
    assert not [item for item in imports(path) if top(item.module) in SCREEN], (
        f"{module_name(path)} imports streamlit or plotly."
    )


@pytest.mark.parametrize("name", sorted(name for name in modules() if name.startswith(SILENT)))
def test_charts_and_jobs_know_no_streamlit(name):
    chain = loaded_by(name)
    assert "streamlit" not in {top(module) for module in chain}, f"{name} loads streamlit: {chain}"
    assert not [item for item in imports(modules()[name]) if top(item.module) == "streamlit"]


@pytest.mark.parametrize("name", sorted(name for name in modules() if top(name) == "app"))
def test_pages_load_nothing_heavy(name):
    """First paint must not wait for torch: no chain of imports from a page leads to it, and no page
    imports it late either."""
    heavy = [
        " -> ".join(chain) for module, chain in loaded_by(name).items() if top(module) in HEAVY
    ]
    assert not heavy, heavy
    assert not [item for item in imports(modules()[name]) if top(item.module) in HEAVY]


def test_the_bare_package_loads_nothing():
    loaded = {top(module) for module in loaded_by("cpart_core")}
    assert loaded <= {"cpart_core", "__future__"}, loaded
