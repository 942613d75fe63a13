"""Whether an exported folder answers as `earwise evaluate` did: `python bench/export.py RUN:TRAINING FOLDER`.

The folder is loaded by plain transformers, in a process in which earwise cannot be imported, and answers benchmark
questions of the run, half of them typed and half spoken, in batches.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from serve import Asked, questions

PLAIN = """
import base64, io, json, sys
sys.modules["earwise"] = None  # an import of it fails
import numpy as np, wave
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
folder, file, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
model = AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=True).eval()
if len(sys.argv) > 4:
    model.load_adapter(sys.argv[4])

def part(given):
    if given["type"] == "image_url":
        content = base64.b64decode(given["image_url"]["url"].partition(",")[2])
        return {"type": "image", "image": Image.open(io.BytesIO(content))}
    if given["type"] == "input_audio":
        with wave.open(io.BytesIO(base64.b64decode(given["input_audio"]["data"]))) as clip:
            raw = clip.readframes(clip.getnframes())
        return {"type": "audio", "audio": np.frombuffer(raw, dtype="<i2").astype(np.float32) / 32768}
    return given

bodies = [json.loads(line) for line in open(file)]
for start in range(0, len(bodies), size):
    asked = [[{"role": "user", "content": [part(one) for one in body["messages"][0]["content"]]}] for body in
             bodies[start : start + size]]
    inputs = processor.apply_chat_template(asked)
    answers = model.generate(**inputs, max_new_tokens=24)[:, inputs["input_ids"].shape[1] :]
    print(*map(json.dumps, processor.batch_decode(answers)), sep="\\n", flush=True)
"""


def answers(folder: Path, asked: list[Asked], batch: int) -> list[str]:
    """The folder's answers, in a process of its own."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(one.body.decode() + "\n" for one in asked)
        file.flush()
        adapter = [str(folder / "adapter")] if (folder / "adapter").is_dir() else []
        command = [sys.executable, "-c", PLAIN, str(folder), file.name, str(batch), *adapter]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    """Compare, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="RUN:TRAINING of a finished run with pictures")
    parser.add_argument("folder", type=Path, help="what `earwise export` wrote of it")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    asked = questions(options.model, options.questions)
    told = answers(options.folder, asked, options.batch)
    same = sum(one.expected == text for one, text in zip(asked, told, strict=True))
    result = {"questions": len(asked), "same": same, "distinct": len({one.expected for one in asked})}
    print(json.dumps(result))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
