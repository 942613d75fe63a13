"""A small, complete recipe for tests that need one."""

TEXT = """\
name = "quick"
seeds = [0, 1]  # two
[data]
source = "micro"
train_images = 10
validation_images = 2
test_images = 5
turns_per_image = 3
transcribe_items = 10
[speech]
engine = { type = "espeak" }
train_voices = 8
test_voices = ["a", "b"]
rates_wpm = [120, 180.5]
pitches = [40, 60]
[speech.perturb]
noise_snr_db = [5, 20]
probability = 0.5
[model]
base = "internvl-micro"
[model.ears]
encoder = "fresh"
layers = 3
width = 128
heads = 4
stack = 5
hidden = 128
[training]
steps = 10
batch_size = 4
lr = 2e-3
[align]
steps = 10
batch_size = 4
lr = 1
[train.sft]
terms = [{ type = "sft", weight = 1.0 }]
[train.self_kd]
terms = [{ type = "sft", weight = 0.25 }, { type = "logits", weight = 0.75 }]
[train.layers]
start = "self_kd"
steps = 20
terms = [{ type = "logits", weight = 1 }, { type = "layers", weight = 20 }]
[evaluate]
benchmarks = ["mme"]
views = ["image_text", "image_speech"]
batch_size = 8
max_new_tokens = 16
[report]
"""
