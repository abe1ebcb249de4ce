"""What a run of `make bench` leaves behind, and how two are compared."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # as `make bench` does: the measurements share `rows`

import results
from rows import Row

MACHINE = results.Machine("a board", 4, 0.1, "3.11.7")


def a_run(*rows):
    run = results.Results(MACHINE)
    for row in rows:
        run.add("idle", row)
    return run


def test_what_was_found_is_read_as_it_was_written(tmp_path):
    run = a_run(Row("CPU", "1.4 %", "", "≤ 1.3 %", False), Row("memory", "90 MB"))
    run.save(tmp_path / "made" / "found.json")
    assert results.load(tmp_path / "made" / "found.json") == run


def test_each_bar_that_is_missed_is_named():
    run = a_run(Row("CPU", "1.4 %", "", "≤ 1.3 %", False), Row("p99", "6 ms", "", "≤ 9 ms", True), Row("MB", "90"))
    assert run.missed() == ["idle: CPU: 1.4 %, for ≤ 1.3 %"]
    assert run.bars() == 2


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        ("200 µs", "100 µs", "200 µs (-50 %)"),
        ("28,947/s, in order", "31,842/s, in order", "28,947/s, in order (+10 %)"),
        ("not measured", "100 µs", "not measured"),
        ("0 lost", "1 lost", "0 lost"),
    ],
)
def test_an_earlier_figure_stands_beside_with_the_change_since(before, now, says):
    assert results.beside(Row("x", now), Row("x", before)) == says


def test_a_row_that_was_not_there_before_is_a_dash():
    assert results.beside(Row("x", "1 s"), a_run().row("idle", "x")) == "-"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 9}', '{"version": 1, "rows": {}}'])
def test_a_file_of_something_else_is_refused(tmp_path, text):
    file = tmp_path / "other.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"other\.json"):
        results.load(file)
