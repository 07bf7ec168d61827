"""The project's own Python files and what each imports, read with ast; nothing is imported. For the
tests that keep the rules of the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("cpart_core", "app", "tests")


@dataclass(frozen=True)
class Import:
    module: str
    """The imported module's full name; for a name of our own package, the module that defines
    it."""
    line: int
    late: bool
    """Inside a function, or for type checkers alone: not when the file is loaded."""


def files(*rooms: str) -> list[Path]:
    """Python files of the rooms (default: all), sorted."""
    return sorted(path for room in rooms or ROOMS for path in (ROOT / room).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def modules() -> dict[str, Path]:
    """Name -> file, for every module of ours."""
    return {module_name(path): path for path in files()}


@cache
def imports(path: Path) -> list[Import]:
    """Every import statement of a file, those inside functions and those for type checkers too."""
    found: list[Import] = []
    package = (
        module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    )
    for node, late in statements(tree(path), late=False):
        if isinstance(node, ast.Import):
            found += [Import(own_name(alias.name, path), node.lineno, late) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = (
                package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            )
            base = ".".join([*above, *([node.module] if node.module else [])])
            found += [
                Import(own_name(f"{base}.{alias.name}", path), node.lineno, late)
                for alias in node.names
            ]
    return found


def own_name(name: str, path: Path) -> str:
    """The module that an imported name means: `cpart_core.settings.run.Settings` ->
    `cpart_core.settings.run`; in app/, `state` is `app.session`."""
    candidates = [name] if path.parts[len(ROOT.parts)] != "app" else [name, f"app.{name}"]
    for candidate in candidates:
        while candidate and candidate not in ("app", "tests"):
            if candidate in modules():
                return candidate
            candidate = candidate.rpartition(".")[0]
    return name


def statements(node: ast.AST, late: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Every node below, with whether what it imports is not loaded with the file: in a function, or
    for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        waits = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        checks = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        yield child, late
        yield from statements(child, late or waits or checks)


def loaded_by(name: str) -> dict[str, tuple[str, ...]]:
    """Every module that loading `name` loads in turn, outside packages too -> the chain that leads
    there."""
    reached: dict[str, tuple[str, ...]] = {name: (name,)}
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in modules():
            continue
        package = current.rpartition(".")[0]
        following = [item.module for item in imports(modules()[current]) if not item.late]
        for module in [*following, *([package] if package in modules() else [])]:
            if module not in reached:
                reached[module] = (*reached[current], module)
                waiting.append(module)
    return reached
