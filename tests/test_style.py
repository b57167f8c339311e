"""What the linters do not say: how long a function and a module may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = [
    module
    for folder in ("qbix_node", "netsim", "bench", "tests")
    for module in sorted((ROOT / folder).rglob("*.py"))
    if "node_modules" not in module.parts
]
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 400


def functions(module: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(module.read_text())
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{module.relative_to(ROOT)}:{function.name}": lines
        for module in MODULES
        for function in functions(module)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
    }
    assert long == {}


@pytest.mark.parametrize("folder", ["qbix_node", "netsim", "bench"])
def test_modules_stay_readable(folder: str) -> None:
    sizes = {
        str(module.relative_to(ROOT)): len(module.read_text().splitlines())
        for module in MODULES
        if module.is_relative_to(ROOT / folder)
    }
    assert {name: size for name, size in sizes.items() if size > MODULE_LINES_MAX} == {}
