"""Run every test, and once more, alone, the few that failed.

Most tests wait for somebody who talks, so several run beside each other; those that measure time or
make network devices come after them. What a second try is worth, and what it is not, is said in
docs/decisions/0013-a-failure-is-tried-once-more.md.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

MOST: Final = 3
"""Failures that are tried again: more than that is no accident."""
FAILED: Final = Path(".pytest_cache/v/cache/lastfailed")
BESIDE_EACH_OTHER: Final = ("-n", "logical", "--maxprocesses", "4", "--dist", "loadfile")
PASSES: Final = (
    ("--cache-clear", *BESIDE_EACH_OTHER, "-m", "not soak and not alone"),
    ("-m", "alone and not soak"),
)
DRAWN: Final = tuple(f"tests/faults/test_{name}.py::" for name in ("crash", "power_cut", "resume"))
"""They look for a lost word with chances that they draw anew: what one found is not drawn away."""
AGAIN: Final = ("--last-failed", "--last-failed-no-failures", "none", "-m", "not soak")
TESTS_FAILED: Final = 1
"""Pytest's exit status for it; a higher one says that tests could not be run."""


def run(*arguments: str) -> int:
    """Run the tests of the current folder and return pytest's exit status.

    One that a signal has ended has the status that a shell gives it: 128 and the signal's number.
    """
    command = [sys.executable, "-m", "pytest", *arguments]
    status = subprocess.run(command, check=False).returncode  # noqa: S603 - the arguments above
    return status if status >= 0 else 128 - status


def failed() -> list[str]:
    """Return the tests that failed when they ran last."""
    return sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []


def is_worth_another(status: int, tests: list[str]) -> bool:
    """Whether these failures may be accidents."""
    is_drawn = any(test.startswith(DRAWN) for test in tests)
    return status == TESTS_FAILED and 0 < len(tests) <= MOST and not is_drawn


def say(title: str, tests: list[str]) -> None:
    """Print what nobody should overlook."""
    rule = "#" * 88
    print("", rule, f"#  {title}", *(f"#    {test}" for test in tests), rule, sep="\n", flush=True)


def main() -> int:
    """Return 0 when every test has passed, at its second try at the latest."""
    worst = max([run(*arguments) for arguments in PASSES])
    first = failed()
    if not is_worth_another(worst, first):
        return worst
    say("FAILED, and tried once more, alone. What is said of it above counts as a fault:", first)
    again = run(*AGAIN)
    if again == 0:
        say("UNSTEADY: failed at first, passed alone. Find the fault before it comes back:", first)
    return again


if __name__ == "__main__":
    sys.exit(main())
