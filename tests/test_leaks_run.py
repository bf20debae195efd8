"""Runs with real kernels, in a folder with braces in its name: a cell prints secrets, an error quotes a row."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmlib.findings import FINDINGS_MIME
from crmlib.report.parameters import resolve, select
from crmlib.report.plan import Outcome
from crmlib.report.runner.finish import WHOLE
from crmlib.report.runner.supervisor import run
from tests.conftest import ROOT
from tests.pages_helpers import code, make_plan, make_project, payload, show, write_notebook

AWS = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
DONE = code(show(FINDINGS_MIME, payload()))
ROW = "Zqkim Zqlee, 1971-03-07, 12 rue de la Paix, DE89 3704 0044 0532 0130 00"
# Written so that only what the error says has the row, not the cell.
RAISES = "row = bytes.fromhex('{}').decode()\ndef judge():\n    raise {}(f'cannot be judged: {{row}}')\njudge()"
KINDS = {
    "01_prints": [
        code("import os, resource\nprint(dict(os.environ))\nprint(os.environ['CRM_KEY'])"),
        code(
            "from pathlib import Path\nPath(out, 'tables').mkdir()\n"
            "value = os.environ['AWS_SECRET_ACCESS_KEY']\n"
            "Path(out, 'tables', 'own.csv').write_text(f'a,b\\nanna@leak.example,{value}\\n')"
        ),
        code("print('core', resource.getrlimit(resource.RLIMIT_CORE))"),
        code(
            "from matplotlib import pyplot\nfigure, axes = pyplot.subplots(figsize=(1, 1))\n"
            "axes.set_title('to anna' + '@leak.example')\npyplot.show()"
        ),
        code("print('drawn', 'leak' in axes.get_title(), axes.get_title())"),
        DONE,
    ],
    "02_quotes": [code(RAISES.format(ROW.encode().hex(), "ValueError")), DONE],
    # An error of another library that is called as one of ours.
    "03_namesake": [code("class DataError(Exception): ...\n" + RAISES.format(ROW.encode().hex(), "DataError")), DONE],
    "04_ours": [code("from crmlib.errors import DataError\nraise DataError('two currencies: EUR, USD')"), DONE],
}

LABEL = f"prints.label=for anna@leak.example, {AWS}"

Site = tuple[Path, dict[str, Outcome]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    project = make_project(tmp_path_factory.mktemp("leaks") / "our {shop} {0} {{}}")
    for name, cells in KINDS.items():
        write_notebook(project, name, cells, parameters='label: str = "x"  # a text\n' if name == "01_prints" else "")
    reports = select(project / "notebooks")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CRM_KEY", raising=False)
        patch.setenv("AWS_SECRET_ACCESS_KEY", AWS)
        patch.setenv("DATABASE", "postgresql://shop:s3cr-et-pw@db.example/shop")
        outcomes = run(reports, plan=make_plan(project), values=resolve(reports, [LABEL]), workers=2)
    yield project / "reports", {outcome.report: outcome for outcome in outcomes}


def texts(reports: Path) -> dict[str, str]:
    kept = {".key", WHOLE}
    found = [path for path in sorted(reports.rglob("*")) if path.is_file() and path.name not in kept]
    return {str(path.relative_to(reports)): path.read_text(encoding="utf-8") for path in found}


def test_a_folder_with_braces_in_its_name_runs(site: Site) -> None:
    _, outcomes = site
    assert outcomes["prints"].status == "published", outcomes["prints"].message


def test_no_secret_is_in_anything_that_was_left(site: Site) -> None:
    reports, outcomes = site
    key = (reports / ".key").read_text().strip()
    told = texts(reports) | {name: outcome.message for name, outcome in outcomes.items()}
    assert len(told) > 15 and "[secret]" in told["2026-11-22/prints/executed.ipynb"]
    assert told["2026-11-22/prints/tables/own.csv"] == "a,b\n[e-mail],[secret]\n"
    assert not {name: hit for name, text in told.items() for hit in (key, AWS, "s3cr-et-pw") if hit in text}


def test_a_parameter_that_names_somebody_or_holds_a_secret_is_kept_masked(site: Site) -> None:
    reports, _ = site
    told = texts(reports)
    assert json.loads(told["2026-11-22/prints/manifest.json"])["parameters"] == {"label": "for [e-mail], [secret]"}
    assert not [name for name, text in told.items() if "for anna@leak.example" in text]
    assert "-p &#39;label=for [e-mail], [secret]&#39;" in told["2026-11-22/prints/report.html"]


def test_a_figure_that_a_cell_shows_names_no_contact(site: Site) -> None:
    reports, _ = site
    notebook = texts(reports)["2026-11-22/prints/executed.ipynb"]
    assert "drawn False to [e-mail]" in notebook and "image/png" in notebook


@pytest.mark.parametrize("name", ["quotes", "namesake"])
def test_an_error_that_quotes_a_row_is_told_by_type_cell_and_line(site: Site, name: str) -> None:
    reports, outcomes = site
    told = texts(reports) | {name: outcome.message for name, outcome in outcomes.items()}
    assert not {n: hit for n, text in told.items() for hit in re.findall("Zqkim|Zqlee|1971-03-07|3704 0044", text)}
    kind = {"quotes": "ValueError", "namesake": "DataError"}[name]
    assert re.match(
        rf"{kind} in cell 3, line [345]; the whole error is in reports/failed/\S+/{WHOLE}", outcomes[name].message
    )
    page = outcomes[name].path
    assert page is not None
    whole = page.parent / WHOLE
    assert "Zqkim Zqlee, 1971-03-07" in whole.read_text() and stat.S_IMODE(whole.stat().st_mode) == 0o600


def test_an_error_of_ours_says_its_own_words(site: Site) -> None:
    _, outcomes = site
    assert (outcomes["ours"].exit_code, outcomes["ours"].message) == (3, "two currencies: EUR, USD")


def test_kernels_leave_no_picture_of_their_memory(site: Site) -> None:
    reports, _ = site
    assert "core (0, 0)" in texts(reports)["2026-11-22/prints/executed.ipynb"]


def test_runs_under_way_are_for_their_owner_alone(site: Site) -> None:
    reports, _ = site
    assert stat.S_IMODE((reports / ".staging").stat().st_mode) == 0o700
    assert stat.S_IMODE((reports / "2026-11-22" / "prints").stat().st_mode) & 0o055 == 0o755 & ~_umask() & 0o055


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_is_zipped_or_served_by_the_readme_is_for_everybody(site: Site, tmp_path: Path) -> None:
    reports, _ = site
    readme = (ROOT / "reports" / "README.md").read_text(encoding="utf-8")
    (rule,) = re.findall(r"^location ~ (.+) \{ return 404; \}$", readme, re.MULTILINE)
    (line,) = re.findall(r"^tar .+$", readme, re.MULTILINE)
    lists = reports / "2026-11-22" / "prints" / "lists"
    lists.mkdir()
    (lists / "late.csv").write_text("customer_id\n1\n")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "myshop").symlink_to(reports)
    subprocess.run(["/bin/sh", "-c", line.replace("tar ", "tar -h ", 1)], cwd=tmp_path, check=True)
    with tarfile.open(tmp_path / "pages.tar.gz") as tar:
        packed = {name.removeprefix("reports/myshop") for name in tar.getnames()}
    everything = {"/" + path.relative_to(reports).as_posix() for path in reports.rglob("*")}
    private = {name for name in everything if stat.S_IMODE((reports / name[1:]).stat().st_mode) & 0o077 == 0}
    assert {Path(name).name for name in private} >= {".key", "executed.ipynb", WHOLE, ".staging"}
    for public in (packed, {name for name in everything if not re.search(rule, name)}):
        assert "/2026-11-22/prints/report.html" in public and not public & (private | {"/.key"})
        assert not [name for name in public if "lists" in name or "executed" in name]
