"""Run tests marked `own_network` in a separate process and network namespace.

They create network devices, which every WebRTC client on the same network notices. The namespace
has no other client.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest

MARK: Final = "own_network"
REPORTS: Final = "OWN_NETWORK_REPORTS"
"""The variable that names the file to which the separate process writes its reports."""
_PYTEST: Final = ("-m", "pytest", "-p", "no:cacheprovider", "-m", "")
_ENTER: Final = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


def is_apart(item: pytest.Item) -> bool:
    """Whether this test must still be handed to a separate process."""
    return item.get_closest_marker(MARK) is not None and REPORTS not in os.environ and _may_enter()


def run_apart(item: pytest.Item) -> None:
    """Run the test in a separate process and report it as if it had run here."""
    # The separate process has the same time limit and reports a timeout itself.
    item.config.hook.pytest_timeout_cancel_timer(item=item)
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item):
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def write_report(config: pytest.Config, report: pytest.TestReport) -> None:
    """Write a report for the parent process, if there is one."""
    if path := os.environ.get(REPORTS):
        data = config.hook.pytest_report_to_serializable(config=config, report=report)
        with Path(path).open("a") as file:
            file.write(json.dumps(data) + "\n")


def _reports(item: pytest.Item) -> Iterator[Any]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "reports"
        done = subprocess.run(
            [
                *_ENTER,
                sys.executable,
                "-m",
                "pytest",
                "-p",
                "no:cacheprovider",
                "-m",
                "",
                item.nodeid,
            ],
            cwd=item.config.rootpath,
            env={**_own_variables(), REPORTS: str(path)},
            capture_output=True,
            text=True,
            check=False,
        )
        lines = path.read_text().splitlines() if path.exists() else []
    for line in lines:
        yield item.config.hook.pytest_report_from_serializable(
            config=item.config, data=json.loads(line)
        )
    if not lines:
        yield pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords={},
            outcome="failed",
            longrepr=f"It could not be run on a network of its own:\n{done.stdout}{done.stderr}",
            when="call",
        )


def _own_variables() -> dict[str, str]:
    """Return the environment without the variables of this pytest process."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_XDIST", "PYTEST_CURRENT_TEST"))
    }


def _may_enter() -> bool:
    try:
        return subprocess.run([*_ENTER, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False
