"""The walks of CONTRIBUTING.md to a view and to a stage, done as they stand there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from test_adding_a_benchmark import apply

PROJECT = Path(__file__).parent.parent

VIEW = """
from earwise.views import CLIP_VIEWS, SPOKEN_VIEWS, is_heard, view_spec
name = "video_spoken_form"
print([view_spec(name).context, name in CLIP_VIEWS, name in SPOKEN_VIEWS, is_heard(name)])
"""
STAGE = """
import sys
from pathlib import Path
from earwise.planning.compile import compile_recipe
from earwise.recipe import load_recipe
from earwise.work.run import Run
recipe = load_recipe(Path(sys.argv[1]), sys.argv[2:])
run = Run(Path("run"), recipe, say=lambda line: None)
jobs = compile_recipe(recipe)
print(run.execute(jobs, [job.name for job in jobs if job.verb == "words"])[-2:], run.execute(jobs, ["words/train"]))
print([job.settings for job in jobs if job.verb == "words"], Path("run/stages/words/train/words.txt").read_text())
"""


def walked(section: str, folder: Path) -> dict[str, int]:
    """The package with the section's diffs in `folder`, and how many lines each file has more."""
    shutil.copytree(PROJECT / "src/earwise", folder / "src/earwise", ignore=shutil.ignore_patterns("__pycache__"))
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition(f"## {section}")[2].partition("\n## ")[0]
    (diff,) = re.findall(r"^```diff\n(.*?)^```$", text, flags=re.M | re.S)
    more = {}
    for part in re.split(r"^--- .*\n", diff, flags=re.M)[1:]:
        name = part.partition("\n")[0].removeprefix("+++ b/")
        path = folder / name
        before = path.read_text(encoding="utf-8") if path.exists() else None
        lines = part.partition("\n")[2]
        after = re.sub(r"^\+", "", lines.partition("@@\n")[2], flags=re.M) if before is None else apply(lines, before)
        path.write_text(after, encoding="utf-8")
        more[name] = len(after.splitlines()) - len((before or "").splitlines())
    return more


def told(code: str, folder: Path, *arguments: str) -> str:
    """What the changed package prints."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_view_is_one_row_and_its_name(tmp_path: Path) -> None:
    assert walked("How to add a view", tmp_path) == {"src/earwise/views.py": 2}
    assert told(VIEW, tmp_path).split() == "['video', True, False, False]".split()


def test_a_stage_is_three_files(tmp_path: Path) -> None:
    more = walked("How to add a stage", tmp_path)
    assert len(more) == 3
    assert more["src/earwise/planning/compile.py"] == 2
    small = ["data.train_images=6", "data.validation_images=1", "data.test_images=12", "data.transcribe_items=6"]
    out = told(STAGE, tmp_path, str(PROJECT / "recipes/quickstart.toml"), *small, "speech.train_voices=2").splitlines()
    worked, _, again = out[0].rpartition(" [")
    assert json.loads(worked.replace("'", '"')) == ["words/train", "words/transcribe"]
    assert again == "]"
    assert out[1].startswith("[{}, {}] ")
    assert int(out[1].rpartition(" ")[2]) > 20
