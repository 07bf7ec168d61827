"""Imports go down the house only. The table below is the house; design decisions that change it are made here, visibly."""

from __future__ import annotations

import pytest

from tests.source_files import files, imports, loaded_by, module_name, modules

FLOORS = {
    # module or room: floor. A file may import its own room and any lower floor. The longest matching name counts.
    "cpart_core": 0,  # the bare package: version only
    "cpart_core.fields": 0,
    "cpart_core.paths": 0,
    "cpart_core.files": 1,
    "cpart_core.config": 1,
    "cpart_core.cache": 1,
    "cpart_core.percent": 1,  # how shares are written
    "cpart_core.printable": 1,  # what a line may hold
    "cpart_core.effect": 2,
    "cpart_core.presets": 2,
    "cpart_core.training.records": 2,  # plain data that training yields
    "cpart_core.analysis.results": 2,  # plain data that pages draw
    "cpart_core.analysis.effects": 2,
    "cpart_core.analysis.keep_results": 2,
    "cpart_core.analysis.coherence_results": 3,  # holds traces
    "cpart_core.analysis.compare_results": 3,  # holds traces of results
    "cpart_core.corpus": 2,
    "cpart_core.model": 2,
    "cpart_core.partition": 3,
    "cpart_core.training": 4,
    "cpart_core.runs": 5,
    "cpart_core.analysis": 6,
    "cpart_core.study": 7,
    "cpart_core.bench": 8,
    "cpart_core.cli": 9,
    "cpart_core.__main__": 10,
    "app.charts.palette": 10,  # colours alone
    "app.handle": 9,  # a request to them
    "app.worker": 10,  # the engine's processes, seen from the pages
    "app.jobs": 11,
    "app.said": 10,  # what a program said, for pages
    "app.texts": 11,  # escaping and coloured text
    "app.charts": 12,
    "app": 13,
}
HEAVY = ("torch", "umap", "sklearn", "numba")
SCREEN = ("streamlit", "plotly")
SILENT = ("app.charts", "app.jobs", "app.said", "app.texts", "app.worker")
"""Parts of the app that know nothing of streamlit."""


def room(module: str) -> str:
    names = [name for name in FLOORS if module == name or (name != "cpart_core" and module.startswith(name + "."))]
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
        assert allowed, f"{path.name}:{item.line} ({mine}, floor {FLOORS[mine]}) imports {item.module} ({theirs}, floor {FLOORS[theirs]})."


def test_no_circles():
    graph = {name: {item.module for item in imports(path)} & set(modules()) - {name} for name, path in modules().items()}
    while leaves := [name for name, below in graph.items() if not below & set(graph)]:
        for name in leaves:
            del graph[name]
    assert not graph, f"Files that import each other in a circle, or stand above one: {', '.join(sorted(graph))}."


@pytest.mark.parametrize("path", files("cpart_core"), ids=module_name)
def test_engine_knows_no_screen(path):
    assert not [item for item in imports(path) if top(item.module) in SCREEN], f"{module_name(path)} imports streamlit or plotly."


@pytest.mark.parametrize("name", sorted(name for name in modules() if name.startswith(SILENT)))
def test_charts_and_jobs_know_no_streamlit(name):
    chain = loaded_by(name)
    assert "streamlit" not in {top(module) for module in chain}, f"{name} loads streamlit: {chain}"
    assert not [item for item in imports(modules()[name]) if top(item.module) == "streamlit"]


@pytest.mark.parametrize("name", sorted(name for name in modules() if top(name) == "app"))
def test_pages_load_nothing_heavy(name):
    """First paint must not wait for torch: no chain of imports from a page leads to it, and no page imports it late either."""
    heavy = [" -> ".join(chain) for module, chain in loaded_by(name).items() if top(module) in HEAVY]
    assert not heavy, heavy
    assert not [item for item in imports(modules()[name]) if top(item.module) in HEAVY]


def test_the_bare_package_loads_nothing():
    loaded = {top(module) for module in loaded_by("cpart_core")}
    assert loaded <= {"cpart_core", "__future__"}, loaded
