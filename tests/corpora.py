"""Tiny corpora in the public files' own formats: LLaVA conversations, and recordings as every ASR corpus has them."""

import gzip
import json
from pathlib import Path

import numpy as np
import soundfile
from data_folder import COLORS, png

SENTENCES = ("THE RED STAR IS LEFT", "A BLUE RING", "ONE GREEN BOX AND A STAR")


def tone(seconds: float, rate_hz: int = 16_000, hz: float = 300.0) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def conversation(number: int, *talk: str, image: str | None = "coco/red.png", tag: str = "<image>\n") -> dict:
    """A record of LLaVA; `talk` is question, answer, question, answer..."""
    turns = [{"from": ("human", "gpt")[n % 2], "value": text} for n, text in enumerate(talk)]
    if image is not None:
        turns[0]["value"] = tag + turns[0]["value"]
    return {"id": f"{number:012d}", **({"image": image} if image else {}), "conversations": turns}


def write_llava(folder: Path, records: list[dict]) -> Path:
    """`mix.json` and `images/coco/` with one picture of each colour."""
    images = folder / "images" / "coco"
    images.mkdir(parents=True, exist_ok=True)
    for color in COLORS:
        (images / f"{color}.png").write_bytes(png(color))
    path = folder / "mix.json"
    path.write_text(json.dumps(records, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def write_librispeech(folder: Path, sentences: tuple[str, ...] = SENTENCES, seconds: float = 1.0) -> Path:
    """Two readers with one chapter each, FLAC files that get longer one by one."""
    for reader in ("19", "26"):
        chapter = folder / "LibriSpeech" / "dev" / reader / "198"
        chapter.mkdir(parents=True, exist_ok=True)
        lines = []
        for n, text in enumerate(sentences):
            name = f"{reader}-198-{n:04d}"
            lines.append(f"{name} {text}\n")
            soundfile.write(chapter / f"{name}.flac", tone(seconds + 0.1 * n), 16_000)
        (chapter / f"{reader}-198.trans.txt").write_text("".join(lines))
    return folder / "LibriSpeech"


def write_lines(path: Path, rows: list[dict]) -> Path:
    """JSON lines, gzipped if the name says so."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path
