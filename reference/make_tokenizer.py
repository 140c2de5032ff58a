"""Writes the tokenizer, chat template and image processor files of a Qwen2.5-VL folder.

`--vocabulary qwen` is the real vocabulary of 151,643 tokens: the ranks come from the PyPI package `dashscope`,
and the merges of byte-pair encoding are recovered from them. `--vocabulary tiny` is learned from a few
lines of text (`texts.py`): 256 bytes and 256 merges. Both carry the same special tokens in the same order.
"""

import argparse
import base64
import json
from importlib import resources
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from texts import TRAINING_TEXT

# Text is cut here before bytes are merged: contractions, letters with at most one leading sign, single
# digits, runs of other signs, line ends, other blanks.
PRE_TOKENIZER_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# In the order of their ids, which follow the vocabulary's own tokens without a gap.
SPECIAL_TOKENS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
# Added like the special ones, but not marked `special`.
ADDED_TOKENS = [
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
]
TINY_TOKENS = 512


def byte_characters() -> list[str]:
    """The printable character that stands for each byte in byte-level vocabularies (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    characters = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        if byte not in characters:
            characters[byte] = chr(0x100 + len(characters) - len(printable))
    return [characters[byte] for byte in range(256)]


def last_merge(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two pieces whose merge makes `token`: merge by rank, with lower ranks only, until two are left."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        pairs = [ranks.get(parts[i] + parts[i + 1], len(ranks)) for i in range(len(parts) - 1)]
        best = min(range(len(pairs)), key=pairs.__getitem__)
        if pairs[best] >= ranks[token]:
            raise ValueError(f"token {token!r} cannot be made by merging tokens of lower rank")
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts[0], parts[1]


def qwen_model() -> models.BPE:
    """The published vocabulary: token id = rank, merges in the order of the ranks."""
    text = resources.files("dashscope").joinpath("resources/qwen.tiktoken").read_text()
    lines = (line.split() for line in text.splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    characters = byte_characters()

    def spelled(token: bytes) -> str:
        return "".join(characters[byte] for byte in token)

    ordered = sorted(ranks, key=ranks.__getitem__)
    merges = [tuple(map(spelled, last_merge(token, ranks))) for token in ordered if len(token) > 1]
    return models.BPE(vocab={spelled(token): rank for token, rank in ranks.items()}, merges=merges)


def byte_level_tokenizer(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRE_TOKENIZER_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def make_tokenizer(vocabulary: str) -> Tokenizer:
    """The tokenizer named `qwen` or `tiny`, with all special tokens."""
    if vocabulary == "qwen":
        tokenizer = byte_level_tokenizer(qwen_model())
    else:
        tokenizer = byte_level_tokenizer(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=TINY_TOKENS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        )
        tokenizer.train_from_iterator([TRAINING_TEXT], trainer)
        # Rebuilt, so that only the vocabulary and the merges of the training are kept.
        learned = json.loads(tokenizer.to_str())["model"]
        merges = [tuple(pair) for pair in learned["merges"]]
        tokenizer = byte_level_tokenizer(models.BPE(vocab=learned["vocab"], merges=merges))
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS])
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in ADDED_TOKENS])
    return tokenizer


def chat_template() -> str:
    return Path(__file__).with_name("chat_template.jinja").read_text()


def tokenizer_config(tokenizer: Tokenizer) -> dict:
    added = {
        str(token_id): {
            "content": token.content,
            "lstrip": token.lstrip,
            "normalized": token.normalized,
            "rstrip": token.rstrip,
            "single_word": token.single_word,
            "special": token.special,
        }
        for token_id, token in sorted(tokenizer.get_added_tokens_decoder().items())
    }
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": added,
        "additional_special_tokens": SPECIAL_TOKENS[1:],
        "bos_token": None,
        "chat_template": chat_template(),
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


def image_processor_config() -> dict:
    """The published preprocessor_config.json of Qwen2.5-VL (the mean and deviation are CLIP's)."""
    return {
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_processor_type": "Qwen2VLImageProcessor",
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "max_pixels": 12845056,
        "merge_size": 2,
        "min_pixels": 3136,
        "patch_size": 14,
        "processor_class": "Qwen2_5_VLProcessor",
        "temporal_patch_size": 2,
    }


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_processor_files(folder: Path, vocabulary: str) -> Tokenizer:
    """Writes the tokenizer, chat template and image processor files into `folder`; returns the tokenizer.

    The template stands in chat_template.json too, as in the published folders: the processor class of
    transformers looks for it there, and the tokenizer in its own config.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(vocabulary)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    write_json(folder / "tokenizer_config.json", tokenizer_config(tokenizer))
    write_json(folder / "chat_template.json", {"chat_template": chat_template()})
    write_json(folder / "preprocessor_config.json", image_processor_config())
    return tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write into; made if it does not exist")
    parser.add_argument("--vocabulary", choices=["qwen", "tiny"], default="qwen")
    arguments = parser.parse_args()
    tokenizer = write_processor_files(arguments.out, arguments.vocabulary)
    end_of_turn = tokenizer.token_to_id("<|im_end|>")
    print(f"{arguments.out}: {tokenizer.get_vocab_size()} tokens, `<|im_end|>` is {end_of_turn}")


if __name__ == "__main__":
    main()
