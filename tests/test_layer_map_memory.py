import os
import subprocess
import sys
from pathlib import Path


def test_28_layers_against_36_over_152064_words_take_no_300_mib_above_the_states():
    """More tokens than fit one block of logits; the student's logits of all layers alone would take 552 MiB."""
    script = Path(__file__).with_name("layer_map_memory.py")
    done = subprocess.run(
        [sys.executable, str(script), "34"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert 10 < int(done.stdout) <= 300
