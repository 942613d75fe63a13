"""MMAlign: two-way multiple choice from the ARO files of Visual Genome relations and attributes.

Files (Yuksekgonul et al. 2023): `visual_genome_relation.json` and `visual_genome_attribution.json`, lists of
`image_path`, `bbox_x`, `bbox_y`, `bbox_w`, `bbox_h`, `true_caption`, `false_caption` and `relation_name` or
`attributes`; pictures in `images/`. MMAlign (arXiv 2503.00059) takes 300 of each and asks which caption is right. Its
wording, choice of cases and order of options are not published, so ours are seeded and recorded in the items.

A false caption of ARO swaps the two nouns of the true one. Under a symmetric relation (`near`) both are true, so these
cases are left out, as in ARO's own score.
"""

from __future__ import annotations

import io
import logging
import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from earwise.data.aro_relations import SYMMETRIC
from earwise.data.derived import content_digest, derived_path, write_derived
from earwise.data.fields import Fields
from earwise.data.media import load_image
from earwise.errors import InputError
from earwise.io.files import found_file, parse_json, read_text
from earwise.records import Item

QUESTION: Final = "Which sentence is right?"
DEFAULT_COUNT: Final = 300

Type = Literal["relation", "attribute"]
Crop = Literal["box", "full"]
Symmetric = Literal["leave_out", "keep"]
Case = dict[str, Any]
Box = tuple[int, int, int, int]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Draw:
    """How the items of MMAlign are drawn from an ARO file; see `read_aro`."""

    count: int | None = DEFAULT_COUNT
    seed: int = 0
    crop: Crop = "box"
    symmetric: Symmetric = "leave_out"


PUBLISHED: Final = Draw()
"""300 items of each file, as in arXiv 2503.00059; the rest is our choice."""


