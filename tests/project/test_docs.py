"""The documentation covers everything people rely on, and only what exists."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

import settings
from cli import app
from resolvers.refusals import Refusal
from tests.programs.server_process import ROOT

ROW = re.compile(r"^\| `([A-Z_]+)` \| (.*?) \| (.*) \|$", re.MULTILINE)
COMMAND = re.compile(r"^## `voxql ([a-z -]+)`$", re.MULTILINE)


def test_every_setting_is_documented_with_its_default_and_meaning() -> None:
    """docs/settings.md and the settings agree word for word and in order."""
    names = settings.variable_names()
    expected = [
        (names[name], _shown(field.default), field.description)
        for name, field in settings.Settings.model_fields.items()
    ]

    rows = ROW.findall((ROOT / "docs" / "settings.md").read_text())

    assert [row for row in rows if row[0] not in settings.OTHER_NAMES] == expected
    assert {row[0] for row in rows} >= settings.OTHER_NAMES


def test_every_command_is_documented_with_its_options() -> None:
    """docs/commands.md has a chapter for each command that lists the command's options."""
    text = (ROOT / "docs" / "commands.md").read_text()
    chapters = dict(zip(COMMAND.findall(text), COMMAND.split(text)[2::2], strict=True))
    commands = dict(_commands(typer.main.get_command(app)))

    assert list(chapters) == list(commands)
    for name, options in commands.items():
        assert re.findall(r"^- `(--[a-z-]+)`", chapters[name], re.MULTILINE) == options


def test_links_between_the_documents_lead_somewhere() -> None:
    """Every relative link in a Markdown file names a file of this checkout."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]

    assert broken == []


@pytest.mark.parametrize("folder", ["docs", "docs/decisions"])
def test_every_page_is_in_the_contents_of_its_folder(folder: str) -> None:
    """A folder's README.md links to each page next to it."""
    contents = (ROOT / folder / "README.md").read_text()
    pages = {page.name for page in (ROOT / folder).glob("*.md")} - {"README.md"}

    assert [page for page in sorted(pages) if f"({page})" not in contents] == []


def _shown(default: Any) -> str:
    if default in (None, ""):
        return ""
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def _commands(command: Any, *above: str) -> Iterator[tuple[str, list[str]]]:
    """Walk the commands in the order of `--help`, each with its visible options."""
    for name, child in getattr(command, "commands", {}).items():
        if hasattr(child, "commands"):
            yield from _commands(child, *above, name)
        else:
            options = [o for p in child.params if not getattr(p, "hidden", False) for o in p.opts]
            yield " ".join([*above, name]), [o for o in options if o.startswith("--")]


def test_every_error_code_is_documented() -> None:
    """docs/api.md has a row for each code that a client may get, and for no other."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| \d+ \|", (ROOT / "docs" / "api.md").read_text(), re.M)
    codes = {refusal.code for refusal in Refusal.__subclasses__()} | {"INTERNAL"}

    assert len(rows) == len(set(rows))
    assert set(rows) == codes


def test_every_subscription_and_stream_end_is_documented() -> None:
    """docs/api.md names each subscription of the schema and each end reason."""
    sdl = (ROOT / "schema" / "schema.graphql").read_text()
    page = (ROOT / "docs" / "api.md").read_text()
    fields = sdl[sdl.index("type Subscription") :].partition("\n}")[0]
    subscriptions = re.findall(r"^  (\w+)\(", fields, re.M)
    reasons = re.findall(
        r"^  ([A-Z_]+)$", sdl[sdl.index("enum StreamEndReason") :].partition("}")[0], re.M
    )

    assert sorted(subscriptions) == ["sessionUpdates", "transcripts"]
    assert len(reasons) == 5
    assert [name for name in [*subscriptions, *reasons] if f"`{name}`" not in page] == []


def test_every_file_that_the_architecture_names_is_there() -> None:
    """Names may have a path or, if that was given just before, only a file name."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`([\w./-]+\.(?:py|tsx?|graphql|toml))`", text))
    rooms = (ROOT / room for room in ("agent_bridge", "hub", "models", "resolvers", "schema"))
    names = {path.name for room in rooms for path in room.rglob("*.py")}

    assert len(named) > 40
    assert [name for name in named if not (ROOT / name).is_file() and name not in names] == []
