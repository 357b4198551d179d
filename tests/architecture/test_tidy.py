"""House rules that no tool checks: size, names, swallowed errors, purity, words.

Each rule is a function from a file to complaints. It is shown a bad example first, so that a rule
that has stopped working fails here, and then the whole tree.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = ROOT / "src" / "reddot"

FILE_LINES_MAX: Final = 600
FUNCTION_LINES_MAX: Final = 70

NOT_OURS: Final = {"node_modules", "vendor", "dist", "build", "__pycache__"}
CODE: Final = {".cjs", ".js", ".mjs", ".py", ".sql", ".ts"}
TEXT: Final = CODE | {".css", ".html", ".json", ".md", ".sh", ".toml", ".txt", ".yaml", ".yml", ""}
NAMES_BANNED: Final = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}

# Written with [.] so that this file does not say what it forbids.
WORDS_BANNED: Final = re.compile(
    r"pypi[.]org|pythonhosted[.]org|npmjs[.]org|npmjs[.]com|yarnpkg[.]com|deb[.]debian[.]org"
    r"|(?<![\w.~-])/(?:root|work|home)/"
)

# What pure folders may import besides themselves and what the layers allow.
PURE: Final = {
    "__future__",
    "base64",
    "binascii",
    "bisect",
    "collections",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "heapq",
    "html",
    "itertools",
    "json",
    "math",
    "msgspec",
    "operator",
    "re",
    "reddot",
    "string",
    "struct",
    "typing",
    "urllib.parse",
}
# Tables and no I/O that anybody could tell: the letters of Unicode, the clocks of time zones.
TABLES: Final = {"unicodedata", "zoneinfo"}
ALLOWED: Final = {
    "codecs": PURE,
    "core": PURE
    | TABLES
    | {"asyncio", "contextlib", "hashlib", "hmac", "joserfc", "types", "warnings"},
    "counters.py": PURE,
    "delivery.py": PURE,
    "errors.py": PURE,
    "inbox.py": PURE,
    "model.py": PURE,
    "ports.py": PURE,
}
# A pure module may calculate with dates and may not ask which one it is.
NOW: Final = {"now", "today", "utcnow"}

Complaints = Iterator[str]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def files(suffixes: set[str], *, under: Path = ROOT) -> list[Path]:
    """All files of ours with one of the suffixes; dot folders are tools' own, but for .ci."""
    found: list[Path] = []
    for folder, folders, names in os.walk(under):
        folders[:] = [f for f in folders if f not in NOT_OURS and (f[0] != "." or f == ".ci")]
        paths = [Path(folder, name) for name in names if not name.startswith(".")]
        found += [path for path in paths if path.suffix in suffixes]
    return sorted(found)


# ---- rules for any file: complaints about its text ----


def short_file(text: str) -> Complaints:
    lines = text.count("\n")
    if lines > FILE_LINES_MAX:
        yield f"{lines} lines; split it at {FILE_LINES_MAX}"


def clean_words(text: str) -> Complaints:
    for number, line in enumerate(text.splitlines(), start=1):
        if found := WORDS_BANNED.search(line):
            yield f"line {number} names {found[0]!r}, which only one machine or registry has"


# ---- rules for Python: complaints about its syntax tree ----


def documented(tree: ast.Module) -> Complaints:
    if tree.body and not ast.get_docstring(tree):
        yield "no docstring that says role, layer and invariants"


def short_functions(tree: ast.Module) -> Complaints:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            lines = _lines_without_docstring(node)
            if lines > FUNCTION_LINES_MAX:
                yield f"{node.name} has {lines} lines; split it at {FUNCTION_LINES_MAX}"


def _lines_without_docstring(node: Function) -> int:
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node, clean=False) is not None:
        docstring = node.body[0]
        lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


def no_swallowed_errors(tree: ast.Module) -> Complaints:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield f"line {node.lineno}: bare except"
            elif _all(node.type) and all(map(_does_nothing, node.body)):
                yield f"line {node.lineno}: swallows every error"
        elif isinstance(node, ast.Call) and _name(node.func) == "suppress":
            yield from (f"line {a.lineno}: swallows every error" for a in node.args if _all(a))


def _all(node: ast.expr) -> bool:
    kinds = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(_name(kind) in ("Exception", "BaseException") for kind in kinds)


def _does_nothing(node: ast.stmt) -> bool:
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant or isinstance(node, ast.Pass | ast.Continue)


def no_dynamic_imports(tree: ast.Module) -> Complaints:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "importlib":
            if "import_module" in (alias.name for alias in node.names):
                yield f"line {node.lineno}: an import that the layers cannot see"
        elif isinstance(node, ast.Call) and _name(node.func) in ("import_module", "__import__"):
            yield f"line {node.lineno}: an import that the layers cannot see"


