"""The formulas of a module as syntax trees: its functions and constants, and those that it imports."""

from __future__ import annotations

import ast
from pathlib import Path

__all__ = ["PACKAGE", "collect", "parameter_count"]

PACKAGE = Path(__file__).resolve().parent.parent


def collect(module: str, seen: dict[str, ast.stmt], visited: set[str]) -> None:
    """Add the functions and constants of a formula module, its imports from eoslab first."""
    if module in visited:
        return
    visited.add(module)
    target = "eoslab.kernels.scalar_numbers" if module == "eoslab.core.numbers" else module
    path = PACKAGE.joinpath(*target.split(".")[1:]).with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and _holds_formulas(node.module):
            collect(str(node.module), seen, visited)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            _strip(node)
            seen[node.name] = node
        elif isinstance(node, ast.Assign) and _is_constant(node):
            seen[ast.unparse(node.targets[0])] = node


def _holds_formulas(module: str | None) -> bool:
    """Whether the functions of an imported module are formulas too; everything else serves the class."""
    if module in ("eoslab.core.numbers", "eoslab.core.arrowhead", "eoslab.core.symmetric"):
        return True
    return bool(module) and str(module).startswith("eoslab.optimizers.") and module != "eoslab.optimizers.rule"


def _is_constant(node: ast.Assign) -> bool:
    names = [n.id for n in ast.walk(node.targets[0]) if isinstance(n, ast.Name)]
    return all(name.isupper() for name in names) and all(
        isinstance(
            n, (ast.Constant, ast.Tuple, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.expr_context)
        )
        for n in ast.walk(node.value)
    )


def _strip(node: ast.FunctionDef) -> None:
    node.returns = None
    node.decorator_list = []
    for arg in node.args.args:
        arg.annotation = None


def parameter_count(tree: ast.Module) -> int:
    """The number of fields of the model's dataclass."""
    count = 0
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            count = sum(
                isinstance(item, ast.AnnAssign) and "ClassVar" not in ast.unparse(item.annotation)
                for item in node.body
            )
    return count
