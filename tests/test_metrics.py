import json
import math
from pathlib import Path

from earwise.work.metrics import Metrics


def read(path: Path) -> list[dict[str, float]]:
    """Whole lines, as strict JSON: what a browser takes."""
    lines = path.read_text().split("\n")[:-1]
    values = [json.loads(line, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name))) for line in lines]
    return [{name: float(value) for name, value in line.items()} for line in values]


def test_lines_read_back_also_when_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "new" / "metrics.jsonl"
    metrics = Metrics(path)
    metrics(1, loss=0.5, lr=1e-3)
    metrics(2, loss=math.inf, lr=math.nan)
    first, second = read(path)
    assert first == {"step": 1, "loss": 0.5, "lr": 1e-3}
    assert second["loss"] == math.inf
    assert math.isnan(second["lr"])


def test_rewinding_drops_what_a_resumed_training_writes_again(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics.jsonl")
    metrics.rewind(3)  # nothing there yet
    for step in (1, 2, 3, 4):
        metrics(step, loss=float(step))
    metrics.rewind(2)
    metrics(3, loss=7.0)
    assert [(line["step"], line["loss"]) for line in read(metrics.path)] == [(1, 1.0), (2, 2.0), (3, 7.0)]


def test_an_unfinished_line_is_dropped_on_opening(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    Metrics(path)(1, loss=1.0)
    whole = path.read_text()
    for cut in range(1, len(whole)):
        path.write_text(whole + whole[:cut])
        assert read(path) == [{"step": 1, "loss": 1.0}]
        Metrics(path)(2, loss=2.0)
        assert [line["step"] for line in read(path)] == [1, 2]