def read_aro(
    path: str | Path,
    type_: Type,
    *,
    count: int | None = DEFAULT_COUNT,
    seed: int = 0,
    crop: Crop = "box",
    symmetric: Symmetric = "leave_out",
) -> list[Item]:
    """Items of one ARO file: `count` cases drawn without replacement (all if there are fewer, or with None).

    Cases of symmetric relations (`aro_relations.SYMMETRIC`) are drawn only if `symmetric` is "keep"; the log has the
    number of the others. The right caption is option A in exactly half of the items (rounded up), in seeded order.
    `crop="box"` shows the box of the case, as ARO does, from the cache (`derived`); "full" shows the whole picture. The
    cluster is the picture, the kind is the relation, or the two attributes; `meta` has case number, seed, crop and box.
    Raises `InputError` naming file and case for a wrong structure, an empty or repeated caption, a missing picture or a
    box outside of it.
    """
    path = Path(path)
    cases = load_cases(path)
    places = [place for place, case in enumerate(cases) if symmetric == "keep" or not is_symmetric(type_, case)]
    if len(places) < len(cases):
        log.info("%s: %d cases of symmetric relations left out", path, len(cases) - len(places))
    if not places:
        raise InputError("every case has a symmetric relation, under which both captions are right", file=path)
    order = random.Random(f"{seed}:cases:{type_}")
    chosen = sorted(order.sample(places, min(count if count is not None else len(places), len(places))))
    letters = ["A"] * ((len(chosen) + 1) // 2) + ["B"] * (len(chosen) // 2)
    random.Random(f"{seed}:letters:{type_}").shuffle(letters)
    return [
        _item(path, type_, place, cases[place], gold, crop, seed) for place, gold in zip(chosen, letters, strict=True)
    ]


def is_symmetric(type_: Type, case: object) -> bool:
    """Whether both captions of a relation case are right."""
    return type_ == "relation" and isinstance(case, dict) and case.get("relation_name") in SYMMETRIC


def check_case(path: Path, type_: Type, place: int, case: Case) -> tuple[str, ...]:
    """Raise the `InputError` of `read_aro` for this case, without writing a crop.

    Returns the changes that showing its picture makes (`colours.to_rgb`).
    """
    item = _item(path, type_, place, case, "A", "full", 0)
    assert item.image is not None
    (width, height), notes = _look(path.parent / item.image)
    fields = _fields(path, place, case)
    _check_box(fields, _box(fields), width, height)
    return notes


@lru_cache(maxsize=4096)  # a picture has several cases
def _look(picture: Path) -> tuple[tuple[int, int], tuple[str, ...]]:
    notes: list[str] = []
    return load_image(picture, notes).size, tuple(notes)


def load_cases(path: Path) -> list[Case]:
    """The unchecked cases of an ARO file; raises `InputError` if it is not a list of cases."""
    if not found_file(path):
        raise InputError("ARO file not found", file=path)
    try:
        cases = parse_json(read_text(path))
    except InputError:
        raise
    except ValueError as error:
        raise InputError(str(error), file=path) from None
    if not isinstance(cases, list) or not cases:
        raise InputError("not a list of cases", file=path)
    return cases


def _item(path: Path, type_: Type, place: int, case: Case, gold: str, crop: Crop, seed: int) -> Item:
    fields = _fields(path, place, case)
    right, wrong = fields.text("true_caption"), fields.text("false_caption")
    if right == wrong:
        raise fields.error("true and false caption are the same")
    picture, box = fields.text("image_path"), _box(fields)
    image = _picture(fields, picture)
    return Item(
        id=f"mmalign_{type_}-{place}",
        source=f"mmalign_{type_}",
        question=QUESTION,
        answers=(gold,),
        choices=(right, wrong) if gold == "A" else (wrong, right),
        image=_crop(fields, image, box) if crop == "box" else image,
        cluster=picture,
        kind=_kind(fields, type_),
        meta={"case": place, "seed": seed, "crop": crop, "box": list(box), "picture": image},
    )


def _fields(path: Path, place: int, case: object) -> Fields:
    return Fields(path, f"case {place}", case if isinstance(case, dict) else {})


def _box(fields: Fields) -> Box:
    x, y, width, height = (fields.whole(key) for key in ("bbox_x", "bbox_y", "bbox_w", "bbox_h"))
    return x, y, width, height


def _check_box(fields: Fields, box: Box, picture_width: int, picture_height: int) -> None:
    x, y, width, height = box
    if width <= 0 or height <= 0 or x < 0 or y < 0 or x >= picture_width or y >= picture_height:
        size = f"{picture_width}x{picture_height}"
        raise fields.error(f"box {list(box)} (x, y, w, h) lies outside of the {size} picture")


def _kind(fields: Fields, type_: Type) -> str:
    if type_ == "relation":
        return fields.text("relation_name")
    attributes = fields.value("attributes")
    if not isinstance(attributes, list) or not all(isinstance(name, str) for name in attributes):
        raise fields.error(f"'attributes' is not a list of texts: {attributes!r}")
    return "_".join(attributes)


def _picture(fields: Fields, name: str) -> str:
    """`name` relative to the file's folder: in `images/`, as in ARO, or directly beside the file."""
    found = fields.media(f"images/{name}", name)
    if found is None:
        raise fields.error(f"picture {name!r} not found beside it or in images/")
    return found


def _crop(fields: Fields, image: str, box: Box) -> str:
    """Write the box of `image` as PNG to the cache, once."""
    source = fields.path.parent / image
    target = derived_path("crops", content_digest(source), box, ending=".png")
    if target.is_file():
        return str(target)
    picture = load_image(source)
    _check_box(fields, box, picture.width, picture.height)
    x, y, width, height = box
    # Boxes may reach a pixel beyond the border; Pillow would fill that with black.
    cropped = picture.crop((x, y, min(x + width, picture.width), min(y + height, picture.height)))

    content = io.BytesIO()
    cropped.save(content, format="PNG")
    write_derived(target, content.getvalue())
    return str(target)
