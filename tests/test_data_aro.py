import json
import logging

import pytest
from PIL import Image

from earwise.data.aro import QUESTION, read_aro
from earwise.data.aro_relations import SYMMETRIC
from earwise.data.media import load_image
from earwise.errors import InputError


def case(place, **changes):
    fields = {
        "image_path": f"{place % 3}.png",
        "bbox_x": 2,
        "bbox_y": 1,
        "bbox_w": 3,
        "bbox_h": 4,
        "true_caption": f"the cat {place} is on the mat",
        "false_caption": f"the mat is on the cat {place}",
        "relation_name": "on",
        "attributes": ["black", "white"],
    }
    return fields | changes


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for shade in range(3):
        image = Image.new("RGB", (10, 10), (shade, 0, 0))
        image.putpixel((2, 1), (255, 255, 255))
        image.save(tmp_path / "images" / f"{shade}.png")
    return tmp_path


def write(folder, cases):
    path = folder / "visual_genome_relation.json"
    path.write_text(json.dumps(cases))
    return path


def test_items_are_balanced_and_the_letter_names_the_true_caption(folder):
    path = write(folder, [case(place) for place in range(40)])
    items = read_aro(path, "relation", count=20, seed=3)
    assert sorted(item.answers[0] for item in items) == ["A"] * 10 + ["B"] * 10
    for item in items:
        place = item.meta["case"]
        assert item.choices["AB".index(item.answers[0])] == f"the cat {place} is on the mat"
        assert set(item.choices) == {f"the cat {place} is on the mat", f"the mat is on the cat {place}"}
        assert (item.question, item.kind, item.cluster) == (QUESTION, "on", f"{place % 3}.png")
        assert item.id == f"mmalign_relation-{place}"


def test_choice_and_order_are_seeded(folder):
    path = write(folder, [case(place) for place in range(40)])
    assert read_aro(path, "relation", count=20, seed=3) == read_aro(path, "relation", count=20, seed=3)
    one, two = (read_aro(path, "relation", count=20, seed=seed) for seed in (3, 4))
    assert [item.id for item in one] != [item.id for item in two]
    assert len(read_aro(path, "relation", count=300)) == 40
    assert len(read_aro(path, "relation", count=None)) == 40
    odd = read_aro(path, "relation", count=7)
    assert [item.answers[0] for item in odd].count("A") == 4


def test_the_box_is_what_is_shown(folder):
    (item,) = read_aro(write(folder, [case(1)]), "relation")
    image = load_image(folder / item.image)
    assert image.size == (3, 4)
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert image.getpixel((1, 1)) == (1, 0, 0)
    assert item.meta == {"case": 0, "seed": 0, "crop": "box", "box": [2, 1, 3, 4], "picture": "images/1.png"}
    (whole,) = read_aro(folder / "visual_genome_relation.json", "relation", crop="full")
    assert (whole.image, whole.meta["crop"]) == ("images/1.png", "full")


def test_symmetric_relations_are_left_out_and_counted(folder, caplog):
    cases = [case(0), case(1, relation_name="near"), case(2, relation_name="leaning over"), case(3)]
    path = write(folder, cases)
    with caplog.at_level(logging.INFO):
        assert [item.meta["case"] for item in read_aro(path, "relation")] == [0, 3]
    assert caplog.messages == [f"{path}: 2 cases of symmetric relations left out"]
    assert len(read_aro(path, "relation", symmetric="keep")) == 4
    assert len(read_aro(path, "attribute")) == 4
    path = write(folder, cases[1:3])
    with pytest.raises(InputError, match="every case has a symmetric relation"):
        read_aro(path, "relation")
    assert len(SYMMETRIC) == 157
    assert not SYMMETRIC & {"on", "to the left of", "left of", "above", "inside", "in front of", "under"}


def test_attributes_are_the_kind(folder):
    (item,) = read_aro(write(folder, [case(1)]), "attribute")
    assert (item.kind, item.source) == ("black_white", "mmalign_attribute")


def test_a_box_over_the_border_is_cut_at_the_border(folder):
    (item,) = read_aro(write(folder, [case(1, bbox_w=50, bbox_h=50)]), "relation")
    assert load_image(folder / item.image).size == (8, 9)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"true_caption": " "}, "'true_caption' is not a text"),
        ({"false_caption": "the cat 5 is on the mat"}, "captions? are the same|the same"),
        ({"image_path": "none.png"}, "'none.png' not found"),
        ({"image_path": "../0.png"}, "leaves"),
        ({"bbox_w": 0}, "lies outside"),
        ({"bbox_x": 10}, "lies outside"),
        ({"bbox_x": 1.5}, "not a whole number"),
        ({"relation_name": None}, "'relation_name' is not a text"),
    ],
)
def test_broken_cases_are_refused_by_number(folder, changes, match):
    path = write(folder, [case(5, **changes)])
    with pytest.raises(InputError, match=match) as caught:
        read_aro(path, "relation")
    assert f"{path}: case 0" in str(caught.value)


def test_broken_files_are_refused(folder):
    for text, match in [("{", "not JSON"), ("[]", "not a list of cases"), ("[3]", "case 0: no 'true_caption'")]:
        path = folder / "a.json"
        path.write_text(text)
        with pytest.raises(InputError, match=match):
            read_aro(path, "relation")
    with pytest.raises(InputError, match="not found"):
        read_aro(folder / "none.json", "relation")
