"""Bad inputs in every format: each must be refused with one line that names the file, before any work."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from commands import refusal
from places import Places
from table import Table

Spoil = Callable[[Path], None]
Case = tuple[str, str, Spoil, tuple[str, ...]]
"""Name, what the line must name, the damage, and the command."""

RUN = ("data", "own.toml")
FILES = {
    "recipe": "own.toml",
    "items": "own/train.jsonl",
    "spoken items": "own/transcribe.jsonl",
    "benchmark": "own/benchmarks/colors.jsonl",
    "TSV": "own/benchmarks/MME.tsv",
    "image": "own/images/red.png",
    "benchmark image": "own/benchmarks/images/red.png",
}


def bytes_of(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Rewrites the file with other bytes."""
    return lambda path: path.write_bytes(change(path.read_bytes())) and None


def in_place(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Replaces the file by something else."""

    def spoil(path: Path) -> None:
        path.unlink()
        make(path)

    return spoil


DAMAGE: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "empty": bytes_of(lambda content: b""),
    "half": bytes_of(lambda content: content[: len(content) // 2 + 3]),
    "one byte": bytes_of(lambda content: b"{"),
    "zeros": bytes_of(lambda content: bytes(len(content))),
    "UTF-16": bytes_of(lambda content: content.decode("latin-1").encode("utf-16")),
    "UTF-16 without mark": bytes_of(lambda content: content.decode("latin-1").encode("utf-16-le")),
    "UTF-32": bytes_of(lambda content: content.decode("latin-1").encode("utf-32")),
    "no UTF-8": bytes_of(lambda content: b"\xff\xfe\xfa" + content),
    "no UTF-8 inside": bytes_of(lambda content: content[:40] + b"\xc3\x28\xa0\xa1" + content[40:]),
    "HTML": bytes_of(lambda content: b"<!DOCTYPE html><html><body>404 Not Found</body></html>"),
    "Git LFS": bytes_of(lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
    "gzip": bytes_of(lambda content: b"\x1f\x8b\x08\x00" + content),
    "deep": bytes_of(lambda content: b"[" * 200_000),
    "long number": bytes_of(lambda content: b'{"id": ' + b"9" * 6_000 + b"}"),
    "a folder": in_place(Path.mkdir),
    "a FIFO": in_place(os.mkfifo),
    "a link to itself": in_place(lambda path: path.symlink_to(path.name)),
    "a link to nowhere": in_place(lambda path: path.symlink_to("nowhere")),
    "a link to /dev/zero": in_place(lambda path: path.symlink_to("/dev/zero")),
}


def damaged_files() -> Iterator[Case]:
    """Every kind of damage to every kind of file."""
    for kind, file in FILES.items():
        for damage, spoil in DAMAGE.items():
            yield f"{kind}: {damage}", Path(file).name, _to(file, spoil), RUN


def _to(file: str, spoil: Callable[[Path], None]) -> Spoil:
    return lambda place: spoil(place / file)


FIELDS = ("id", "source", "question", "answers", "cluster", "image")
VALUES: dict[str, object] = {
    "null": None,
    "a number": 7,
    "a list": [1],
    "an object": {"a": 1},
    "empty": "",
    "blank": " \t ",
    "a path upwards": "../../../etc/passwd",
    "an absolute path": "/etc/passwd",
    "a control character": "a\x1b[31mb\x07",
    "a lone surrogate": "\ud800",
    "a long name": "x" * 5_000,
}
REFUSED = ("null", "a number", "a list", "an object", "empty", "blank", "a lone surrogate")
"""Invalid values for any text."""
RIGHT = {
    ("id", "a path upwards"), ("id", "an absolute path"), ("id", "a long name"), ("question", "a path upwards"),
    ("question", "an absolute path"), ("question", "a long name"), ("image", "null"),
    *((field, value) for field in ("source", "cluster") for value in VALUES if value not in REFUSED),
    *((field, "a control character") for field in ("id", "question")), ("image", "absent"),
}  # fmt: skip
"""Values to try in a field."""


def wrong_values() -> Iterator[Case]:
    """Every kind of value in every field of an item, in training and in a benchmark."""
    for file in ("own/train.jsonl", "own/benchmarks/colors.jsonl"):
        for field in FIELDS:
            for what, value in VALUES.items():
                if (field, what) not in RIGHT:
                    yield f"{file}: {field} is {what}", Path(file).name, _field(file, field, value), RUN
            if (field, "absent") not in RIGHT:
                yield f"{file}: no {field}", Path(file).name, _field(file, field, ...), RUN


def _field(file: str, field: str, value: object) -> Spoil:
    def spoil(place: Path) -> None:
        lines = (place / file).read_text().splitlines()
        row = json.loads(lines[1])
        row[field] = value
        if value is ...:
            del row[field]
        lines[1] = json.dumps(row)
        (place / file).write_text("\n".join(lines) + "\n")

    return spoil


OVERRIDES = (
    "align.steps=0", "align.steps=-1", "align.steps=1.5", "align.steps=many", "align.steps=1000000000000000000",
    "align.lr=nan", "align.lr=inf", "align.lr=-1", "align.batch_size=0", "align.batch=3", "training.steps='3'",
    "data.path=nowhere", "data.path=", "data.source=web", "model.base=nowhere", "model.base=own",
    "model.ears.layers=0", "model.ears.heads=3", "model.ears.encoder=big", "train.sft.view=smell",
    "model.base=own.toml", "train.sft.data=none",
    "train.sft.start=nobody", "train.sft.terms=[]", "train.sft.terms=[{type='magic',weight=1.0}]", "evaluate.views=[]",
    "evaluate.views=['image_text','image_text']", "evaluate.benchmarks=['nothing']", "evaluate.profile=kind",
    "evaluate.limit=0", "evaluate.max_new_tokens=0", "speech.engine.type=parrot", "speech.train_voices=[]",
    "speech.train_voices=['nobody']", "speech.test_voices=['en-us+m3']", "speech.rates_wpm=[190,160]",
    "speech.pitches=[40,1000]", "seeds=[]", "seeds=[0,0]", "seeds=['a']", "name=../up", "name=", "nothing=1",
    "no override", "=", "a..b=1", "speech=1", "train=3", "align=[", "model.trust_remote_code=maybe",
)  # fmt: skip


def wrong_overrides() -> Iterator[Case]:
    """Impossible values of a recipe, on the command line."""
    for override in OVERRIDES:
        yield f"override {override}", "", lambda place: None, ("run", "own.toml", override)


def scribbled(count: int) -> Iterator[Case]:
    """Files with random bytes in the middle: refused with a line, or read."""
    rng = random.Random(0)
    for number in range(count):
        kind, file = rng.choice(list(FILES.items()))
        seed = rng.random()
        yield f"{kind}: scribbled {number}", "", _to(file, _scribble(seed)), RUN


def _scribble(seed: float) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        rng, content = random.Random(seed), bytearray(path.read_bytes())
        for _ in range(max(1, len(content) // 50)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content)

    return spoil


def try_files(table: Table, places: Places, share: int = 1) -> None:
    """Damaged files, and files with random bytes, which may be valid by chance: exit 0 is right, too."""
    _try("bad inputs, files", [*damaged_files(), *scribbled(60)], table, places, share)


def try_values(table: Table, places: Places, share: int = 1) -> None:
    """Wrong values in items and on the command line."""
    _try("bad inputs, values", [*wrong_values(), *wrong_overrides()], table, places, share)


def _try(kind: str, cases: list[Case], table: Table, places: Places, share: int) -> None:
    for name, names, spoil, command in cases[::share]:
        place = places.fresh()
        spoil(place)
        wrong = refusal(place, names, *command)
        if "scribbled" in name and wrong.startswith("exit 0"):
            wrong = ""
        table.note(kind, name, wrong)
        places.done(place)
