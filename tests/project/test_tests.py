"""The tests read as documentation, which is a rule for them too."""

import ast

from tests.server_process import ROOT


def test_every_test_says_in_a_sentence_what_it_shows() -> None:
    """A test without a docstring is named here; that it is a sentence, the linter asserts."""
    wordless = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_") and not ast.get_docstring(node):
                wordless.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")

    assert wordless == []
