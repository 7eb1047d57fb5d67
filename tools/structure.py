"""Figures of the code's structure, and the limits that they must keep; exits 1 where one is broken.

    python tools/structure.py

Counted are the files of src/segrecord, as text and syntax: nothing is imported. A private helper is
a function or method whose name begins with one underscore; it is used once where its name occurs
once in its module beside the definition. The same count on other projects gave: httpx 2.5 a
thousand lines, structlog 3.0, sqlite-utils 2.0, grain 4.6.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "segrecord"

MODULES = 116
"""At most, and 110 are the aim; an `__init__` of one statement (its docstring) is not counted."""

LINES = 28_200
"""At most, and 23,000 are the aim."""

HELPERS = 8.0
"""Private helpers used once, at most, in a thousand lines."""


def modules(source: Path) -> dict[str, ast.Module]:
    """The syntax tree of each module, by its dotted name."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        name = ".".join((source.name, *path.relative_to(source).with_suffix("").parts))
        found[name.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def helpers_used_once(tree: ast.Module) -> list[str]:
    """The private functions and methods that the module names once."""
    uses: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            uses[node.id] += 1
        elif isinstance(node, ast.Attribute):
            uses[node.attr] += 1
    names = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [
        name
        for name in names
        if name.startswith("_") and not name.startswith("__") and uses[name] == 1
    ]


def imports(name: str, tree: ast.Module, known: set[str]) -> set[str]:
    """The modules of the project that this one imports, inside functions too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {
                full if (full := f"{node.module}.{alias.name}") in known else node.module
                for alias in node.names
            }
    return (found & known) - {name}


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other (Tarjan's strongly connected components)."""
    numbers: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        numbers[name] = low[name] = len(numbers)
        path.append(name)
        for other in sorted(graph[name]):
            if other not in numbers:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in path:
                low[name] = min(low[name], numbers[other])
        if low[name] == numbers[name]:
            group = path[path.index(name) :]
            del path[path.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(graph):
        if name not in numbers:
            visit(name)
    return found


def main() -> int:
    """Print each figure beside its limit."""
    trees = modules(SOURCE)
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCE.rglob("*.py"))
    rooms = [name for name, tree in trees.items() if len(tree.body) > 1]
    once = sum(len(helpers_used_once(tree)) for tree in trees.values()) * 1000 / lines
    places = defaultdict(list)
    packages = {name.rpartition(".")[0] for name in trees}
    for name in trees:
        if name not in packages and not name.endswith("__main__"):
            places[name.rpartition(".")[2]].append(name)
    twice = [" and ".join(names) for names in places.values() if len(names) > 1]
    graph = {name: imports(name, tree, set(trees)) for name, tree in trees.items()}
    loops = [" <-> ".join(group) for group in cycles(graph)]
    rows = (
        ("modules", len(rooms), MODULES),
        ("lines", lines, LINES),
        ("private helpers used once, per 1,000 lines", round(once, 1), HELPERS),
        ("module names that stand in two rooms", len(twice), 0),
        ("import cycles", len(loops), 0),
    )
    for label, figure, limit in rows:
        broken = "  <- too many" if figure > limit else ""
        print(f"{label:<45} {figure:>8,} (at most {limit:,}){broken}")
    for line in (*twice, *loops):
        print(f"  {line}")
    return int(any(figure > limit for _, figure, limit in rows))


if __name__ == "__main__":
    sys.exit(main())
