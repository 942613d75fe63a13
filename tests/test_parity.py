"""The short form of `make parity`: ids, logits, losses and greedy answers beside the published ones."""

import pytest
from parity.run import FAMILIES, Row, is_equal, page, rows_of, unexplained


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_computes_what_hugging_face_computes(family, tmp_path):
    rows = list(rows_of(tmp_path, [family], short=True))
    assert len(rows) >= 7
    assert unexplained(rows) == []


def test_what_differs_is_not_equal_and_stands_on_the_page():
    same = Row("internvl", "as built", "a", True, 1e-7, 1e-7, (True, True))
    others = [
        Row("internvl", "as built", "b", False, float("nan"), float("nan"), (False, False)),
        Row("internvl", "as built", "c", True, 1e-3, 0.0, (True, True)),
        Row("internvl", "as built", "d", True, 0.0, 0.0, (True, False)),
    ]
    assert is_equal(same)
    assert unexplained([same, *others]) == others
    text = page([same, *others], "hand")
    assert "Made by hand:\n4 cases, 3 unexplained." in text
    assert "| `internvl` | 4 | 3 of 4 | 1.0e-03 | 1.0e-07 | 3 of 4 | 2 of 4 |" in text
