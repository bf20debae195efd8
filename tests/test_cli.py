from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from crmlib import cli
from crmlib.report.page.page import FINDINGS_MIME
from crmlib.report.plan import Outcome, Plan
from tests.pages_helpers import code, make_project, payload, show, write_notebook

ROOT = Path(__file__).parents[1]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = make_project(tmp_path)
    write_notebook(made, "08_baskets", [code(show(FINDINGS_MIME, payload()))], title="Baskets",
                   parameters='level: str = "product"  # one of product, brand\n'
                   'min_support: float = 0.01  # in (0, 1]\n')  # fmt: skip
    write_notebook(made, "12_feedback", [], title="Feedback")
    monkeypatch.chdir(made)
    return made


def crm(*words: str) -> Result:
    return CliRunner().invoke(cli.main, list(words), catch_exceptions=False)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would have been run."""
    seen: list[dict[str, Any]] = []

    def fake(reports: Any, *, plan: Plan, values: Any, workers: Any, say: Any, progress: Any) -> list[Outcome]:
        seen.append(
            {"reports": [report.name for report in reports], "plan": plan, "values": values, "workers": workers}
        )
        done = [
            Outcome(report=report.name, status="published", exit_code=0, path=plan.reports / "x.html")
            for report in reports
        ]
        for outcome in done:
            say(outcome)
        return done

    monkeypatch.setattr("crmlib.report.runner.supervisor.run", fake)
    return seen


def test_help_answers_at_once_and_imports_nothing_heavy() -> None:
    heavy = {"pandas", "papermill", "nbconvert", "jinja2", "duckdb"}
    code = f"import sys, crmlib.cli; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
    done = subprocess.run([sys.executable, "-m", "crmlib", "--help"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "run" in done.stdout


def test_defaults_are_the_demo_shop_all_cores_and_the_shops_own_day(project: Path, runs: list[dict[str, Any]]) -> None:
    (project / "data" / "demo").mkdir()
    (project / "data" / "demo" / "shop.toml").write_text('name = "Kettles"\nas_of = 2026-10-01\n')
    assert crm("run", "--all").exit_code == 0
    (seen,) = runs
    plan = seen["plan"]
    assert seen["reports"] == ["baskets", "feedback"] and seen["workers"] is None
    assert (plan.shop, plan.shop_name, plan.as_of.isoformat()) == ("data/demo", "Kettles", "2026-10-01")
    assert plan.reports == project / "reports" and plan.timeout == 1800 and plan.project == project


def test_what_is_typed_wins(
    project: Path, runs: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    shop = tmp_path_factory.mktemp("elsewhere")
    (shop / "shop.toml").write_text("[parameters.baskets]\nmin_support = 0.5\nlevel = 'brand'\n")
    words = [
        "--shop",
        str(shop),
        "--as-of",
        "2024-11-21",
        "-p",
        "min_support=0.001",
        "--timeout",
        "90s",
        "--workers",
        "3",
    ]
    assert crm("run", "baskets", *words, "--variant", "low", "--reports", "out").exit_code == 0
    (seen,) = runs
    plan = seen["plan"]
    assert seen["values"] == {"baskets": {"level": "brand", "min_support": 0.001}}
    assert (plan.shop, plan.as_of.isoformat(), plan.timeout, plan.variant) == (str(shop), "2024-11-21", 90, "low")
    assert plan.reports == project / "out" and seen["workers"] == 3


def test_folders_are_meant_from_the_projects_root(
    project: Path, runs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "data" / "shop")
    assert crm("run", "baskets", "--shop", "data/shop").exit_code == 0
    assert runs[0]["plan"].shop == "data/shop" and runs[0]["plan"].reports == project / "reports"


def test_without_a_day_it_is_today_where_the_shop_is(
    project: Path, runs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        (project / "data" / "shop" / "shop.toml").write_text(f'timezone = "{zone}"\n')
        before = datetime.now(UTC).astimezone(ZoneInfo(zone)).date()
        crm("run", "baskets", "--shop", "data/shop")
        assert before <= runs[-1]["plan"].as_of <= datetime.now(UTC).astimezone(ZoneInfo(zone)).date()
    assert runs[0]["plan"].as_of > runs[1]["plan"].as_of


def test_quiet_where_nobody_watches_unless_asked(project: Path, runs: list[dict[str, Any]]) -> None:
    assert crm("run", "baskets", "--shop", "data/shop").output == ""
    assert (
        "baskets           published      reports/x.html" in crm("run", "baskets", "--shop", "data/shop", "-v").output
    )


def test_a_report_without_an_answer_says_why(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(*_: Any, say: Any, **__: Any) -> list[Outcome]:
        ended = Outcome(report="baskets", status="not_available", exit_code=0, message="needs order_lines")
        say(ended)
        return [ended]

    monkeypatch.setattr("crmlib.report.runner.supervisor.run", without)
    said = crm("run", "baskets", "--shop", "data/shop", "-v").output
    assert "baskets           not available" in said and said.endswith(": needs order_lines\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run"], "name the reports to run, or say --all"),
        (["run", "baskets", "--all"], "name the reports to run, or say --all"),
        (["run", "basket"], "did you mean 'baskets'"),
        (["run", "baskets", "-p", "min_suport=1"], "did you mean 'min_support'"),
        (["run", "baskets", "-p", "min_support=2"], "in (0, 1]"),
        (["run", "--all", "-p", "min_support=1"], "-p baskets.min_support="),
        (["run", "baskets", "--as-of", "yesterday"], "a day like 2026-11-21"),
        (["run", "baskets", "--timeout", "20"], "90s, 20m or 2h"),
        (["run", "baskets", "--timeout", "0m"], "90s, 20m or 2h"),
        (["run", "baskets", "--variant", "../x"], "--variant is a short name"),
        (["run", "baskets", "--shop", "data/none"], "there is no shop folder data/none"),
        (["run", "baskets", "--shop", "data/demo"], "`crm demo` makes the demo shop"),
        (["params", "basket"], "did you mean 'baskets'"),
        (["run", "baskets", "--workers", "0"], "--workers"),
        (["run", "baskets", "--wrokers", "1"], "No such option"),
        (["runn"], "No such command"),
    ],
)
def test_a_wrong_word_is_exit_2_and_one_clear_line(
    project: Path, runs: list[dict[str, Any]], words: list[str], says: str
) -> None:
    shop = [] if "--shop" in words or words[0] != "run" else ["--shop", "data/shop"]
    done = crm(*words, *shop)
    assert done.exit_code == 2 and says in done.output
    assert "Traceback" not in done.output and runs == []
    assert not (project / "reports").exists()


def test_a_settings_file_that_cannot_be_read_is_exit_3(project: Path, runs: list[dict[str, Any]]) -> None:
    (project / "data" / "shop" / "shop.toml").write_text("name = ")
    done = crm("run", "baskets", "--shop", "data/shop")
    assert done.exit_code == 3 and done.output.startswith("crm: ") and runs == []


def test_failures_are_said_on_stderr_even_when_quiet(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome(report="baskets", status="failed", exit_code=1, message="ValueError in cell 3: no")

    def fake(*args: Any, say: Any, **more: Any) -> list[Outcome]:
        say(outcome)
        return [outcome]

    monkeypatch.setattr("crmlib.report.runner.supervisor.run", fake)
    done = crm("run", "baskets", "--shop", "data/shop")
    assert done.exit_code == 1 and done.stdout == ""
    assert done.stderr == "crm: baskets failed: ValueError in cell 3: no\n"


def test_list_and_params(project: Path) -> None:
    assert crm("list").output == "baskets   Baskets\nfeedback  Feedback\n"
    shown = crm("params", "baskets").output
    assert "min_support" in shown and "in (0, 1]" in shown and "one of product, brand" in shown and "shop" not in shown
    assert "has no parameters of its own" in crm("params", "feedback").output


def test_check_is_a_guide_to_what_is_there_what_is_missing_and_what_to_do(project: Path) -> None:
    shop = project / "data" / "shop"
    for name, needed in (("08_baskets", ["order_lines"]), ("12_feedback", ["feedback or orders.total"])):
        path = project / "notebooks" / f"{name}.ipynb"
        notebook = json.loads(path.read_text())
        path.write_text(json.dumps(notebook | {"metadata": {"crm": {"needs": needed}}}))
    rows = '1,2026-11-01,10,a\n2,2026-11-02,0,b\n3,never,10,"\x1b[31mred"\n'
    (shop / "orders.csv").write_text(f"order_id,Placed,total,\x1b[31mNote\n{rows}")
    (shop / "shop.toml").write_text('[columns.orders]\nordered_at = "Placed"\n')
    for number in range(27):
        (shop / f"export_{number:02}.csv").write_text("a\n1\n")
    done = crm("check", "--shop", "data/shop")
    said = " ".join(done.output.split())
    assert done.exit_code == 0 and "\x1b" not in done.output
    for line in (
        "table read used not used later",
        'orders.csv read: order_id, ordered_at = "Placed", total missing: customer_id, status',
        "In shop.toml, below [columns.orders]: customer_id =",
        "orders: 1 row not used: the date can't be read",
        "orders: 1 row used: an order whose total is zero (zero_total)",
        "export_18.csv, export_19.csv and 7 more. Files are read that are named after a table",
        "baskets needs order_lines feedback can run",
        "1 of 2 reports can run. Next: crm run --all --shop data/shop -v",
    ):
        assert line in said, line


def test_check_ends_with_3_where_nothing_can_be_used(project: Path) -> None:
    orders = project / "data" / "shop" / "orders.csv"
    orders.write_text("order_id,ordered_at,total\n")
    done = crm("check", "--shop", "data/shop")
    assert done.exit_code == 3 and "Nothing can be used: no row of any table." in done.output
    orders.write_text("id,at\n1,2026-11-01\n")
    done = crm("check", "--shop", "data/shop")
    assert done.exit_code == 3 and done.output.startswith("crm: orders.csv has no column 'order_id'")


def test_demo_makes_a_shop_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crmlib.shop.samples import demo

    made: list[Any] = []

    def make(folder: Path, *, seed: int, customers: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "orders.csv").write_text("x")
        made.append((folder, seed, customers))

    monkeypatch.setattr(demo, "make", make)
    assert crm("demo", "--customers", "200").output == "made data/demo\n"
    assert "already there" in crm("demo").output
    assert crm("demo", "--force", "--to", "data/other").exit_code == 0
    assert [(folder.name, customers) for folder, _, customers in made] == [("demo", 200), ("other", 5000)]


def test_the_whole_way_from_the_command_line(project: Path) -> None:
    command = [sys.executable, "-m", "crmlib", "run", "baskets", "--shop", "data/shop", "--as-of", "2024-11-22"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=project / "data", env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (project / "reports" / "2024-11-22" / "baskets" / "report.html").is_file()
    assert (project / "reports" / "index.html").is_file() and (
        project / "reports" / "latest" / "baskets.html"
    ).is_file()


def hook(project: Path) -> str:
    """A command that writes down what it was told."""
    script = project / "hook.py"
    script.write_text(
        "import json, os\nwith open('told.jsonl', 'a') as file:\n"
        "    ours = {k: v for k, v in os.environ.items() if k[:4] == 'CRM_' and k not in ('CRM_STRICT', 'CRM_KEY')}\n"
        "    file.write(json.dumps(ours) + '\\n')"
    )
    return f"{sys.executable} hook.py"


def told(project: Path) -> list[dict[str, str]]:
    file = project / "told.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def ending(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Baskets is published, feedback is up to date, and a third fails with words that a shell would run."""
    folder = project / "reports" / "2024-11-22" / "baskets"
    folder.mkdir(parents=True)
    (folder / "summary.txt").write_text("Ten baskets.\n")
    outcomes = [
        Outcome(report="baskets", status="warnings", exit_code=0, path=folder / "report.html"),
        Outcome(report="feedback", status="up_to_date", exit_code=0, path=folder / "report.html"),
        Outcome(
            report="other", status="failed", exit_code=124, message="$(touch owned); `touch owned`\n'; touch owned #\0"
        ),
    ]

    def fake(*args: Any, say: Any, **more: Any) -> list[Outcome]:
        for outcome in outcomes:
            say(outcome)
        return outcomes

    monkeypatch.setattr("crmlib.report.runner.supervisor.run", fake)
    return project


