"""The measurements' pure half: medians, multiples, growth and the table."""

from __future__ import annotations

import pytest

from bench.report import BEGIN, END, Run, Skipped, growth, ratios, table, typical, with_figures

FLOOR = Run("floor", 200, 3000, 4.0, 3.0, 150.0)
MINE = Run("mine", 200, 3090, 4.4, 3.3, 225.0)


def test_the_typical_run_is_the_median_with_the_worst_memory() -> None:
    """One slow run among three does not count, but a peak of memory does."""
    runs = [Run("mine", 10, 100, wall, cpu, peak) for wall, cpu, peak in ((1, 3, 90), (9, 1, 95), (2, 2, 80))]
    assert typical(runs) == Run("mine", 10, 100, 2, 2, 95)


@pytest.mark.parametrize("runs", [[], [FLOOR, MINE]])
def test_only_equal_runs_have_a_typical_one(runs: list[Run]) -> None:
    """Runs of different programs, or none, are an error of the caller."""
    with pytest.raises(ValueError, match="one program"):
        typical(runs)


def test_ratios_are_multiples_of_the_base() -> None:
    """Each figure is divided by the base's; what the base has none of has no multiple."""
    assert ratios(MINE, FLOOR) == {"calls": 1.03, "wall": 1.1, "cpu": 1.1, "memory": 1.5}
    assert "wall" not in ratios(MINE, Run("x", 200, 1, 0.0, 1.0, 1.0))


def test_growth_is_per_resource() -> None:
    """Four times the CPU for four times the tenants is no growth at all."""
    small = Run("mine", 50, 1, 1.0, 1.0, 1.0)
    assert growth(small, Run("mine", 200, 1, 1.0, 4.0, 1.0), 38) == 0
    assert growth(small, Run("mine", 200, 1, 1.0, 4.4, 1.0), 38) == pytest.approx(0.1)


def test_the_table_holds_every_program_by_size() -> None:
    """Smaller worlds first, multiples of the base of the same world, and the reason why a program was not run."""
    lines = table([FLOOR, MINE, Skipped("other", 10, "no network"), Run("mine", 50, 1, 1, 1, 1)], base="floor").split(
        "\n"
    )
    assert lines[2] == "| 10 | other | not run: no network | | | | | | |"
    assert lines[3] == "| 50 | mine | 1 | 1.00 | 1.00 | 1 |  |  |  |"
    assert lines[5] == "| 200 | mine | 3,090 | 4.40 | 3.30 | 225 | 1.10 | 1.10 | 1.03 |"
    assert {line.count("|") for line in lines} == {10}


def test_figures_replace_what_stands_between_the_marks() -> None:
    """The page keeps what is around; without its marks it is not touched."""
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_figures(page, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert with_figures(with_figures(page, "new"), "old") == page
    for broken in ("nothing", BEGIN, f"{END}{BEGIN}"):
        with pytest.raises(ValueError, match="lacks"):
            with_figures(broken, "new")
