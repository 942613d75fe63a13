"""Questions become sound: text to spoken form, spoken form to clip, and the perturbation of clips.

    spoken_form.py, rules/   what is said for a written text, or why it cannot be said
    engine.py                what an engine is; espeak.py, flite.py, festival.py, huggingface.py and endpoint.py are
                             the five
    voices.py                training voices and test voices without a common speaker
    clips.py                 items to a folder of clips: parallel, cached, resumed
    perturb.py               noise, speed, reverberation
    gate.py                  which clips are good enough; signal.py and recovered.py measure, transcriber.py listens

Only `huggingface.py` and `transcriber.py` import torch, and only when they are opened.
"""