def test_commands_are_told_in_their_environment_once_a_report(ending: Path) -> None:
    command = hook(ending)
    words = ["run", "--all", "--shop", "data/shop", "--as-of", "2024-11-22"]
    done = crm(*words, "--on-success", command, "--on-failure", f'{command} "$CRM_MESSAGE"')
    assert done.exit_code == 124
    success, failure = told(ending)
    folder = ending / "reports" / "2024-11-22" / "baskets"
    assert success == {
        "CRM_REPORT": "baskets", "CRM_STATUS": "warnings", "CRM_EXIT": "0", "CRM_MESSAGE": "",
        "CRM_AS_OF": "2024-11-22",
        "CRM_PAGE": str(folder / "report.html"), "CRM_SUMMARY": str(folder / "summary.txt"), "CRM_FOLDER": str(folder),
        "CRM_INDEX": str(ending / "reports" / "index.html"), "CRM_SHOP": "shop",
    }  # fmt: skip
    assert (failure["CRM_REPORT"], failure["CRM_EXIT"], failure["CRM_PAGE"]) == ("other", "124", "")
    assert failure["CRM_MESSAGE"].startswith("$(touch owned)") and not (ending / "owned").exists()


def test_a_command_that_fails_or_hangs_is_said_and_changes_nothing(ending: Path) -> None:
    from crmlib.report import hooks

    words = ["run", "--all", "--shop", "data/shop"]
    done = crm(*words, "--on-success", "exit 3")
    assert done.exit_code == 124 and "crm: --on-success for baskets ended with exit code 3\n" in done.stderr
    plan = Plan(project=ending, reports=ending / "reports", shop="data/shop", shop_name="x", as_of=date(2026, 11, 22))
    outcome = Outcome(report="baskets", status="published", exit_code=0)
    said = hooks.call("sleep 60 & sleep 60", [outcome], plan, longest=0.3)
    assert said == ["for baskets took longer than 0 seconds and was stopped"]


