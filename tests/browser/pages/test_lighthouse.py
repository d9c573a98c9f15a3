"""Lighthouse's scores of the built page, in the other tests' Chromium."""

import asyncio
import json
import os
import urllib.request
from pathlib import Path

import pytest

from tests.browser.chromium import CHROMIUM
from tests.programs.server_process import ROOT, ServerProcess

pytestmark = [pytest.mark.timeout(600), pytest.mark.soak]

LIGHTHOUSE = ROOT / "tests/browser/node_modules/.bin/lighthouse"
RUNS = 3
# Other load on the machine can only add time: the best of several runs is nearest to the page's own
# cost.
FAST = 0.95
FAST_RUNS = 5


async def audit(
    url: str, folder: Path, *categories: str, cookie: str = "", device: str = "mobile"
) -> dict[str, float]:
    """Return each category's score, from 0 to 1; fail if anything moves while the page loads."""
    report = folder / "report.json"
    for _ in range(RUNS):
        status, said = await _run(url, report, categories, cookie, device)
        if "Please run Lighthouse again" not in said:  # Chromium's trace was unusable
            break
    assert status == 0, said
    found = json.loads(report.read_text())
    for name in categories:
        for part in found["categories"][name]["auditRefs"]:
            score = found["audits"][part["id"]]["score"]
            if part["weight"] and score is not None and score < 1:
                print(f"{name}: {part['id']} {score}")
    if shifted := found["audits"].get("cumulative-layout-shift"):
        assert shifted["numericValue"] == 0, found["audits"]["layout-shifts"]
    return {name: found["categories"][name]["score"] for name in categories}


async def _run(
    url: str, report: Path, categories: tuple[str, ...], cookie: str, device: str
) -> tuple[int, str]:
    """Run Lighthouse; return its exit status and output."""
    process = await asyncio.create_subprocess_exec(
        str(LIGHTHOUSE),
        url,
        "--quiet",
        *(["--preset=desktop"] if device == "desktop" else []),
        "--no-enable-error-reporting",
        "--output=json",
        f"--output-path={report}",
        f"--only-categories={','.join(categories)}",
        f"--extra-headers={json.dumps({'Cookie': cookie} if cookie else {})}",
        "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
        env={**os.environ, "CHROME_PATH": CHROMIUM},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


def enter(url: str) -> str:
    """Sign in as a guest; return the cookie."""
    request = urllib.request.Request(
        f"{url}/graphql",
        json.dumps({"query": "mutation { signInAsGuest { viewer { id } } }"}).encode(),
        {"Content-Type": "application/json", "Origin": url},
    )
    with urllib.request.urlopen(request) as answer:
        return str(answer.headers["Set-Cookie"]).partition(";")[0]


@pytest.mark.parametrize("device", ["mobile", "desktop"])
async def test_the_first_page_is_open_to_all_sound_and_fast(
    speaking: ServerProcess, tmp_path: Path, device: str
) -> None:
    """Accessibility and best practices score 1; the best of five runs is fast enough."""
    best = 0.0
    for _ in range(FAST_RUNS):
        scores = await audit(
            speaking.url,
            tmp_path,
            "performance",
            "accessibility",
            "best-practices",
            device=device,
        )
        assert scores["accessibility"] == scores["best-practices"] == 1
        best = max(best, scores["performance"])
        if best >= FAST:
            break

    print(f"{device}: performance {best * 100:.0f}")
    assert best >= FAST


async def test_the_page_of_somebody_signed_in_is_open_to_all_and_sound(
    speaking: ServerProcess, tmp_path: Path
) -> None:
    """The start page with the history beside it scores 1 in both categories."""
    scores = await audit(
        speaking.url, tmp_path, "accessibility", "best-practices", cookie=enter(speaking.url)
    )

    assert scores == {"accessibility": 1, "best-practices": 1}
