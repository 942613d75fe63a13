"""earwise teaches audio and omni-modal language models what vision and text models already know."""

__version__ = "0.1.0"