def test_a_run_that_never_began_is_a_failure_too(project: Path) -> None:
    command = hook(project)
    (project / "reports").mkdir()
    (project / "reports" / "index.json").write_text('{"shop": {"name": "Other", "folder": "data/other"}, "runs": []}')
    done = crm("run", "baskets", "--shop", "data/shop", "--on-failure", command)
    assert done.exit_code == 2 and "--reports" in done.output
    (failure,) = told(project)
    assert (failure["CRM_REPORT"], failure["CRM_EXIT"]) == ("", "2") and "Other" in failure["CRM_MESSAGE"]


def test_a_dry_run_says_what_would_run_and_why_and_writes_nothing(project: Path, runs: list[dict[str, Any]]) -> None:
    done = crm(
        "run", "--all", "--shop", "data/shop", "--as-of", "2024-11-22", "--dry-run", "--on-success", hook(project)
    )
    assert done.exit_code == 0 and runs == [] and told(project) == []
    assert done.output.splitlines() == [
        "2024-11-22  baskets   would run  no run of this day yet",
        "2024-11-22  feedback  would run  no run of this day yet",
    ]
    assert not (project / "reports").exists()


def test_limits_and_force_reach_the_plan(project: Path, runs: list[dict[str, Any]]) -> None:
    crm("run", "baskets", "--shop", "data/shop", "--timeout", "1d", "--cell-timeout", "90s", "--force")
    crm("run", "baskets", "--shop", "data/shop")
    first, second = (seen["plan"] for seen in runs)
    assert (first.timeout, first.cell_timeout, first.force) == (86400, 90, True)
    assert (second.cell_timeout, second.force) == (0, False)
    assert (
        "--cell-timeout wants a time" in crm("run", "baskets", "--shop", "data/shop", "--cell-timeout", "soon").output
    )


