"""Peak memory of the layer-wise term at published depths and vocabulary, in a process of its own.

python layer_map_memory.py TOKENS prints how many MiB forward and backward took above the hidden states.
"""

import re
import sys
from pathlib import Path

import torch
from torch import nn

from earwise.distil.terms import Side, make_term
from earwise.models.states import States
from earwise.recipe.terms import LayerMapTerm

STUDENT_LAYERS, TEACHER_LAYERS, VOCABULARY, WIDTHS = 28, 36, 152_064, (16, 24)


def status(field: str) -> float:
    """MiB of a line in this process's status."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(rf"{field}:\s+(\d+) kB", text)[1]) / 1024


def side(depth, tokens, width):
    layers = torch.randn(depth + 1, tokens, width)
    states = States(layers[-1], layers, torch.zeros(tokens, dtype=torch.long))
    return Side(states, torch.randn(VOCABULARY, width), VOCABULARY - 400, nn.RMSNorm(width).requires_grad_(False))


def grown(tokens: int) -> float:
    """MiB above what the states and heads take."""
    student, teacher = (side(d, tokens, w) for d, w in zip((STUDENT_LAYERS, TEACHER_LAYERS), WIDTHS, strict=True))
    student.states.layers.requires_grad_(True)
    term = make_term(LayerMapTerm(type="layer_map", weight=1.0))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the highest memory so far is forgotten
    before = status("VmRSS")
    term(student, teacher).sum().backward()
    assert student.states.layers.grad.abs().max() > 0
    return status("VmHWM") - before


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(f"{grown(int(sys.argv[1])):.0f}")
