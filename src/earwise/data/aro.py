"""MMAlign: two-way multiple choice from the ARO files of Visual Genome relations and attributes.

Files (Yuksekgonul et al. 2023): `visual_genome_relation.json` and `visual_genome_attribution.json`, lists of
`image_path`, `bbox_x`, `bbox_y`, `bbox_w`, `bbox_h`, `true_caption`, `false_caption` and `relation_name` or
`attributes`; pictures in `images/`. MMAlign (arXiv 2503.00059) takes 300 of each and asks which caption is right; its
wording, choice of cases and order of options are not published, so ours are seeded and written into the items.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
from pathlib import Path
from typing import Any, Final, Literal

from earwise.data.media import load_image, resolve, write_bytes_atomic
from earwise.errors import InputError
from earwise.records import Item

QUESTION: Final = "Which sentence is right?"
DEFAULT_COUNT: Final = 300

Type = Literal["relation", "attribute"]
Crop = Literal["box", "full"]
Case = dict[str, Any]


def read_aro(
    path: str | Path, type_: Type, *, count: int | None = DEFAULT_COUNT, seed: int = 0, crop: Crop = "box"
) -> list[Item]:
    """Items of one ARO file: `count` cases drawn without replacement (all if there are fewer, or with None).

    The right caption is option A in exactly half of the items (rounded up), in seeded order. `crop="box"` shows the
    box of the case, as ARO does, written to `.STEM_crops/` beside the file; `"full"` shows the whole picture. The
    cluster is the picture, the kind is the relation, or the two attributes. Raises `InputError` naming file and case
    for a wrong structure, an empty or repeated caption, a missing picture or a box outside of it.
    """
    path = Path(path)
    cases = _load(path)
    order = random.Random(f"{seed}:cases:{type_}")
    chosen = sorted(order.sample(range(len(cases)), min(count if count is not None else len(cases), len(cases))))
    letters = ["A"] * ((len(chosen) + 1) // 2) + ["B"] * (len(chosen) // 2)
    random.Random(f"{seed}:letters:{type_}").shuffle(letters)
    return [_item(path, type_, place, cases[place], gold, crop) for place, gold in zip(chosen, letters, strict=True)]


def _load(path: Path) -> list[Case]:
    if not path.is_file():
        raise InputError("ARO file not found", file=path)
    try:
        cases = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not JSON: {error}", file=path) from None
    if not isinstance(cases, list) or not cases:
        raise InputError("not a list of cases", file=path)
    return cases


def _item(path: Path, type_: Type, place: int, case: Case, gold: str, crop: Crop) -> Item:
    record = f"case {place}"
    right, wrong = (_text(path, record, case, key) for key in ("true_caption", "false_caption"))
    if right == wrong:
        raise InputError("true and false caption are the same", file=path, record=record)
    picture = _text(path, record, case, "image_path")
    box = [_whole(path, record, case, key) for key in ("bbox_x", "bbox_y", "bbox_w", "bbox_h")]
    image = _picture(path, record, picture)
    return Item(
        id=f"mmalign_{type_}-{place}",
        source=f"mmalign_{type_}",
        question=QUESTION,
        answers=(gold,),
        choices=(right, wrong) if gold == "A" else (wrong, right),
        image=_crop(path, record, image, box) if crop == "box" else image,
        cluster=picture,
        kind=_kind(path, record, type_, case),
        meta={"case": place, "crop": crop, "box": list(box), "picture": image},
    )


def _value(path: Path, record: str, case: Case, key: str) -> Any:
    if not isinstance(case, dict) or key not in case:
        raise InputError(f"no {key!r}", file=path, record=record)
    return case[key]


def _text(path: Path, record: str, case: Case, key: str) -> str:
    value = _value(path, record, case, key)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{key!r} is not a text: {value!r}", file=path, record=record)
    return value.strip()


def _whole(path: Path, record: str, case: Case, key: str) -> int:
    value = _value(path, record, case, key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{key!r} is not a whole number: {value!r}", file=path, record=record)
    return value


def _kind(path: Path, record: str, type_: Type, case: Case) -> str:
    if type_ == "relation":
        return _text(path, record, case, "relation_name")
    attributes = _value(path, record, case, "attributes")
    if not isinstance(attributes, list) or not all(isinstance(name, str) for name in attributes):
        raise InputError(f"'attributes' is not a list of texts: {attributes!r}", file=path, record=record)
    return "_".join(attributes)


def _picture(path: Path, record: str, name: str) -> str:
    """`name` relative to the file's folder: in `images/`, where ARO keeps its pictures, or directly beside the file."""
    for relative in (f"images/{name}", name):
        if resolve(path.parent, relative).is_file():
            return relative
    raise InputError(f"picture {name!r} not found beside it or in images/", file=path, record=record)


def _crop(path: Path, record: str, image: str, box: list[int]) -> str:
    """Write the box of `image` as PNG, once; the name depends on the picture's bytes and on the box."""
    source = path.parent / image
    digest = hashlib.sha256(source.read_bytes() + repr(box).encode()).hexdigest()[:24]
    name = f".{path.stem}_crops/{digest}.png"
    if (path.parent / name).is_file():
        return name
    picture = load_image(source)
    x, y, width, height = box
    if width <= 0 or height <= 0 or x < 0 or y < 0 or x >= picture.width or y >= picture.height:
        size = f"{picture.width}x{picture.height}"
        raise InputError(f"box {box} (x, y, w, h) lies outside of the {size} picture", file=path, record=record)
    # Boxes may reach a pixel beyond the border; Pillow would fill that with black.
    cropped = picture.crop((x, y, min(x + width, picture.width), min(y + height, picture.height)))

    content = io.BytesIO()
    cropped.save(content, format="PNG")
    write_bytes_atomic(path.parent / name, content.getvalue())
    return name