def test_init_makes_a_workbook_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    odd = tmp_path / "50% of shops"
    assert crm("init", str(odd)).exit_code == 0
    assert f"cd '{tmp_path}/50\\% of shops' && " in (odd / "crontab.txt").read_text()
    done = crm("init", "mine")
    assert done.exit_code == 0 and "wrote mine/data/myshop/shop.toml" in done.output
    assert crm("init", "mine").exit_code == 2
    monkeypatch.chdir(tmp_path / "mine")
    shipped = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {path.name for path in Path("notebooks").iterdir()} == shipped
    assert f"cd {tmp_path / 'mine'} && " in Path("crontab.txt").read_text()
    # It is a project of its own, whose shop is there to be filled in.
    assert "baskets" in crm("list").output
    Path("data/myshop/orders.csv").write_text("order_id,ordered_at,total\n1,2026-11-01,10\n")
    assert re.search(r"^ *data_health +can run", crm("check", "--shop", "data/myshop").output, re.M)


def test_the_wheel_ships_the_notebooks_and_containers_run_as_nobody_special() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    built = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    # What builds and installs is pinned as what is installed is.
    assert re.fullmatch(r"hatchling==[\d.]+", project["build-system"]["requires"][0])
    assert re.search(r"^UV := uv==[\d.]+$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert built["force-include"] == {"notebooks": "crmlib/notebooks"}
    lines = (ROOT / "Containerfile").read_text().splitlines()
    readme = (ROOT / "README.md").read_text()
    assert [line[4:] in readme for line in lines if line.startswith("#   podman")] == [True, True]
    # Neither shops, pages nor the key get into an image.
    ignored = (ROOT / ".containerignore").read_text().splitlines()
    assert {"data/*", "reports/*", ".git", "!data/README.md", "!reports/README.md"} <= set(ignored)
    assert lines.index("USER crm") < lines.index('CMD ["make", "reports"]')
    lab = subprocess.run(["make", "-n", "lab"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert ("jupyter lab --allow-root" in lab) == (os.getuid() == 0) and "jupyter lab notebooks" not in lab
