"""No committed file names a particular machine or a package registry; no folder is too full."""

import re
import subprocess
from collections import Counter
from pathlib import Path

from tests.programs.server_process import ROOT

MACHINE_PATH = re.compile(rb"(?<![\w.-])/(?:home|Users|root|work)/[\w.-]+")
INDEX_OPTION = re.compile(rb"^\s*(?:-i|--(?:extra-)?index-url|--find-links)\b", re.MULTILINE)
RESOLVED = re.compile(rb'"resolved":\s*"http')
REGISTRY = re.compile(rb"registry\s*=\s*\"?http|https?://[\w.-]*(?:pypi|pythonhosted|npmjs)[\w.]*")


SOURCES = {".py", ".ts", ".tsx", ".css"}
MOST_IN_A_FOLDER = 15
"""Beyond this, the files of a folder have little to do with each other."""


def tracked() -> list[Path]:
    # Files about to be added count too; ignored files don't.
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.splitlines() if (path := ROOT / name).is_file()]


def found(pattern: re.Pattern[bytes], *, among: str = "*") -> list[str]:
    here = Path(__file__)
    return [
        f"{path.relative_to(ROOT)}: {match[0].decode(errors='replace')}"
        for path in tracked()
        if path.match(among) and path != here
        for match in pattern.finditer(path.read_bytes())
    ]


def test_no_file_names_a_path_of_one_machine() -> None:
    """A path in a home folder works on one machine only and reveals its user."""
    assert found(MACHINE_PATH) == []


def test_no_file_names_the_host_of_a_package_registry() -> None:
    """The person who installs the packages chooses their source."""
    assert found(REGISTRY) == []
    assert found(RESOLVED, among="*.json") == []
    assert found(INDEX_OPTION, among="requirements/*") == []


def test_every_requirement_is_pinned_by_its_hash() -> None:
    """A package altered in transit is refused."""
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text().replace("\\\n", " ")
        requirements = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
        assert requirements, path
        unpinned = [
            line for line in requirements if "==" not in line or "--hash=sha256" not in line
        ]
        assert unpinned == [], path


def test_all_requirement_files_come_from_one_resolution() -> None:
    """The files are installed one after another, so each package has the same version in all."""
    versions: dict[str, set[frozenset[str]]] = {}
    for path in (ROOT / "requirements").glob("*.txt"):
        pins: dict[str, set[str]] = {}
        for name, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", path.read_text(), re.MULTILINE):
            pins.setdefault(name, set()).add(version)
        for name, pinned in pins.items():
            versions.setdefault(name, set()).add(frozenset(pinned))

    assert {name: pins for name, pins in versions.items() if len(pins) > 1} == {}


def test_every_npm_folder_keeps_addresses_out_of_its_lock_file() -> None:
    """Each has a lock file and the npm setting that keeps it free of addresses."""
    for path in tracked():
        if path.name == "package.json":
            assert (path.parent / "package-lock.json").exists(), path
            setting = "omit-lockfile-registry-resolved=true"
            assert setting in (path.parent / ".npmrc").read_text(), path


def test_no_folder_has_too_many_source_files() -> None:
    """A folder that grows beyond this is split by what changes together."""
    sources = (path for path in tracked() if path.suffix in SOURCES)
    folders = Counter(path.parent for path in sources if "migrations" not in path.parts)

    assert len(folders) > 50
    assert [folder for folder, files in folders.items() if files > MOST_IN_A_FOLDER] == []
