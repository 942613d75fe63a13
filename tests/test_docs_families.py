"""Every cell of the tables in docs/families.md, from the adapters, tiny checkpoints and published sizes."""

import re
from pathlib import Path

import pytest
import test_full_decoder
import test_lora_peft
from parity.run import FAMILIES as COMPARED
from real_sizes import PUBLISHED
from tiny import tiny_model
from tiny_families import NATIVE, PARTS, write_tiny_family

from earwise.micro.build import write_tiny
from earwise.models.families import FAMILIES
from earwise.models.layout import Layout

TEXT = (Path(__file__).parent.parent / "docs/families.md").read_text(encoding="utf-8")


def rows_of(title: str) -> list[list[str]]:
    """Cells of the rows of the first table behind a title."""
    section = TEXT[TEXT.index(f"## {title}\n") :]
    lines = re.search(r"^\|.*?\n\n", section, flags=re.M | re.S)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


HEAD, _, *ROWS = rows_of("What each family supports")


def test_every_family_has_a_row_and_is_trained_and_compared():
    names = [row[0].strip("`") for row in ROWS]
    assert sorted(names) == sorted(FAMILIES)
    for name in names:
        assert name in COMPARED
        assert name in test_lora_peft.CASES
        assert name in test_full_decoder.TRAINED


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("`"))
def test_what_a_row_says_of_a_family_is_so(row, tmp_path):
    cells = dict(zip(HEAD, row, strict=True))
    name = cells["family"].strip("`")
    folder = (write_tiny_family if name in PARTS else write_tiny)(tmp_path / name, name)
    model = tiny_model(folder, ears=name not in NATIVE)
    family = model.family
    assert re.findall(r"`(\w+)`", cells["`model_type`"]) == [*family.model_types]
    assert cells["sees"] == ("yes" if family.sees else "no")
    assert cells["hears"] == ("natively" if family.own_ears is not None else "with `Ears`")
    assert cells["shared prefix"] == ("yes" if family.no_shared_prefix is None else "no")
    assert cells["positions"] == ("M-RoPE" if _positions(model) == 3 else "one dimension")
    known = family.layer_kinds <= {"full_attention", "sliding_attention"}
    assert cells["independent turns"] == ("yes" if known else "no")
    _check_sound(model, cells)


def _positions(model) -> int:
    return len(model.family.positions(Layout((1, 2, 3), (), ())))


def _check_sound(model, cells) -> None:
    longest = cells["longest sound"]
    seconds = 30 if longest == "`chunk_length`" else int(longest.removesuffix(" s"))
    assert model.ears.num_tokens(seconds * 16_000) > 0
    with pytest.raises(ValueError, match="longer than"):
        model.ears.num_tokens(seconds * 16_000 + 1_600)
    tokens = model.ears.num_tokens(30 * 16_000)
    if cells["one token of speech"] == "20 ms x `stack`":
        assert tokens == 30_000 // 20 // model.ears.config.stack + 2
    else:
        assert round(30_000 / tokens) == int(cells["one token of speech"].removesuffix(" ms"))


def test_sizes_are_those_that_are_built():
    _, _, *rows = rows_of("Sizes")
    assert rows == [[one.name, f"`{one.family}`", one.billions] for one in PUBLISHED]
