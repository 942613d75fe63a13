"""Small recipes for the torture suite, with every kind of stage."""

from __future__ import annotations

from commands import PROJECT  # noqa: F401 - puts the tests' helpers on the path
from test_pipeline import RECIPE as PIPELINE

__all__ = ["PIPELINE", "SIGHT"]

_SOUNDS = """\
[data]
source = "micro_sounds"
seed = 7
train_clips = 12
validation_clips = 2
test_clips = 6
seen_clips = 6
listen_clips = 6
event_clips = 2
known_clips = 6
guard_items = 4
questions_per_clip = 2
"""

SIGHT = (
    'name = "sight"\n'
    + _SOUNDS
    + """\
[traces]
teacher = { type = "local", model = "viewer-micro", batch_size = 8 }
system = ""
request = ""
n = 2
temperature = 0.5
max_tokens = 48
[verify]
checker = { type = "local", model = "checker-micro", batch_size = 8 }
method = "describe"
request = "write down what you hear"
unit = "claim"
agreed_only = false
max_tokens = 48
words = ["bell", "bird", "clock", "dog", "drum", "flute", "siren", "trumpet"]
bar = { precision = 0.0, recall = 0.0, accuracy = 0.0 }
[model]
base = "listener-micro"
ears = { encoder = "native", train = "none" }
decoder = "full"
[training]
steps = 4
batch_size = 2
lr = 1e-4
save_every = 1
[train.sft]
start = "base"
data = "traces"
view = "sound_text"
terms = [{ type = "sft", weight = 1.0 }]
[train.grpo]
start = "sft"
view = "sound_text"
terms = [{ type = "grpo", weight = 1.0, group = 2, max_tokens = 24, rewards = [{ type = "format", weight = 1.0 }] }]
[evaluate]
benchmarks = ["avqa"]
views = ["sound_text"]
text_view = "text_only"
speech_view = "sound_text"
batch_size = 8
max_new_tokens = 24
[report]
"""
)
"""Traces, verification and GRPO."""
