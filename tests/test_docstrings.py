"""A docstring begins with the noun or the verb that says the thing."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
QUESTIONS = {"How", "What", "Where", "Whether", "Which", "Who"}
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def first_words():
    """Place and first word of every docstring of the library and its tools."""
    for folder in ("mmfusion", "tools", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                text = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
                if text:
                    yield f"{path.relative_to(ROOT)}:{node.body[0].lineno}", text


def test_no_docstring_begins_like_a_question():
    texts = dict(first_words())
    assert len(texts) > 1500
    assert [at for at, text in texts.items() if text.split()[0] in QUESTIONS] == []
