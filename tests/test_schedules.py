"""The examples of schedules in reports/README.md, each tried as far as it can be without its scheduler."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from crmlib.cli import main
from crmlib.report.parameters import read_report
from tests.conftest import ROOT

TEXT = (ROOT / "reports" / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert found
    return found


def commands() -> list[str]:
    """Every crm command of every example, as one would type it."""
    text = "\n".join(blocks("cron") + blocks("ini") + blocks("yaml") + blocks("sh") + blocks("python"))
    text = text.replace("{DAY}", "2026-11-22").replace('",', "")
    return [found.split("#")[0].split("&&")[0].strip() for found in re.findall(r"\bcrm ([a-z]+ [^\n]*)", text)]


@pytest.mark.parametrize("line", commands())
def test_every_command_exists_with_its_options(line: str) -> None:
    """Click itself reads them; nothing is run."""
    name, *words = shlex.split(line)
    command = main.commands[name]
    context = command.make_context(name, list(words), resilient_parsing=False)
    assert isinstance(context, click.Context)


def test_all_examples_were_found() -> None:
    assert len(commands()) >= 12 and {line.split()[0] for line in commands()} == {
        "run", "status", "verify", "prune", "backfill", "diff", "open", "export", "outcome", "subject", "erase",
    }  # fmt: skip


def test_cron_lines_have_five_fields_within_their_ranges() -> None:
    lines = [line for block in blocks("cron") for line in block.splitlines() if line[0].isdigit()]
    assert len(lines) == 3
    for line in lines:
        fields = line.split(maxsplit=5)
        for field, top in zip(fields[:5], (59, 23, 31, 12, 7), strict=True):
            assert field == "*" or 0 <= int(field) <= top
        # An unescaped percent sign would end the command.
        assert "%" not in fields[5]


def test_systemd_reads_its_units(tmp_path: Path) -> None:
    """By its sections and keys everywhere, by systemd itself where it is installed."""
    home = tmp_path / "home"
    program = home / "crm-workbook" / ".venv" / "bin" / "crm"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    names = []
    for block in blocks("ini"):
        name = block.splitlines()[0].removeprefix("# ")
        (tmp_path / name).write_text(block.replace("%h", str(home)))
        names.append(str(tmp_path / name))
    assert [Path(name).name for name in names] == ["crm.service", "crm.timer"]
    units = [configparser.ConfigParser(interpolation=None) for _ in names]
    for unit, name in zip(units, names, strict=True):
        unit.read(name)
    service, timer = units
    assert service["Service"]["Type"] == "oneshot" and service["Service"]["ExecStart"].startswith(f"{program} run ")
    assert timer["Install"]["WantedBy"] == "timers.target"
    if not shutil.which("systemd-analyze"):
        return
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if "crm." in line]
    assert done.returncode == 0 and complaints == [], done.stderr
    (calendar,) = re.findall(r"OnCalendar=(.*)", blocks("ini")[1])
    assert subprocess.run(["systemd-analyze", "calendar", calendar], capture_output=True, check=False).returncode == 0


def test_the_workflow_is_one() -> None:
    (text,) = blocks("yaml")
    workflow = yaml.safe_load(text)
    # YAML 1.1 reads the key on as true.
    assert workflow[True]["schedule"] == [{"cron": "0 5 * * *"}]
    (job,) = workflow["jobs"].values()
    assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    assert "!reports/myshop/**/lists" in job["steps"][-1]["with"]["path"].splitlines()
    targets = re.findall(r"^\$\((\w+)\):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert "READY" in targets and "run: make .venv/.installed" in text


def test_the_dag_says_what_the_notebooks_and_the_command_line_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """Executed with a stand-in for Airflow, whose operators take the arguments these do and no others."""
    made: list[Any] = []

    class Operator:
        def __init__(self, **given: Any) -> None:
            assert set(given) <= self.takes
            self.given = given
            made.append(self)

        takes: set[str] = set()

        def __rshift__(self, other: Any) -> Any:
            return other

    class Bash(Operator):
        takes = {"task_id", "bash_command", "cwd", "skip_on_exit_code", "execution_timeout"}

    class Papermill(Operator):
        takes = {"task_id", "input_nb", "output_nb", "parameters"}

    class Dag:
        def __init__(self, **given: Any) -> None:
            assert {"dag_id", "schedule", "start_date"} <= set(given)

        def __enter__(self) -> Dag:
            return self

        def __exit__(self, *error: object) -> None:
            pass

    for path, names in {
        "airflow": {"DAG": Dag},
        "airflow.providers.papermill.operators.papermill": {"PapermillOperator": Papermill},
        "airflow.providers.standard.operators.bash": {"BashOperator": Bash},
    }.items():
        parts = path.split(".")
        for depth in range(1, len(parts) + 1):
            module = ".".join(parts[:depth])
            if module not in sys.modules:
                monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
        vars(sys.modules[path]).update(names)
    (text,) = blocks("python")
    exec(compile(text, "dag.py", "exec"), {})
    reports, notebook = made
    assert "--as-of {{ data_interval_end | ds }}" in reports.given["bash_command"]
    found = ROOT / "notebooks" / Path(notebook.given["input_nb"]).name
    assert set(notebook.given["parameters"]) <= {parameter.name for parameter in read_report(found).parameters}
