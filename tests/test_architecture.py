"""Who may import whom, the one door to the engine, no clock in an analysis, and what starts fast."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import crmlib
from tests.conftest import ROOT

PACKAGE = ROOT / "crmlib"
MODULES = sorted(PACKAGE.rglob("*.py"))

# floor -> prefixes it may import from crmlib; formats and errors are open to all.
OPEN = (
    "crmlib.errors",
    "crmlib.formats",
    "crmlib.ical",
    "crmlib.lots",
    "crmlib.plain",
    "crmlib.scratch",
    "crmlib.stones",
)
ALLOWED = {
    "cli": ("crmlib.report", "crmlib.shop.intake", "crmlib.shop.samples", "crmlib"),
    "report": (
        "crmlib.report",
        "crmlib.findings",
        "crmlib.publishing",
        "crmlib.stats",
        "crmlib.wording",
        "crmlib.masking",
        "crmlib.display",
    ),
    "shop": ("crmlib.shop",),
    "handover": ("crmlib.handover", "crmlib.shop", "crmlib.publishing"),
    "stones": (),
    "stats": ("crmlib.stats",),
    "publishing": ("crmlib.findings", "crmlib.wording", "crmlib.stats", "crmlib.masking"),
    "findings": ("crmlib.wording", "crmlib.display"),
    "display": (),
    "figures": ("crmlib.figures", "crmlib.findings", "crmlib.wording", "crmlib.stats", "crmlib.masking"),
    "wording": (),
    "masking": (),
    "formats": (),
    "ical": (),
    "ipython": ("crmlib", "crmlib.figures"),
    "errors": (),
}
SHOP_FOR_ANALYSES = (
    "crmlib.shop.facts",
    "crmlib.shop.segments",
    "crmlib.shop.consent",
    "crmlib.shop.tables",
    "crmlib.shop.shop",
)
DOORS = {"execute", "to_pandas", "to_pyarrow", "to_pyarrow_batches", "raw_sql", "to_polars", "to_csv_dir"}


def floor(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[tuple[str, ast.AST, bool]]:
    """(module, node, inside a function) of every import; TYPE_CHECKING blocks count like any other."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(child) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for child in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node, id(node) in inside
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            module = node.module or ""
            if module in ("crmlib", "crmlib.analysis", "crmlib.shop", "crmlib.report"):
                for alias in node.names:
                    yield f"{module}.{alias.name}", node, id(node) in inside
            else:
                yield module, node, id(node) in inside


def analysis_of(module: str) -> str:
    """crmlib.analysis.baskets.mine -> baskets"""
    return module.split(".")[2]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_go_down_the_house(path):
    own = floor(path)
    if own in ("__init__", "__main__"):
        return
    for module, _, _ in imports(path):
        if not module.startswith("crmlib") or module.startswith(OPEN):
            continue
        if own == "analysis":
            mine = f"crmlib.analysis.{analysis_of(name(path))}"
            words = ("crmlib.stats", "crmlib.wording", "crmlib.findings", "crmlib.publishing", "crmlib.figures")
            shared = (*words, "crmlib.masking", *SHOP_FOR_ANALYSES)
            common = tuple(f"crmlib.analysis.{one}" for one in ("earned", "few", "forecasts", "outreach"))
            allowed = (mine, *common, *shared)
            if analysis_of(name(path)) == "data_health":
                allowed += ("crmlib.shop.quality",)
            if analysis_of(name(path)) == "proof":
                allowed += ("crmlib.shop.samples.demo",)
            assert any(module == a or module.startswith(a + ".") for a in allowed), f"{name(path)} imports {module}"
        else:
            assert module.startswith(ALLOWED[own]) and ALLOWED[own], f"{name(path)} imports {module}"


