"""Rules for the tests themselves, which also serve as documentation."""

import ast
import re

from tests.programs.server_process import ROOT


def test_every_test_says_in_a_sentence_what_it_shows() -> None:
    """Every test has a docstring; the linter checks that it is a sentence."""
    wordless = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_") and not ast.get_docstring(node):
                wordless.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")

    assert wordless == []


def test_what_a_browser_waits_for_is_a_function() -> None:
    """Playwright evaluates other text again at each poll, which the CSP allows only once.

    So such a wait fails unless its condition holds at once. A promise isn't awaited either: it
    counts as true.
    """
    wrong = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("wait_for_function"):
                text = ast.unparse(node.args[0])
                if not re.match(r"""f?['"]+\s*\(?[\w\s,\[\]{}]*\)?\s*=>""", text):
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {text}")

    assert wrong == []
