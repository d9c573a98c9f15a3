"""The source folders have plain names, which other packages have too."""

import importlib
import tomllib
from pathlib import Path

import pytest

from tests.programs.server_process import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOMS = [
    Path(name).stem
    for name in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_imported_from_this_checkout(room: str) -> None:
    """It doesn't come from an unrelated package of that name, such as PyPI's `schema`."""
    module = importlib.import_module(room)

    assert module.__file__ is not None
    assert Path(module.__file__).is_relative_to(ROOT)
    assert ".venv" not in Path(module.__file__).parts


def test_every_package_at_the_root_is_a_room() -> None:
    """A package that the wheel leaves out would work only in a checkout."""
    beside = {"bench", "examples", "tests"}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    modules = {path.stem for path in ROOT.glob("*.py")}

    assert (packages | modules) - beside <= set(ROOMS)


def test_every_folder_of_tests_is_a_package() -> None:
    """Two test modules of one name in plain folders would be mistaken for each other."""
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}

    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
