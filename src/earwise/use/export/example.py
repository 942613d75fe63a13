"""`try_it.py` of an exported folder, with its picture and its question."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from earwise.data.media import load_image, resolve, save_wav
from earwise.errors import InputError
from earwise.evaluate.benchmarks import load_benchmark
from earwise.models.omni import OmniModel
from earwise.records import SAMPLE_RATE_HZ
from earwise.speech.clips import read_clips
from earwise.use.opening import STAGES, Found

FOLDER: Final = "example"
_CODE: Final = '''"""Ask this model by voice: `python try_it.py [PICTURE QUESTION.wav]` (16-bit mono of 16 kHz)."""

import sys
from pathlib import Path

from transformers import {auto}, AutoProcessor

folder = Path(__file__).resolve().parent
example = folder / "example"
picture, question = sys.argv[1:3] if len(sys.argv) > 2 else (example / "picture.png", example / "question.wav")

processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
model = {auto}.from_pretrained(folder, trust_remote_code=True).eval()
{adapter}content = [{image}{{"type": "audio", "audio": question}}]
inputs = processor.apply_chat_template([{{"role": "user", "content": content}}])
answer = model.generate(**inputs, max_new_tokens=64)[:, inputs["input_ids"].shape[1] :]
print(processor.batch_decode(answer)[0])
'''
_NATIVE: Final = '''"""Ask this model by text: `python try_it.py [QUESTION]`. Sounds go through its own processor."""

import sys
from pathlib import Path

from transformers import AutoTokenizer, {auto}

folder = Path(__file__).resolve().parent
question = sys.argv[1] if len(sys.argv) > 1 else "What do you hear?"

tokenizer = AutoTokenizer.from_pretrained(folder)
model = {auto}.from_pretrained(folder).eval()
{adapter}messages = [{{"role": "user", "content": {content}}}]
text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
inputs = tokenizer(text, add_special_tokens=False, return_tensors="pt")
answer = model.generate(**inputs, max_new_tokens=64)[:, inputs["input_ids"].shape[1] :]
print(tokenizer.batch_decode(answer, skip_special_tokens=True)[0].strip())
'''
_ADAPTER: Final = 'model.load_adapter(str(folder / "adapter"))\n'


def write_example(model: OmniModel, found: Found, folder: Path, *, with_code: bool, adapter: bool) -> None:
    """Write `try_it.py` and, for a model with ears, what it reads."""
    family, load = model.family, _ADAPTER if adapter else ""
    if not with_code:
        auto = family.model_class.__name__
        content = '[{"type": "text", "text": question}]' if family.sees or family.hears else "question"
        code = _NATIVE.format(auto=auto, adapter=load, content=content)
    else:
        auto = "AutoModelForImageTextToText" if family.sees else "AutoModelForCausalLM"
        image = '{"type": "image", "image": picture}, ' if family.sees else ""
        code = _CODE.format(auto=auto, adapter=load, image=image)
        _write_media(found, folder / FOLDER)
    (folder / "try_it.py").write_text(code, encoding="utf-8")


def _write_media(found: Found, folder: Path) -> None:
    """A test question of the run with its picture, or a drawn picture and a tone."""
    folder.mkdir(exist_ok=True)
    asked = _of_run(found.run) if found.run is not None else None
    if asked is not None:
        shutil.copyfile(asked[1], folder / "question.wav")
    else:
        seconds = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
        save_wav(folder / "question.wav", (0.3 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32))
    if asked is not None and asked[0] is not None:
        load_image(asked[0]).save(folder / "picture.png")
    else:
        Image.new("RGB", (64, 64), (220, 40, 40)).save(folder / "picture.png")


def _of_run(run: Path) -> tuple[Path | None, Path] | None:
    """Picture and clip of the first spoken item of a benchmark; None without any."""
    data = run / STAGES / "data/benchmarks"
    for file in sorted((run / STAGES / "speech/benchmarks").glob("*/clips.jsonl")):
        spoken = {clip.item: file.parent / clip.path for clip in read_clips(file.parent).clips}
        try:
            items = load_benchmark(file.parent.name, data)
        except InputError:  # The data are elsewhere, or the benchmark is of another package.
            continue
        for item in items:
            if item.id in spoken:
                return resolve(data, item.image) if item.image is not None else None, spoken[item.id]
    return None
