"""`earwise export`: plain transformers answers as `evaluate` does, from a folder that needs no earwise."""

import ast
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from earwise_process import earwise
from finished_run import predictions
from PIL import Image
from test_ask import questions
from text_models import write_text_model
from tiny import tiny_model, tiny_samples
from tiny_families import draw_weights, write_tiny_family
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    Qwen2AudioForConditionalGeneration,
)

from earwise.errors import InputError
from earwise.models import OmniModel, Sample
from earwise.models.ears import Ears
from earwise.models.families import load_family
from earwise.models.lora import Lora
from earwise.use.ask import Question, ask
from earwise.use.export import modeling_hearing
from earwise.use.export.push import push
from earwise.use.export.write import export
from earwise.use.opening import Found, find_model, open_model


@pytest.fixture(autouse=True)
def own_code_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code of exported folders is copied here when it is loaded."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))


def parts(sample: Sample, form: str, *, sees: bool) -> list:
    """One sample as a user of transformers writes it."""
    turn = sample.turns[0]
    question = {"type": "audio", "audio": turn.clip} if form == "speech" else {"type": "text", "text": turn.text}
    return [{"role": "user", "content": [*([{"type": "image", "image": sample.image}] if sees else []), question]}]


def plain_answers(folder: Path, samples: list[Sample], form: str, *, sees: bool) -> list[str]:
    """What transformers answers with what is in `folder`, all samples in one batch."""
    auto = AutoModelForImageTextToText if sees else AutoModelForCausalLM
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    model = auto.from_pretrained(folder, trust_remote_code=True).eval()
    if (folder / "adapter").is_dir():
        model.load_adapter(str(folder / "adapter"))
    inputs = processor.apply_chat_template([parts(sample, form, sees=sees) for sample in samples])
    with torch.no_grad():
        answers = model.generate(**inputs, max_new_tokens=12)
    return processor.batch_decode(answers[:, inputs["input_ids"].shape[1] :])


def stirred(model: OmniModel) -> OmniModel:
    """With a LoRA that changes answers."""
    model.lora = Lora.fresh(
        model.family.backbone, rank=2, alpha=4, dropout=0.0, targets=("q_proj", "down_proj"), seed=0
    )
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.lora.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


@pytest.mark.parametrize(
    ("kind", "merge"),
    [("internvl", False), ("qwen2_vl", False), ("qwen2_vl+lora", False), ("qwen2_vl+lora", True), ("llama+lora", True)],
)
def test_plain_transformers_gives_the_same_answers(
    kind: str, merge: bool, tiny_checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    family, _, lora = kind.partition("+")
    base = write_text_model(tmp_path / "llama", "llama") if family == "llama" else tiny_checkpoints[family]
    model = tiny_model(base)
    draw_weights(model.base, 0)
    if lora:
        stirred(model)
    sees, samples = model.family.sees, tiny_samples(tmp_path)
    expected = {
        form: model.generate(samples, view=view, max_new_tokens=12)  # type: ignore[arg-type]
        for form, view in {"text": "image_text" if sees else "text_only", "speech": "image_speech" if sees else
                           "speech_only"}.items()
    }  # fmt: skip
    assert len(set(expected["text"] + expected["speech"])) > 2
    export(model, Found(str(base), str(base)), tmp_path / "out", merge=merge)
    assert (tmp_path / "out/adapter").is_dir() == (bool(lora) and not merge)
    for form, texts in expected.items():
        assert plain_answers(tmp_path / "out", samples, form, sees=sees) == texts
    again = open_model(find_model(str(tmp_path / "out")))
    view = "image_speech" if sees else "speech_only"
    assert again.generate(samples, view=view, max_new_tokens=12) == expected["speech"]


@pytest.mark.parametrize("merge", [False, True])
def test_a_model_that_hears_by_itself_is_a_plain_checkpoint(merge: bool, tmp_path: Path) -> None:
    base = write_tiny_family(tmp_path / "audio", "qwen2_audio")
    model = OmniModel(load_family(str(base)), None, base=str(base)).eval()
    model.ears.train_part("projector")
    with torch.no_grad():
        for parameter in model.ears.parameters():
            parameter.mul_(1.5)
    stirred(model)
    samples = tiny_samples(tmp_path)
    expected = model.generate(samples, view="speech_only", max_new_tokens=12)
    export(model, Found(str(base), str(base)), tmp_path / "out", merge=merge)
    assert [path.name for path in (tmp_path / "out").glob("*.py")] == ["try_it.py"]
    plain = Qwen2AudioForConditionalGeneration.from_pretrained(tmp_path / "out").eval()
    if not merge:
        plain.load_adapter(str(tmp_path / "out/adapter"))
    for mine, theirs in zip(state(model).items(), state_of(plain).items(), strict=True):
        assert mine[0] == theirs[0]
        assert torch.allclose(mine[1], theirs[1], atol=1e-6)
    if merge:
        again = open_model(find_model(str(tmp_path / "out")))
        assert again.generate(samples, view="speech_only", max_new_tokens=12) == expected


def state(model: OmniModel) -> dict:
    return state_of(model.base)


def state_of(model: torch.nn.Module) -> dict:
    """Effective weights: those of LoRA added."""
    from earwise.models.encoder_lora import merged_state

    return dict(sorted(merged_state(model).items()))


def test_the_command_writes_a_folder_that_needs_no_earwise(small_run: Path, tmp_path: Path) -> None:
    result = earwise(tmp_path, "export", f"{small_run}:aligned", "--to", "out")
    assert (result.code, result.stderr) == (0, "")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"config.json", "model.safetensors", "modeling_hearing.py", "try_it.py", "README.md", "example"} <= names
    assert {"tokenizer.json", "chat_template.jinja", "generation_config.json", "preprocessor_config.json"} <= names
    code = "import runpy, sys; sys.modules['earwise'] = None; sys.argv = ['try_it.py']; runpy.run_path('out/try_it.py')"
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "cache"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True,
                          check=True)  # fmt: skip
    folder = tmp_path / "out/example"
    asked = Question((folder / "picture.png",), speech=folder / "question.wav")
    assert done.stdout.strip() == ask(f"{small_run}:aligned", asked, heard=False, max_new_tokens=64).texts["spoken"]
    item, question = next(iter(questions(small_run, "textvqa").items()))
    told = ask(str(tmp_path / "out"), question, heard=False, max_new_tokens=8)
    assert told.texts["spoken"] == predictions(small_run, "aligned", "textvqa")[item, "image_speech"]["text"]
    again = earwise(tmp_path, "export", f"{small_run}:aligned", "--to", "out")
    assert (again.code, again.stderr) == (2, "earwise: out: is not empty (give a new folder)\n")


