"""The commands a run calls when a report has ended: --on-success and --on-failure.

What happened is told in the environment and nowhere else. Nothing of it is put into the command, so no word from the
data, a page or an error can become part of one.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence

from crmlib.report.plan import Outcome, Plan

LONGEST = 300.0  # seconds a command may take


def call(command: str, outcomes: Sequence[Outcome], plan: Plan, *, longest: float = LONGEST) -> list[str]:
    """Run the command once for each outcome, one after the other; what went wrong with it, a line each."""
    return [fault for outcome in outcomes if (fault := _call(command, outcome, plan, longest))]


def variables(outcome: Outcome, plan: Plan) -> dict[str, str]:
    """What a command is told. Paths are absolute; one that does not exist is empty."""
    folder = outcome.path.parent if outcome.path else None
    summary = folder / "summary.txt" if folder else None
    return {
        "CRM_REPORT": outcome.report,
        "CRM_STATUS": outcome.status,
        "CRM_EXIT": str(outcome.exit_code),
        "CRM_MESSAGE": outcome.message.replace("\0", ""),
        "CRM_PAGE": str(outcome.path or ""),
        "CRM_SUMMARY": str(summary) if summary and summary.is_file() else "",
        "CRM_FOLDER": str(folder or ""),
        "CRM_INDEX": str(plan.reports / "index.html"),
        "CRM_AS_OF": plan.as_of.isoformat(),
        "CRM_SHOP": plan.shop_name,
    }


def _call(command: str, outcome: Outcome, plan: Plan, longest: float) -> str:
    # The command is the caller's own line, so a shell reads it; its own session, so that its time can end it all.
    process = subprocess.Popen(
        command,
        shell=True,
        cwd=plan.project,
        env=os.environ | variables(outcome, plan),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = process.wait(timeout=longest)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            return f"for {outcome.report} took longer than {longest:.0f} seconds and was stopped"
        raise
    return f"for {outcome.report} ended with exit code {code}" if code else ""
