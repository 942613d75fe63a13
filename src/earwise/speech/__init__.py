"""Questions to sound: text to spoken form, spoken form to clip, and the perturbation of clips.

    spoken_form.py, rules/   written text to words, or the reason why it cannot be spoken
    engine.py                the interface of engines: espeak.py, flite.py, festival.py, huggingface.py, endpoint.py
    voices.py                training voices and test voices without a common speaker
    clips.py                 items to a folder of clips: parallel, cached, resumed
    perturb.py               noise, speed, reverberation
    gate.py                  quality checks of clips; signal.py and recovered.py measure, transcriber.py transcribes

Only `huggingface.py` and `transcriber.py` import torch. They are imported only when a recipe uses them.
"""
