import pytest
from PIL import Image

from earwise.data.items import read_items, write_items
from earwise.data.prompts import query_text
from earwise.errors import InputError
from earwise.records import Item


def item(**changes):
    fields = {"id": "a", "source": "micro", "question": "Is it red?", "answers": ("yes",), "cluster": "scene-1"}
    return Item(**(fields | changes))


def write(tmp_path, *items):
    path = tmp_path / "items.jsonl"
    path.write_text("".join(each.to_json() + "\n" for each in items))
    return path


def test_items_read_back_equal(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    items = [item(image="a.png", suffix=" Answer yes or no."), item(id="b", choices=("x", "y"), answers=("B",))]
    write_items(tmp_path / "items.jsonl", items)
    assert read_items(tmp_path / "items.jsonl") == items


def test_a_gold_text_becomes_its_letter(tmp_path):
    path = write(tmp_path, item(choices=("cat", "dog"), answers=("dog",)))
    assert read_items(path)[0].answers == ("B",)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"question": "  "}, "a: empty question"),
        ({"source": " "}, "a: blank source"),
        ({"cluster": "\u3000"}, "a: blank cluster"),
        ({"answers": ("yes", " ")}, "a: blank answer"),
        ({"choices": ("cat", "dog"), "answers": ("cow",)}, "a: gold answer 'cow' is not among the choices"),
        ({"choices": ("cat", "dog"), "answers": ("C",)}, "not among the choices"),
        (
            {"choices": ("cat", "cat"), "answers": ("cat",)},
            "a: gold answer 'cat' stands more than once among the choices",
        ),
        ({"choices": tuple(map(str, range(27))), "answers": ("3",)}, "a: 27 choices, letters reach only to Z"),
        ({"image": "none.png"}, "a: file 'none.png' not found"),
        ({"audio": "none.wav"}, "a: file 'none.wav' not found"),
        ({"image": "../a.png"}, "a: '../a.png' leaves the data folder"),
    ],
)
def test_bad_items_are_refused_by_name(tmp_path, changes, match):
    path = write(tmp_path, item(**changes))
    with pytest.raises(InputError, match=match) as caught:
        read_items(path)
    assert str(caught.value).startswith(f"{path}: a: ")


def test_an_item_with_a_blank_id_is_named_by_its_question(tmp_path):
    path = write(tmp_path, item(id=" \t"))
    with pytest.raises(InputError, match=r"items\.jsonl: 'Is it red\?': blank id"):
        read_items(path)


def test_bad_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_items(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(InputError, match="no items"):
        read_items(tmp_path / "empty.jsonl")
    with pytest.raises(InputError, match=r"items\.jsonl: line 2: .*already on line 1"):
        read_items(write(tmp_path, item(), item()))
    (tmp_path / "bad.jsonl").write_text(item().to_json() + '\n{"id": "b", "colour": 1}\n')
    with pytest.raises(InputError, match=r"bad\.jsonl: line 2"):
        read_items(tmp_path / "bad.jsonl")
    with pytest.raises(InputError, match="duplicate"):
        write_items(tmp_path / "twice.jsonl", [item(), item()])


def test_query_text_names_options_and_ends_each():
    question = item(question="Which sentence is right?", choices=("the dog runs", "Is it?"), answers=("A",))
    assert query_text(question) == "Which sentence is right? Option A: the dog runs. Option B: Is it?"


@pytest.mark.parametrize("suffix", ["Answer yes or no.", " Answer yes or no."])
def test_query_text_takes_the_suffix_on_request(suffix):
    assert query_text(item(suffix=suffix)) == "Is it red?"
    assert query_text(item(suffix=suffix), suffix=True) == "Is it red? Answer yes or no."


def test_too_many_choices_are_refused():
    with pytest.raises(InputError, match="27 options"):
        query_text(item(choices=tuple(f"c{n}" for n in range(27)), answers=("A",)))
