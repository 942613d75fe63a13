"""Hostile and broken folders of models and ears in a recipe: each must give one line before the first stage."""

from __future__ import annotations

import shutil
from pathlib import Path

from commands import refusal
from places import Places
from table import Table
from test_model_folders import MODELS

_CODE = "import pathlib; pathlib.Path('ran').touch()\n"


def try_all(table: Table, places: Places, share: int = 1) -> None:
    """Every kind of broken folder, and folders with their own code, which must never run."""
    for kind in list(MODELS)[::share]:
        place = places.fresh()
        (place / "vlm").unlink()
        shutil.copytree(places.root / "vlm", place / "vlm")
        MODELS[kind][0](place / "vlm")
        wrong = refusal(place, "vlm", "run", "own.toml")
        if not wrong and (place / "runs/own/stages").exists():
            wrong = "a stage has begun"
        table.note("model folders", kind, wrong)
        places.done(place)
    for name in (
        "modeling_x.py",
        "tokenization_x.py",
        "sitecustomize.py",
        "setup.py",
        "conftest.py",
        "pytorch_model.bin",
    ):
        place = places.fresh()
        (place / "vlm").unlink()
        shutil.copytree(places.root / "vlm", place / "vlm")
        _bring_code(place / "vlm", name)
        refusal(place, "", "speech", "own.toml")
        ran = list(Path(place).rglob("ran"))
        table.note("code of model folders", name, "the folder's code ran" if ran else "")
        places.done(place)


def _bring_code(folder: Path, name: str) -> None:
    import json
    import pickle

    if name.endswith(".bin"):
        (folder / name).write_bytes(pickle.dumps(_Touch()))
        return
    (folder / name).write_text(_CODE)
    for file in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        told = json.loads((folder / file).read_text())
        told["auto_map"] = {
            "AutoConfig": "modeling_x.X",
            "AutoModel": "modeling_x.X",
            "AutoTokenizer": "tokenization_x.X",
        }
        (folder / file).write_text(json.dumps(told))


class _Touch:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("ran"),)  # type: ignore[return-value]
