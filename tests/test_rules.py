"""Rules of this codebase that a machine can keep (design.md, section 5)."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Callable
from pathlib import Path

from tests.source_files import ROOT, files, imports, module_name, tree

FORBIDDEN_MODULES = {
    "pickle",
    "dill",
    "cloudpickle",
    "shelve",
    "marshal",
    "joblib",
    "torch.distributed.checkpoint",
}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "torch.load",
    "torch.save",
    "torch.jit.load",
    "yaml.load",
    "os.system",
    "np.save",
    "numpy.save",
}
WORDS = re.compile(r"\b(todo|fixme|xxx|experts?)\b", re.IGNORECASE)
MENTIONS_OTHERS = {
    "tests/test_rules.py",
    *(
        f"cpart_core/bench/{name}.py"
        for name in ("models/peer_layers", "models/peer_trainers", "peers/public")
    ),
}
"""Files that may say 'expert', because they speak of other people's mixture-of-experts models."""
MOST_LINES, USUAL_LINES, SHARE_OF_LONG_FILES = 350, 250, 0.1
MOST_LINES_OF_A_FUNCTION, USUAL_LINES_OF_A_FUNCTION, SHARE_OF_LONG_FUNCTIONS = 80, 40, 0.05


def each(check: Callable[[Path], None]) -> Callable[[], None]:
    """One test of all files, which says of each what is wrong with it: a test a file would be
    thousands, most of whose time is pytest's."""

    def test() -> None:
        wrong = []
        for path in files():
            try:
                check(path)
            except AssertionError as error:
                wrong.append(f"{path.relative_to(ROOT)}: {error}")
        assert not wrong, "\n".join(wrong)

    test.__doc__ = check.__doc__
    return test


@each
def test_nothing_is_unpickled_or_evaluated(path):
    modules = {item.module for item in imports(path)}
    assert not {
        name
        for name in modules
        for bad in FORBIDDEN_MODULES
        if name == bad or name.startswith(bad + ".")
    }
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        assert called not in FORBIDDEN_CALLS, f"{path.name}:{node.lineno} calls {called}."
        if called in ("np.load", "numpy.load"):
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert given.get("allow_pickle") == "False", (
                f"{path.name}:{node.lineno}: say allow_pickle=False."
            )
        unsafe = [
            word
            for word in node.keywords
            if word.arg in ("unsafe_allow_javascript", "shell")
            and ast.unparse(word.value) != "False"
        ]
        assert not unsafe, f"{path.name}:{node.lineno} passes {unsafe[0].arg}."


@each
def test_no_unfinished_work_and_our_own_words(path):
    if str(path.relative_to(ROOT)) in MENTIONS_OTHERS:
        return
    found = [
        (number, line.strip())
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if WORDS.search(line)
    ]
    assert not found, f"{path.relative_to(ROOT)}: {found}"


@each
def test_every_file_says_what_it_holds(path):
    if path.read_text("utf-8").strip():
        assert ast.get_docstring(tree(path)), f"{path.relative_to(ROOT)} has no docstring."
    assert path.name not in (
        "utils.py",
        "util.py",
        "helpers.py",
        "common.py",
        "misc.py",
    ), "Name a file by what it holds."


def test_files_and_functions_are_short():
    lines = {path.relative_to(ROOT): len(path.read_text("utf-8").splitlines()) for path in files()}
    too_long = {str(path): count for path, count in lines.items() if count > MOST_LINES}
    assert not too_long, f"Over {MOST_LINES} lines: {too_long}. Is each still one idea?"
    long = [str(path) for path, count in lines.items() if count > USUAL_LINES]
    assert len(long) <= SHARE_OF_LONG_FILES * len(lines), (
        f"Too many files over {USUAL_LINES} lines: {long}"
    )


def test_functions_are_short():
    lengths: dict[str, int] = {}
    for path in files():
        for node in ast.walk(tree(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = node.body[0]
                described = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
                documentation = (first.end_lineno or 0) - first.lineno + 1 if described else 0
                lengths[f"{path.relative_to(ROOT)}:{node.name}"] = (
                    (node.end_lineno or 0) - node.lineno + 1 - documentation
                )
    too_long = {name: count for name, count in lengths.items() if count > MOST_LINES_OF_A_FUNCTION}
    assert not too_long, f"Over {MOST_LINES_OF_A_FUNCTION} lines: {too_long}"
    long = [name for name, count in lengths.items() if count > USUAL_LINES_OF_A_FUNCTION]
    assert len(long) <= SHARE_OF_LONG_FUNCTIONS * len(lengths), (
        f"Too many functions over {USUAL_LINES_OF_A_FUNCTION} lines: {long}"
    )


@each
def test_no_bags_of_arguments_in_our_own_signatures(path):
    if module_name(path).startswith("tests"):
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.args.kwarg is None, (
                f"{path.name}:{node.lineno} {node.name}(**{node.args.kwarg.arg}): name the"
                " arguments."
            )
        assert not isinstance(node, ast.Global), (
            f"{path.name}:{node.lineno}: a global that changes."
        )


@each
def test_no_machine_paths(path):
    """Comments and texts name no folder of the machine the project was written on."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline)
    found = [
        token.start[0]
        for token in tokens
        if re.search(r"(?<![\w.])/(work|root|home)/\w", token.string)
    ]
    assert not found, f"{path.relative_to(ROOT)}: lines {found}"


def test_both_lists_of_requirements_agree():
    lines = [
        line.partition("#")[0].strip()
        for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    ]
    *listed, last = [line for line in lines if line]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert last == "-e ."
    assert listed == project["dependencies"]
    everything = [
        *listed,
        *(item for extra in project["optional-dependencies"].values() for item in extra),
    ]
    assert not [item for item in everything if "<" not in item], (
        "Every dependency has an upper bound."
    )
