"""Small tokenizers of every kind that published models have, with one chat template for each style."""

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizer, PreTrainedTokenizerFast

TEXT = (
    "What color is the circle? it is red. Is there a star in the picture, or two stars and a square? yes it is.",
    "user assistant system You are a helpful assistant. INST one two three image pad end start",
    "The first answer is\nof two lines.\n\nAnd a list: 1, 2, 3 <|>[]_/",
)
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}"
)
"""As Qwen's and InternVL's: special tokens around every message."""
INST = (
    "{% for m in messages %}{% if m.role == 'user' %}<s>[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }} </s>{% endif %}{% endfor %}"
)
"""As Llama's and Mistral's: words around a question, and no special token before the answer."""
STRIPPING = "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|im_end|>\n{% endfor %}"
"""As Phi's, whose special tokens swallow the line break behind them."""
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>", "<s>", "</s>")


def byte_level(template=CHATML, *, stripping=False):
    """Byte-level BPE with Qwen2's way to cut words."""
    core = Tokenizer(models.BPE())
    core.normalizer = normalizers.NFC()
    words = r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        TEXT * 3,
        trainers.BpeTrainer(vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False),
    )
    marks = [*SPECIAL, "<|user|>", "<|assistant|>"]
    core.add_special_tokens([AddedToken(one, rstrip=stripping, normalized=False, special=True) for one in marks])
    core.add_tokens([AddedToken("<|file_sep|>", normalized=False), AddedToken("<think>", normalized=False)])
    return _fast(core, template, unk_token="<|endoftext|>")


def sentence_piece(scheme, template=INST, *, unigram=False):
    """Words with a space mark before them: at every text, or only where a sequence begins (`scheme`)."""
    core = Tokenizer(models.Unigram() if unigram else models.BPE(unk_token="<unk>", byte_fallback=True))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=unigram)
    core.decoder = decoders.Metaspace(prepend_scheme=scheme)
    if unigram:
        trainer = trainers.UnigramTrainer(
            vocab_size=180, unk_token="<unk>", special_tokens=["<unk>", *SPECIAL], show_progress=False
        )
    else:
        trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>", *SPECIAL], show_progress=False)
    core.train_from_iterator(TEXT * 3, trainer)
    return _fast(core, template, unk_token="<unk>")


def words_between_blanks(template=CHATML):
    """A vocabulary of words in which the special tokens are words, too: the model itself finds them."""
    known = ["<unk>", *SPECIAL, *sorted({word for text in TEXT for word in text.split()})]
    core = Tokenizer(models.WordLevel({word: n for n, word in enumerate(known)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.add_special_tokens(list(SPECIAL))
    return _fast(core, template, unk_token="<unk>")


class Characters(PreTrainedTokenizer):
    """A slow tokenizer, written in Python: one character, one token."""

    def __init__(self, **options):
        self._known = sorted({character for text in TEXT for character in text})
        super().__init__(**options)

    @property
    def vocab_size(self):
        return len(self._known)

    def get_vocab(self):
        return {**{one: n for n, one in enumerate(self._known)}, **self._added_tokens_encoder}

    def _tokenize(self, text, **_):
        return list(text)

    def _convert_token_to_id(self, token):
        return self._known.index(token) if token in self._known else self._known.index("?")

    def _convert_id_to_token(self, index):
        return self._known[index]


def characters(template=CHATML):
    """`Characters` with the special tokens."""
    tokenizer = Characters(eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.add_tokens([AddedToken(one, special=True, normalized=False) for one in SPECIAL], special_tokens=True)
    tokenizer.chat_template = template
    return tokenizer


def _fast(core, template, unk_token):
    end = "</s>" if template == INST else "<|im_end|>"
    return PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token=unk_token, pad_token="<|endoftext|>", eos_token=end, chat_template=template,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip


KINDS = {
    "byte-level": byte_level,
    "byte-level that strips": lambda: byte_level(STRIPPING, stripping=True),
    "byte-level without special tokens around a question": lambda: byte_level(INST),
    "space mark first": lambda: sentence_piece("first"),
    "space mark always": lambda: sentence_piece("always"),
    "space mark in special tokens": lambda: sentence_piece("first", CHATML),
    "unigram": lambda: sentence_piece("first", CHATML, unigram=True),
    "unigram, words around": lambda: sentence_piece("always", unigram=True),
    "words between blanks": words_between_blanks,
    "slow": characters,
}