def modules_of(path: Path) -> set[str]:
    """The modules of crmlib that a module imports, wherever in it the import stands; a package is its __init__."""
    known, found = {name(other) for other in MODULES}, set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            deeper = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {module if module in known else node.module for module in deeper}
    return found & known - {name(path)}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Modules that reach one another, each circle once."""
    reached = {start: _reached(graph, start) for start in graph}
    found = {tuple(sorted(b for b in reached[a] if a in reached[b])) for a in graph}
    return sorted(list(circle) for circle in found if circle)


def _reached(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [*graph[start]]
    while waiting:
        if (module := waiting.pop()) not in seen:
            seen.add(module)
            waiting += graph.get(module, ())
    return seen


def test_a_circle_is_found_whatever_its_length():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"f"}, "f": {"e"}, "g": {"a"}}
    assert circles(graph) == [["a", "b", "c"], ["e", "f"]]


def test_no_circle_of_imports_anywhere():
    """Imports within functions and for type checkers count too; the public face, loaded lazily, names all analyses."""
    graph = {name(path): modules_of(path) - {"crmlib"} for path in MODULES if path != PACKAGE / "__init__.py"}
    assert circles(graph) == []


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_the_engines_execute(path):
    if path.parent == PACKAGE / "shop" / "engines":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and floor(path) in ("analysis", "shop"):
            if ".samples." in name(path) or ".intake." in name(path):
                continue  # files, not expressions
            assert node.func.attr not in DOORS, (
                f"{name(path)}:{node.lineno} crosses by .{node.func.attr}, not by shop.fetch"
            )


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_an_engine_is_known_to_its_own_module_only(path):
    for module, _, inside in imports(path):
        if module.split(".")[0] in ("duckdb", "pyspark"):
            assert path.parent == PACKAGE / "shop" / "engines", name(path)
            assert path.stem == module.split(".")[0].removeprefix("py"), name(path)
            type_only = module.startswith("pyspark.sql")
            assert module.startswith("duckdb") or inside or type_only, (
                f"{name(path)} imports pyspark before it is asked for"
            )


@pytest.mark.parametrize("path", [p for p in MODULES if floor(p) == "analysis"], ids=name)
def test_an_analysis_has_no_clock_no_global_chance_and_no_environment(path):
    text = path.read_text(encoding="utf-8")
    for banned in (".now(", ".today(", "time.time", "os.environ", "getenv", "np.random.seed", "random.seed"):
        assert banned not in text, f"{name(path)} uses {banned}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "random":
            assert node.attr in ("default_rng", "Generator", "SeedSequence"), f"{name(path)}:{node.lineno}"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_plotting_and_papermill_stay_where_they_belong(path):
    for module, node, inside in imports(path):
        if module.split(".")[0] in ("seaborn", "matplotlib"):
            typing_only = module in ("matplotlib.axes", "matplotlib.axis")
            assert floor(path) in ("analysis", "figures"), name(path)
            assert inside or typing_only, f"{name(path)}:{node.lineno} imports {module} before a figure is asked for"
        if module.split(".")[0] in ("papermill", "nbconvert"):
            assert floor(path) == "report", name(path)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_importing_has_no_side_effect(path):
    """At module level only definitions, assignments, imports, docstrings and TYPE_CHECKING."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant), f"{name(path)}:{node.lineno}"
        elif isinstance(node, ast.If):
            test = ast.unparse(node.test)
            assert test == "TYPE_CHECKING" or "__name__" in test, f"{name(path)}:{node.lineno} runs at import"
        else:
            kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
            assert isinstance(node, kinds), f"{name(path)}:{node.lineno}"


def test_every_module_says_what_it_answers():
    silent = [
        name(p)
        for p in MODULES
        if p.read_text(encoding="utf-8").strip() and not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_public_names_exist_and_have_docstrings():
    for public in crmlib.__all__:
        assert getattr(crmlib, public).__doc__
    with pytest.raises(AttributeError, match="crmlib has no 'basket'"):
        crmlib.basket  # noqa: B018


def test_the_command_line_starts_without_the_heavy_libraries():
    heavy = ("pandas", "numpy", "ibis", "duckdb", "papermill", "nbconvert", "seaborn", "matplotlib")
    code = f"import sys, crmlib.cli; print([m for m in {heavy!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"
