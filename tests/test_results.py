"""The tables of docs/results say what the files of numbers beside them say."""

import json
import re
from pathlib import Path

import pytest

RESULTS = Path(__file__).parent.parent / "docs" / "results"
STUDIES = {
    "sightsound_micro": [(name, "sound_text") for name in ("avqa", "mmau_sound", "mmau_music", "mmau_speech")],
    "self_kd_beyond": [("all", "image_speech")],
    "source_layer_micro": [(name, "sound_text") for name in ("mmau_sound", "mmau_speech", "iemocap")],
    "unified_micro": [
        ("spoken", "video_speech"),
        *((name, "sound_text") for name in ("avqa", "mmau_sound", "mmau_music", "mmau_speech")),
    ],
}
"""Of each study, the benchmark and view of the columns of its first table."""
NAMES = {"direct": "base"}
CELL = re.compile(r"(\d+\.\d) \[(\d+\.\d), (\d+\.\d)\]")


def rows_of(page: str) -> dict[str, list[str]]:
    """Cells of the first table of a page, by what stands in the first column."""
    lines = (RESULTS / f"{page}.md").read_text(encoding="utf-8").splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("|---"))
    rows = {}
    for line in lines[first + 1 :]:
        if not line.startswith("|"):
            break
        name, *cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        rows[name.strip("` ")] = cells
    return rows


@pytest.mark.parametrize("page", STUDIES)
def test_the_first_table_is_that_of_the_numbers(page):
    models = json.loads((RESULTS / f"{page}.json").read_text(encoding="utf-8"))["models"]
    rows = rows_of(page)
    assert len(rows) >= 5
    for name, cells in rows.items():
        for cell, (benchmark, view) in zip(cells, STUDIES[page], strict=False):
            told = models[NAMES.get(name, name)][benchmark]["views"][view]
            printed = CELL.search(cell)
            assert printed is not None, (name, cell)
            assert [float(number) for number in printed.groups()] == [
                round(number, 1) for number in (told["score"], *told["ci95"])
            ], (name, benchmark)


def test_the_table_of_conditions_is_that_of_the_numbers():
    numbers = json.loads((RESULTS / "self_kd_best.json").read_text(encoding="utf-8"))
    places = [numbers, numbers["conditions"]["festival"], numbers["conditions"]["noise_10_db"]]
    rows = rows_of("self_kd_best")
    for name in ("best", "best_long", "cascade", "cascade_long"):
        view = "image_speech" if name.startswith("best") else "image_transcript"
        for place, cell in zip(places, rows[name], strict=True):
            told = place["models"][name]["all"]["views"][view]
            printed = CELL.search(cell)
            assert printed is not None, cell
            assert [*map(float, printed.groups())] == [round(n, 1) for n in (told["score"], *told["ci95"])]
    for ours, theirs in (("best", "cascade"), ("best_long", "cascade_long")):
        for place, cell in zip(places, rows[f"{ours}` - `{theirs}"], strict=True):
            minus = place["recovery"][ours]["minus_cascade"][theirs]
            assert cell.startswith(f"{minus['value']:+.1f} [{minus['ci95'][0]:.1f}, {minus['ci95'][1]:.1f}]")
