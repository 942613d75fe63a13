"""Tables that the tiny recipes of several tests have in common."""

NAMED_VOICES = """\
[speech]
engine = { type = "espeak" }
train_voices = ["en-us+m3", "en-us+f1"]
test_voices = ["en-us+f4"]
rates_wpm = [160, 190]
pitches = [40, 60]
"""

DRAWN_VOICES = """\
[speech]
engine = { type = "espeak" }
train_voices = 3
test_voices = 2
rates_wpm = [160, 190]
pitches = [40, 60]
"""

MODEL = """\
[model]
base = "vlm"
ears = { encoder = "fresh", layers = 1, width = 16, heads = 2, mel_bins = 16, stack = 5, hidden = 24 }
"""

ENCODER = """\
[encoder]
layers = 1
width = 16
heads = 2
mel_bins = 16
steps = 4
batch_size = 4
lr = 1e-3
"""
