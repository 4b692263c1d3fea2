"""The table of mutants fits the source, so that `make mutants` breaks what it says it breaks."""

from __future__ import annotations

import ast

import pytest

from tools.mutants import ROOT, Mutant, load

MUTANTS = load()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_mutant_fits(mutant: Mutant) -> None:
    """The text to change stands in its file once, what comes of it is Python, and the tests named are there."""
    ast.parse(mutant.applied((ROOT / mutant.file).read_text("utf-8")))
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert f"def {name}" in (ROOT / path).read_text("utf-8")


def test_names_are_unique() -> None:
    """A mutant is told by its name."""
    assert len({m.name for m in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("text", ["", "b a a"])
def test_a_mutant_that_does_not_fit_is_refused(text: str) -> None:
    """What is not there, or there twice, is not changed in some other way."""
    with pytest.raises(ValueError, match=r"times in x\.py"):
        Mutant("m", "x.py", "a", "c", ()).applied(text)