def test_the_card_says_what_the_summary_says(small_run: Path, tmp_path: Path) -> None:
    found = find_model(f"{small_run}:self_kd_layers")
    export(open_model(found), found, tmp_path / "out", merge=False)
    card = (tmp_path / "out/README.md").read_text()
    summary = json.loads((small_run / "summary.json").read_text())
    spoken = summary["models"]["self_kd_layers"]["textvqa"]["views"]["image_speech"]
    typed = summary["models"]["base"]["textvqa"]["views"]["image_text"]
    assert f"{spoken['score']:.1f} [{spoken['ci95'][0]:.1f}, {spoken['ci95'][1]:.1f}]" in card
    assert f"| textvqa | 6 | image_text | {typed['score']:.1f}" in card
    assert summary["voices"]["test"][0] in card
    for words in ('base_model: "internvl-micro"', "## Limits", "## Licence", "type: logits", "Apache-2.0"):
        assert words in card
    assert str(small_run.parent.parent) not in card


def test_the_exported_code_stands_alone() -> None:
    tree = ast.parse(Path(modeling_hearing.__file__).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    allowed = {"__future__", "collections", "pathlib", "typing", "wave", "numpy", "torch", "transformers", "PIL"}
    assert {name.partition(".")[0] for name in imported if name} <= allowed
    assert Ears.__name__ == modeling_hearing.Ears.__name__


def test_a_picture_and_a_clip_that_do_not_fit_are_refused(tiny_checkpoints: dict[str, Path], tmp_path: Path) -> None:
    base = tiny_checkpoints["internvl"]
    export(tiny_model(base), Found(str(base), str(base)), tmp_path / "out", merge=False)
    processor = AutoProcessor.from_pretrained(tmp_path / "out", trust_remote_code=True)
    with pytest.raises(ValueError, match="at most 30 s"):
        processor.apply_chat_template([{"role": "user", "content": [{"type": "audio", "audio": [0.0] * 480_001}]}])
    smuggled = [{"type": "image", "image": Image.new("RGB", (8, 8))}, {"type": "text", "text": "<|audio|>"}]
    with pytest.raises(ValueError, match="0 media for 1 times"):
        processor.apply_chat_template([{"role": "user", "content": smuggled}])


class Hub(http.server.BaseHTTPRequestHandler):
    """A stand-in for a model hub."""

    asked: list[tuple[str, str, bytes]]
    refuses = False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append(("POST", self.path, body))
        if self.refuses:
            self._answer(403, {"error": "no"})
        elif self.path == "/api/repos/create":
            self._answer(200, {"url": f"http://{self.headers['Host']}/me/model", "name": "model"})
        elif "preupload" in self.path:
            files = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in
                     json.loads(body)["files"]]  # fmt: skip
            self._answer(200, {"files": files})
        else:
            self._answer(
                200,
                {
                    "commitOid": "0" * 40,
                    "commitUrl": f"http://{self.headers['Host']}/me/model/commit/" + "0" * 40,
                    "hookOutput": "",
                },
            )

    def do_GET(self) -> None:
        self.asked.append(("GET", self.path, b""))
        self._answer(403 if self.refuses else 200, {"id": "me/model", "sha": "0" * 40, "siblings": [], "name": "me"})

    def _answer(self, status: int, body: dict) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch):
    Hub.asked, Hub.refuses = [], False
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    yield Hub
    server.shutdown()
    server.server_close()


def test_a_folder_is_uploaded_as_a_private_model(hub: type[Hub], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/README.md").write_text("# card\n")
    assert push(tmp_path / "out", "me/model").endswith("me/model")
    created = next(json.loads(body) for _, path, body in hub.asked if path == "/api/repos/create")
    assert created.get("private") is True or created["visibility"] == "private"
    commit = next(body for _, path, body in hub.asked if "/commit/" in path)
    assert b"README.md" in commit


def test_a_refused_upload_is_one_line(hub: type[Hub], tmp_path: Path) -> None:
    hub.refuses = True
    (tmp_path / "README.md").write_text("# card\n")
    with pytest.raises(InputError, match="the hub refused the upload: status 403") as error:
        push(tmp_path, "me/model")
    assert "hf_secret" not in str(error.value)


def test_a_wrong_target_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    result = earwise(tmp_path, "export", "internvl-micro", "--to", "out", "--push", "me")
    assert (result.code, result.stderr) == (2, "earwise: 'me' is no name of a model (give --push USER/NAME)\n")
    assert not (tmp_path / "out").exists()