def _name(node: ast.expr) -> str:
    """`f` for `f` and for `module.f`; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def pure(tree: ast.Module, allowed: set[str]) -> Complaints:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from _foreign([alias.name for alias in node.names], allowed)
        elif isinstance(node, ast.ImportFrom):
            yield from _foreign([node.module or "."], allowed)
        elif isinstance(node, ast.Call) and _name(node.func) in NOW:
            yield f"line {node.lineno}: asks a clock"
        elif isinstance(node, ast.Call) and _name(node.func) in ("open", "print", "input"):
            yield f"line {node.lineno}: does I/O"


def _foreign(modules: list[str], allowed: set[str]) -> Complaints:
    for module in modules:
        if module not in allowed and module.partition(".")[0] not in allowed:
            yield f"imports {module}; a new import in a pure folder is argued in ALLOWED"


# ---- each rule bites ----

LONG_FUNCTION = 'def f() -> None:\n    """Doc."""\n' + "    x = 1\n" * FUNCTION_LINES_MAX
BITES: Final[list[tuple[Callable[[ast.Module], Complaints], str, str]]] = [
    (documented, '"""Doc."""\nx = 1', "x = 1"),
    (short_functions, LONG_FUNCTION.replace("    x = 1\n", "", 1), LONG_FUNCTION),
    (no_swallowed_errors, "try: f()\nexcept OSError: pass", "try: f()\nexcept: raise"),
    (
        no_swallowed_errors,
        "try: f()\nexcept Exception: raise",
        "try: f()\nexcept Exception: pass",
    ),
    (
        no_swallowed_errors,
        "try: f()\nexcept Exception: log()",
        "for _ in x:\n try: f()\n except (OSError, BaseException): continue",
    ),
    (no_swallowed_errors, "with suppress(OSError): f()", "with c.suppress(Exception): f()"),
    (no_dynamic_imports, "import importlib.resources", "importlib.import_module('x')"),
    (no_dynamic_imports, "import x", "from importlib import import_module"),
    (no_dynamic_imports, "import x", "__import__('x')"),
]


@pytest.mark.parametrize(("rule", "good", "bad"), BITES)
def test_a_rule_for_python_bites(
    rule: Callable[[ast.Module], Complaints], good: str, bad: str
) -> None:
    assert not list(rule(ast.parse(good)))
    assert list(rule(ast.parse(bad)))


@pytest.mark.parametrize(
    "bad",
    [
        "import os",
        "from time import time",
        "import urllib.request",
        "from . import x",
        "def f() -> None:\n    import socket",
        "x = datetime.now(UTC)",
        "open('x')",
    ],
)
def test_purity_bites(bad: str) -> None:
    good = "import re\nfrom collections.abc import Sequence\nfrom urllib.parse import quote\nf()"
    assert not list(pure(ast.parse(good), PURE))
    assert list(pure(ast.parse(bad), PURE))


def test_the_rules_for_any_file_bite() -> None:
    assert not list(short_file("x\n" * FILE_LINES_MAX))
    assert list(short_file("x\n" * (FILE_LINES_MAX + 1)))
    assert not list(clean_words("users/home/lamp, ~/work/x, npm ci, https://example.com/home/"))
    for folder in ("root", "work", "home"):
        assert list(clean_words(f"cd /{folder}/x"))
    assert list(clean_words("https://" + ".".join(("registry", "npmjs", "org"))))


# ---- the tree keeps them ----


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


CODE_FILES: Final = files(CODE)
PYTHON_FILES: Final = files({".py"})
SOURCE_FILES: Final = files({".py"}, under=SOURCE)


def complaints_about(
    rule: Callable[[ast.Module], Complaints], paths: list[Path]
) -> list[tuple[str, str]]:
    """(file, complaint) for every complaint; parses each file anew, which costs a millisecond."""
    return [(relative(p), text) for p in paths for text in rule(ast.parse(p.read_text()))]


def test_there_is_something_to_check() -> None:
    assert {SOURCE / "core" / "hub.py", SOURCE / "model.py"} <= set(SOURCE_FILES)
    assert Path(__file__) in PYTHON_FILES
    assert ROOT / ".ci" / "run" in files(TEXT)


def test_files_are_short() -> None:
    assert not [(relative(p), c) for p in CODE_FILES for c in short_file(p.read_text())]


def test_functions_are_short() -> None:
    assert not complaints_about(short_functions, PYTHON_FILES)


def test_every_module_has_a_docstring() -> None:
    assert not complaints_about(documented, PYTHON_FILES)


def test_no_error_is_swallowed() -> None:
    assert not complaints_about(no_swallowed_errors, PYTHON_FILES)


def test_no_import_is_dynamic() -> None:
    assert not complaints_about(no_dynamic_imports, SOURCE_FILES)


@pytest.mark.parametrize("place", ALLOWED)
def test_what_is_pure_imports_only_what_is_listed(place: str) -> None:
    paths = [p for p in SOURCE_FILES if p.relative_to(SOURCE).parts[0] == place]
    assert paths
    assert not complaints_about(lambda tree: pure(tree, ALLOWED[place]), paths)


def test_names_say_what_is_in_a_file() -> None:
    parts = {part for path in CODE_FILES for part in path.relative_to(ROOT).parts}
    stems = {part.partition(".")[0] for part in parts}
    words = {word for stem in stems for word in re.split(r"[_-]", stem.lower())}
    assert not NAMES_BANNED & words


def test_no_folder_is_empty() -> None:
    """A folder with nothing but `__init__.py` is a plan, not a part."""
    empty = [
        relative(Path(folder))
        for folder, folders, names in os.walk(SOURCE)
        if not NOT_OURS.intersection(Path(folder).relative_to(ROOT).parts)
        if not set(folders) - NOT_OURS
        if not set(names) - {"__init__.py"}
    ]
    assert not empty


def test_no_file_names_a_machine_or_a_registry() -> None:
    texts = [(path, path.read_text()) for path in files(TEXT)]
    assert not [(relative(path), c) for path, text in texts for c in clean_words(text)]
