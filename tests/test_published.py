import subprocess
import sys

import pytest

from earwise.errors import EarwiseError
from earwise.evaluate.published import MISPLACED, MMALIGN, ROWS, TABLE_4_MEANS, PrintedRow, find, rows
from earwise.evaluate.suite import COLUMNS


def test_every_table_has_its_rows_once():
    assert [len(rows(table)) for table in (1, 2, 3, 4, 5)] == [6, 6, 18, 12, 10]
    keys = [(row.table, row.model, row.training, row.asked, row.alpha) for row in ROWS]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.table in (1, 3)], ids=lambda row: f"{row.model}-{row.asked}"
)
def test_averages_are_the_means_of_their_cells_as_far_as_these_are_known(row):
    assert row.average is not None
    if row.recomputed is not None:
        assert row.recomputed == pytest.approx(row.average, abs=0.01)
    assert set(row.cells) <= set(COLUMNS)


def test_cells_that_do_not_average_to_what_is_printed_are_refused():
    cells = {name: 10.0 * place for place, name in enumerate(COLUMNS)}
    assert PrintedRow(3, "m", "none", "text", 35.004, cells).recomputed == 35.0
    with pytest.raises(EarwiseError, match=r"table 3, m, none, text: the cells average to 35\.000, printed is 35\.02"):
        PrintedRow(3, "m", "none", "text", 35.02, cells)
    del cells["mme"]
    assert PrintedRow(3, "m", "none", "text", 99.0, cells).recomputed is None


def test_gains_of_table_3_are_the_printed_ones():
    gains = [
        round(kd.average - sft.average, 2)
        for kd, sft in zip(
            [row for row in rows(3) if row.training == "self_kd"],
            [row for row in rows(3) if row.training == "sft"],
            strict=True,
        )
    ]
    assert gains == [12.68, 14.06, 10.08, 12.74, 6.37, 0.52]


def test_gaps_of_table_1_are_the_printed_ones():
    drops = {row.model: row.average - find(1, row.model, "none", "audio").average for row in rows(1)[::2]}
    assert drops == pytest.approx({"VITA-8x7B": 62.20, "VITA-1.5-7B": 35.06, "Megrez-3B": 19.24})


@pytest.mark.parametrize(("training", "printed"), TABLE_4_MEANS.items())
def test_means_of_table_4_are_the_printed_ones_for_relations_only(training, printed):
    some = [row for row in rows(4) if row.training == training]
    relation, attribute = (sum(row.cells[name] for row in some) / len(some) for name in MMALIGN)
    assert relation == pytest.approx(printed[0], abs=0.01)
    # Not mended: nothing says whether a cell or the mean is wrong. The difference is one item of 300, or three.
    items = 3 * len(some) * (attribute - printed[1])
    assert items == pytest.approx({"sft": 1, "self_kd": -3}[training], abs=0.1)


def test_scores_are_multiples_of_one_item():
    """300 items of MMAlign per type, 1,250 of ChartQA per split, 765 of RealWorldQA; printed with two digits."""
    counts = dict.fromkeys(MMALIGN, 300) | {"chartqa_human": 1250, "chartqa_augmented": 1250, "realworldqa": 765}
    for row in ROWS:
        for name, value in row.cells.items():
            right = value * counts[name] / 100
            assert abs(right - round(right)) <= 0.005 * counts[name] / 100 + 1e-9, (row.model, name, value)


def test_table_5_ends_where_table_3_stands():
    for model in ("InternVL2-1B", "InternVL2-2B"):
        for training, alpha in (("sft", 0.0), ("self_kd", 1.0)):
            assert find(5, model, training, "audio", alpha).average == find(3, model, training, "audio").average
    best = max((row for row in rows(5) if row.model == "InternVL2-1B"), key=lambda row: row.average)
    assert (best.alpha, best.average) == (0.75, 35.53)


def test_mended_rows_are_marked():
    marked = {(row.table, row.model) for row in ROWS if MISPLACED in row.note}
    assert marked == {(3, "InternVL2-8B"), (5, "InternVL2-1B"), (5, "InternVL2-2B")}
    completed = find(5, "InternVL2-1B", "self_kd", "audio", 1.0)
    assert completed.cells["realworldqa"] == 27.19
    assert "taken from table 3" in completed.note


def test_rows_are_immutable_and_unknown_ones_are_none():
    with pytest.raises(TypeError):
        ROWS[0].cells["mme"] = 1.0
    assert find(3, "GPT", "none", "text") is None


def test_published_numbers_need_no_torch():
    code = "import sys, earwise.evaluate.published; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
