"""The page on robustness says what the tests say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.robustness import PAGE, Group, Row, load, named, page, rows_in


def test_the_page_is_current() -> None:
    """docs/robustness.md is what `python tools/robustness.py` writes now."""
    assert PAGE.read_text("utf-8") == page(load(), named()), "run: python tools/robustness.py"


def test_the_programme_is_whole() -> None:
    """No row is forgotten, and no test names one that does not exist."""
    rows = [row.id for group in load() for row in group.rows]
    counts = {"I": 15, "F": 52, "C": 17, "B": 48, "T": 14}
    assert rows == [f"{letter}{n:02}" for letter, count in counts.items() for n in range(1, count + 1)]
    assert named().keys() <= set(rows)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("Invariant I06, F10: one", " I06 F10"),
        ("the cases (B10-B12, B14)", " B10 B11 B12 B14"),
        ("rows B01-03", " B01 B02 B03"),
        ("UTF16, F100, f-12 and AF01", ""),
    ],
)
def test_rows_are_told_from_other_words(text: str, rows: str) -> None:
    """Single rows and ranges are found; what merely looks like one is not."""
    assert list(rows_in(text)) == rows.split()


def test_docstrings_and_names_of_cases_count_and_other_code_does_not(tmp_path: Path) -> None:
    """A row in a helper's docstring or in the middle of a text is no claim of a test."""
    (tmp_path / "test_a.py").write_text(
        '"""Of F01."""\ndef test_x():\n    """Shows F02."""\n    return ["F03 case", "not F04"]\n'
        'def helper():\n    """Helps F05."""\n'
    )
    assert {row[1:] for row in named(tmp_path)} == {"01", "02", "03"}


def test_a_row_needs_a_test_or_a_reason() -> None:
    """A row that nothing names and nobody explains makes no page."""
    with pytest.raises(ValueError, match="has neither a test nor a reason"):
        page([Group("Faults", "", (Row("X1", "throttling"),))], {})
    assert "— not yet" in page([Group("Faults", "", (Row("X1", "throttling", "not yet"),))], {})
