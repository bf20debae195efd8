from __future__ import annotations

from pathlib import Path

import pytest

from crmlib.errors import UsageError
from crmlib.report.parameters import Parameter, find_reports, read_report, resolve, select
from crmlib.shop.tables import TABLES
from tests.pages_helpers import code, make_project, prose, write_notebook

CELL = """level: str = "product"  # what an item is, one of product, category, brand
min_support: float = 0.01  # least share of baskets, in (0, 1]
max_items: int = 3  # both sides together, in [2, 5]
keep_redundant: bool = False  # keep rules that say no more than a shorter one
experiment: str = ""  # empty = all
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_project(tmp_path)
    write_notebook(tmp_path, "08_baskets", [], title="Baskets", parameters=CELL)
    write_notebook(
        tmp_path, "12_feedback", [], title="Feedback", parameters="abstain_below: float = 0.2  # in [0, 1]\n"
    )
    return tmp_path


def values(project: Path, *given: str, only: str = "baskets", **more: object) -> dict[str, object]:
    return resolve(select(project / "notebooks", [only]), given, **more)[only]  # type: ignore[arg-type, return-value]


def test_a_cell_is_read_with_types_help_and_ranges(project: Path) -> None:
    report = read_report(project / "notebooks" / "08_baskets.ipynb")
    assert (report.name, report.title) == ("baskets", "Baskets")
    assert [p.name for p in report.parameters][:3] == ["shop", "as_of", "out"]
    assert report["level"] == Parameter(
        name="level", type="str", default="product", help="what an item is", choices=("product", "category", "brand")
    )
    assert report["min_support"].help == "least share of baskets" and report["min_support"].bounds == "(0, 1]"
    assert report["keep_redundant"].default is False and report["keep_redundant"].allowed == ""


def test_without_anything_given_the_cell_counts(project: Path) -> None:
    assert values(project) == {
        "level": "product", "min_support": 0.01, "max_items": 3, "keep_redundant": False, "experiment": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ("min_support=0.001", "min_support", 0.001),
        ("min_support=1", "min_support", 1.0),
        ("min_support=1e-3", "min_support", 0.001),
        ("baskets.min_support=.5", "min_support", 0.5),
        ("max_items=5", "max_items", 5),
        ("keep_redundant=true", "keep_redundant", True),
        ("keep_redundant=false", "keep_redundant", False),
        ("experiment=00123", "experiment", "00123"),
        ("experiment=false", "experiment", "false"),
        ("experiment=a=b", "experiment", "a=b"),
        ("experiment=", "experiment", ""),
        ("level=brand", "level", "brand"),
    ],
)
def test_what_is_typed_is_what_arrives(project: Path, given: str, name: str, value: object) -> None:
    got = values(project, given)[name]
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("min_suport=0.1", "did you mean 'min_support'"),
        ("min_support=lots", "a number; 'lots' is not"),
        ("min_support=0", "in (0, 1]; 0.0 does not"),
        ("min_support=1.01", "in (0, 1]"),
        ("min_support=nan", "a number"),
        ("min_support=inf", "a number"),
        ("min_support=1e999", "finite"),
        ("min_support=", "a number"),
        ("max_items=2.0", "a whole number"),
        ("max_items=1", "in [2, 5]"),
        ("max_items=1_000", "a whole number"),
        ("max_items=٣", "a whole number"),
        ("keep_redundant=False", "true or false"),
        ("keep_redundant=1", "true or false"),
        ("level=products", "did you mean 'product'"),
        ("bascets.level=brand", "did you mean 'baskets'"),
        ("feedback.abstain_below=0.1", "not in this run"),
        ("as_of=2026-01-01", "use --as-of"),
        ("baskets.shop=x", "use --shop"),
        ("out=/tmp", "use --reports"),
        ("min_support", "name=value"),
        ("=3", "name=value"),
    ],
)
def test_a_wrong_parameter_is_refused_with_the_way_out(project: Path, given: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        values(project, given)
    assert says in str(caught.value)
    assert caught.value.exit_code == 2


def test_the_command_line_wins_over_the_shop_and_the_shop_over_the_cell(project: Path) -> None:
    defaults = {"baskets": {"min_support": 0.002, "max_items": 4}}
    got = values(project, "min_support=0.5", defaults=defaults)
    assert (got["min_support"], got["max_items"], got["level"]) == (0.5, 4, "product")


def test_one_reports_value_wins_over_the_value_for_all(project: Path) -> None:
    for given in (["max_items=3", "baskets.max_items=4"], ["baskets.max_items=4", "max_items=3"]):
        assert values(project, *given)["max_items"] == 4
    with pytest.raises(UsageError, match="more than once"):
        values(project, "max_items=3", "max_items=4")


def test_a_bare_name_must_exist_in_every_report(project: Path) -> None:
    both = select(project / "notebooks")
    with pytest.raises(UsageError, match=r"feedback has no parameter 'min_support'.*-p baskets\.min_support="):
        resolve(both, ["min_support=0.1"])
    got = resolve(both, ["baskets.min_support=0.1", "feedback.abstain_below=1"])
    assert got["baskets"]["min_support"] == 0.1 and got["feedback"]["abstain_below"] == 1.0


@pytest.mark.parametrize(
    ("defaults", "says"),
    [
        ({"basket": {}}, "did you mean 'baskets'"),
        ({"baskets": {"min_suport": 0.1}}, "did you mean 'min_support'"),
        ({"baskets": {"min_support": "0.1"}}, "a number"),
        ({"baskets": {"min_support": True}}, "a number"),
        ({"baskets": {"max_items": 9}}, "in [2, 5]"),
        ({"baskets": {"keep_redundant": "false"}}, "a switch"),
        ({"baskets": {"shop": "elsewhere"}}, "no parameter 'shop'"),
    ],
)
def test_the_shops_defaults_are_checked_too(project: Path, defaults: dict[str, dict[str, object]], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        values(project, defaults=defaults)
    assert says in str(caught.value) and "shop.toml" in str(caught.value)


def test_the_shop_may_name_a_report_that_does_not_run_now(project: Path) -> None:
    known = find_reports(project / "notebooks")
    assert values(project, defaults={"feedback": {"abstain_below": 0.5}}, known=known)
    assert values(project, defaults={"baskets": {"min_support": 1}})["min_support"] == 1.0


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("level = 'x'", "write `name: type = default"),
        ("level: list = []", "write `name: type = default"),
        ("level: str", "write `name: type = default"),
        ("level: int = 'x'", "does not fit"),
        ("level: float = 2.0  # in [0, 1]", "does not fit"),
        ("level: int = open('x')", "does not fit"),
        ("level: int = 1\nlevel: int = 2", "there twice"),
    ],
)
def test_a_cell_that_breaks_the_convention_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = write_notebook(make_project(tmp_path), "08_baskets", [], parameters=line)
    with pytest.raises(UsageError) as caught:
        read_report(path)
    assert says in str(caught.value) and "08_baskets.ipynb" in str(caught.value)


def test_one_parameters_cell_with_the_three_common_names(tmp_path: Path) -> None:
    import nbformat

    path = tmp_path / "notebooks" / "08_baskets.ipynb"
    path.parent.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=[prose("# B")]), path)
    with pytest.raises(UsageError, match="exactly one cell tagged"):
        read_report(path)
    nbformat.write(nbformat.v4.new_notebook(cells=[code("shop: str = ''", tags=["parameters"])]), path)
    with pytest.raises(UsageError, match="lacks as_of, out"):
        read_report(path)
    path.write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        read_report(path)


def test_reports_come_in_the_order_of_their_numbers(project: Path) -> None:
    write_notebook(project, "00_data_health", [])
    (project / "notebooks" / "scratch.ipynb").write_text("{}")
    assert list(find_reports(project / "notebooks")) == ["data_health", "baskets", "feedback"]
    assert [report.name for report in select(project / "notebooks", ["feedback", "baskets"])] == ["baskets", "feedback"]
    with pytest.raises(UsageError, match="did you mean 'baskets'"):
        select(project / "notebooks", ["basket"])
    write_notebook(project, "09_baskets", [])
    with pytest.raises(UsageError, match="rename one"):
        find_reports(project / "notebooks")


def test_what_a_report_needs_is_a_table_or_columns_of_it() -> None:
    """Or `crm check` says of a report that runs that it cannot."""
    for notebook in find_reports(Path(__file__).parents[1] / "notebooks").values():
        report = read_report(notebook)
        for place in (place for need in report.needs for place in need.split(" or ")):
            table, *columns = place.split(".")
            assert table in TABLES and set(columns) <= set(TABLES[table].names), f"{report.name} needs {place}"
