"""Writes the goldens of the `prompt` crate: `python prompt_goldens.py ../crates/prompt/tests/goldens`.

Makes a tiny processor folder (tokenizer, chat template, image settings), small pictures, and what transformers makes of them:
token ids, positions, grids and checksums of pixel values. Everything follows from one seed. Not needed to build or test the crate.
"""

import argparse
import functools
import io
import json
import types
import zlib
from pathlib import Path

import numpy as np
import PIL
import tokenizers
import torch
import torchvision
import torchvision.transforms.v2.functional as tvF
import transformers
from PIL import Image, ImageDraw
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLModel, Qwen2_5_VLProcessor
from transformers.image_utils import load_image
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize
from transformers.video_utils import VideoMetadata

SEED = 20
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
           "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
           "<|image_pad|>", "<|video_pad|>"]
PRETOKENIZER = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
                r"|\s+(?!\S)|\s+")
# Qwen2.5-VL's chat format: a default system turn, one placeholder for each picture, optional numbering.
TEMPLATE = """\
{% set images = namespace(seen=0) %}
{% set videos = namespace(seen=0) %}
{% for message in messages %}
    {% if loop.first and message['role'] != 'system' %}
        {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
    {%- endif %}
    {{- '<|im_start|>' + message['role'] + '\\n' }}
    {%- if message['content'] is string %}
        {{- message['content'] }}
    {%- else %}
        {%- for part in message['content'] %}
            {%- if part['type'] == 'image' or 'image' in part or 'image_url' in part %}
                {%- set images.seen = images.seen + 1 %}
                {%- if add_vision_id %}{{ 'Picture ' ~ images.seen ~ ': ' }}{% endif %}
                {{- '<|vision_start|><|image_pad|><|vision_end|>' }}
            {%- elif part['type'] == 'video' or 'video' in part %}
                {%- set videos.seen = videos.seen + 1 %}
                {%- if add_vision_id %}{{ 'Video ' ~ videos.seen ~ ': ' }}{% endif %}
                {{- '<|vision_start|><|video_pad|><|vision_end|>' }}
            {%- elif 'text' in part %}
                {{- part['text'] }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""
CORPUS = ["What is on the table? Two cups and a book are on the table.", "The cat sits on the mat, and it doesn't move.",
          "How many people are in the picture? There are three people.", "图片里有什么？桌子上有两个杯子和一本书。", "一只猫坐在垫子上。😀🎉🐱",
          "def main():\n    print('hello')\n\n\treturn 42\n", "Café naïve, 1234567 and 3.14159"]


def write_tokenizer(folder):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.normalizer = tokenizers.normalizers.NFC()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Split(tokenizers.Regex(PRETOKENIZER), behavior="isolated"),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.post_processor = tokenizers.processors.ByteLevel(trim_offsets=False)
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=400, show_progress=False,
                                             initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    tokenizer.add_special_tokens(SPECIAL)
    text = tokenizer.to_str(pretty=False)
    (folder / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
    config = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": None,
              "additional_special_tokens": SPECIAL[1:], "model_max_length": 131072, "add_prefix_space": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    return {token: tokenizer.token_to_id(token) for token in SPECIAL}


def write_folder(folder):
    folder.mkdir(parents=True, exist_ok=True)
    ids = write_tokenizer(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    config = {"processor_class": "Qwen2_5_VLProcessor", "image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 3136,
              "max_pixels": 50176, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
              "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
    (folder / "preprocessor_config.json").write_text(json.dumps(config, indent=1) + "\n")
    return ids


def picture(width, height, seed):
    """Smooth colors with a few hard edges: small as PNG, and sensitive to every step."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    base = [127 + 120 * np.sin(x / (5 + 7 * c + seed) + c) * np.cos(y / (9 + 3 * c) + seed) for c in range(3)]
    image = Image.fromarray(np.stack(base, -1).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for i in range(4):
        left, top = (37 * i + 11 * seed) % width, (23 * i + 5 * seed) % height
        draw.rectangle((left, top, left + width // 5, top + height // 6), fill=(60 * i % 256, 255 - 50 * i, 90 + 40 * i))
    return image


def noise(width, height, seed):
    """The same bytes in any language: the high byte of a linear congruential generator."""
    state, out = seed, bytearray()
    for _ in range(width * height * 3):
        state = (state * 1664525 + 1013904223) % 2**32
        out.append(state >> 24)
    return np.frombuffer(bytes(out), np.uint8).reshape(height, width, 3)


def write_pictures(folder):
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {"square.png": (112, 112), "odd.png": (113, 61), "tall.png": (30, 200), "tiny.png": (9, 5), "large.png": (420, 300),
             **{f"frame{i}.png": (70, 45) for i in range(5)}}
    for seed, (name, size) in enumerate(sizes.items()):
        image = picture(*size, seed)
        if name == "large.png":  # few colors keep it small
            image = image.quantize(16, dither=Image.Dither.NONE).convert("RGB")
        image.save(folder / name, optimize=True)


def rows():
    user = lambda *parts: {"role": "user", "content": list(parts)}
    text = lambda t: {"type": "text", "text": t}
    image = {"type": "image"}
    frames = [f"pictures/frame{i}.png" for i in range(5)]
    square, odd, tall, tiny, large = (f"pictures/{n}.png" for n in ("square", "odd", "tall", "tiny", "large"))
    return {
        "single image": {"images": [square], "prompt": "What is on the table?", "responses": ["A cat.", "Two cups and a book."]},
        "odd sizes": {"images": [odd, tall, tiny, large], "prompt": "<image> and <image>, <image>\n<image>", "responses": ["Four."]},
        "image after text": {"images": [square], "prompt": "Look at this: <image>", "responses": ["I see."]},
        "text only": {"prompt": "How many people?\n\n  Three,  or 1234?", "responses": ["There are 3.\n", " leading and trailing "]},
        "several turns": {"images": [square, odd], "messages": [
            user(image, text("What is it?")), {"role": "assistant", "content": "A square."},
            user(text("And "), image, text(" this?"))], "responses": ["It's odd."]},
        "system": {"images": [tiny], "messages": [{"role": "system", "content": "You doubt everything."},
                                                  {"role": "user", "content": "<image>Why?"}], "responses": ["Who knows."]},
        "chinese and emoji": {"images": [square], "prompt": "图片里有什么？😀", "responses": ["桌子上有两个杯子🎉。", "Cafe\u0301 nai\u0308ve 👩‍👩‍👧"]},
        "video": {"videos": [{"frames": frames, "fps": 2.0}], "prompt": "What happens?", "responses": ["Nothing."]},
        "slow video": {"videos": [{"frames": frames[:4], "fps": 0.7}], "prompt": "<video> is slow.", "responses": ["Yes."]},
        "video and image": {"videos": [{"frames": frames[:1], "fps": 3.0}, {"frames": frames, "fps": 24.0}], "images": [odd],
                            "prompt": "Compare <video> with <image> and <video>.", "responses": ["Same."]},
    }


def messages_of(row, folder):
    """The row's first messages with the placeholders resolved, as transformers takes them."""
    images, videos = list(row.get("images", [])), list(row.get("videos", []))
    raw = row.get("messages") or [{"role": "user", "content": row["prompt"]}]
    marked = any("<image>" in str(m["content"]) or "<video>" in str(m["content"]) or "'image'" in str(m["content"]) for m in raw)
    out, pictures, films = [], [], []

    def part(kind):
        if kind == "image":
            pictures.append(load_image(str(folder / images.pop(0))))
        else:
            films.append(videos.pop(0))
        return {"type": kind}

    for message in raw:
        content = message["content"]
        if isinstance(content, str):
            parts = [] if marked or message["role"] != "user" else [part("video") for _ in list(videos)] + [part("image") for _ in list(images)]
            for piece in content.replace("<image>", "\0image\0").replace("<video>", "\0video\0").split("\0"):
                if piece:
                    parts.append(part(piece) if piece in ("image", "video") else {"type": "text", "text": piece})
        else:
            parts = [part(p["type"]) if p["type"] != "text" else p for p in content]
        out.append({"role": message["role"], "content": parts})
    return out, pictures, films


def encode(processor, positions_of, row, response, folder):
    messages, pictures, films = messages_of(row, folder)
    messages.append({"role": "assistant", "content": [{"type": "text", "text": response}]})
    text = processor.apply_chat_template(messages, add_generation_prompt=False)
    plain = [{**m, "content": m["content"][0]["text"]} if [p["type"] for p in m["content"]] == ["text"] else m for m in messages]
    assert text == processor.apply_chat_template(plain, add_generation_prompt=False)
    kwargs = {}
    if films:
        stacks = [np.stack([np.array(load_image(str(folder / f))) for f in film["frames"]]) for film in films]
        metadata = [VideoMetadata(total_num_frames=len(s), fps=film["fps"], frames_indices=list(range(len(s))))
                    for s, film in zip(stacks, films)]
        kwargs = {"videos": stacks, "video_metadata": metadata, "do_sample_frames": False}
    batch = processor(text=[text], images=pictures or None, return_tensors="pt", **kwargs)
    ids = batch["input_ids"][0]
    grids = [batch.get("image_grid_thw", torch.zeros(0, 3)).tolist(), batch.get("video_grid_thw", torch.zeros(0, 3)).tolist()]
    values = {"image": [], "video": []}
    for kind, key, grid in (("image", "pixel_values", grids[0]), ("video", "pixel_values_videos", grids[1])):
        if grid:
            sizes = [int(np.prod(g)) for g in grid]
            values[kind] = [zlib.crc32(v.contiguous().numpy().tobytes()) for v in batch[key].split(sizes)]
    return {"text": text, "token_ids": ids.tolist(), "position_ids": positions_of(batch)[:, 0].T.reshape(-1).tolist(),
            "image_grids": grids[0], "video_grids": grids[1], "image_crc32": values["image"], "video_crc32": values["video"],
            "end_of_turn": int((ids == processor.tokenizer.convert_tokens_to_ids("<|im_end|>")).nonzero()[-1])}


def positions_function(ids):
    config = Qwen2_5_VLConfig(image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
                              vision_config={"tokens_per_second": 2, "spatial_merge_size": 2})
    model = types.SimpleNamespace(config=config)
    model.get_vision_position_ids = functools.partial(Qwen2_5_VLModel.get_vision_position_ids, model)

    def positions(batch):
        if "image_grid_thw" not in batch and "video_grid_thw" not in batch:
            return torch.arange(batch["input_ids"].shape[1]).view(1, 1, -1).expand(3, 1, -1)
        return Qwen2_5_VLModel.get_rope_index(
            model, batch["input_ids"], mm_token_type_ids=batch["mm_token_type_ids"], image_grid_thw=batch.get("image_grid_thw"),
            video_grid_thw=batch.get("video_grid_thw"), second_per_grid_ts=batch.get("second_per_grid_ts"),
            attention_mask=batch["attention_mask"])[0]

    return positions


def resize_cases(random):
    sizes = [(56, 56, 28, 28), (28, 28, 56, 56), (100, 75, 112, 84), (113, 61, 112, 56), (3, 200, 28, 560), (97, 33, 28, 28),
             (33, 97, 33, 28), (50, 40, 28, 40), (1, 1, 28, 28), (2, 7, 56, 28), (300, 11, 28, 28), (16, 16, 17, 15), (64, 48, 63, 49)]
    sizes += [tuple(int(v) for v in random.integers(1, 130, 4)) for _ in range(40)]
    cases = []
    for seed, (width, height, new_width, new_height) in enumerate(sizes):
        tensor = torch.from_numpy(noise(width, height, seed).copy()).permute(2, 0, 1).contiguous()
        resized = tvF.resize(tensor, [new_height, new_width], interpolation=tvF.InterpolationMode.BICUBIC, antialias=True)
        crc = zlib.crc32(resized.permute(1, 2, 0).contiguous().numpy().tobytes())
        cases.append([seed, width, height, new_width, new_height, crc])
    return cases


def smart_resize_cases(random):
    cases = []
    ranges = [(3136, 12845056), (3136, 1003520), (100352, 602112), (12544, 50176)]
    for i in range(600):
        low, high = ranges[i % len(ranges)]
        width, height = (int(v) for v in np.exp(random.uniform(0.7, 9.3, 2)))
        if i % 3 == 0:
            width, height = (width // 14 + 1) * 14, (height // 14 + 1) * 14
        if max(width, height) / min(width, height) > 200:
            continue
        new_height, new_width = smart_resize(height, width, 28, low, high)
        cases.append([width, height, low, high, new_width, new_height])
    return cases


def encoded_pictures(folder):
    """One small file of every kind, and the checksum of the pixels that `load_image` gives."""
    folder.mkdir(parents=True, exist_ok=True)
    base = picture(45, 37, 3)
    alpha = base.convert("RGBA")
    alpha.putalpha(Image.fromarray((np.arange(45 * 37).reshape(37, 45) % 256).astype(np.uint8)))
    gray16 = Image.fromarray((np.arange(45 * 37).reshape(37, 45) * 39).astype(np.uint16))
    files = {
        "420.jpg": (base, {"quality": 85}), "422.jpg": (base, {"quality": 90, "subsampling": 1}),
        "444.jpg": (base, {"quality": 95, "subsampling": 0}), "progressive.jpg": (base, {"quality": 80, "progressive": True}),
        "gray.jpg": (base.convert("L"), {"quality": 90}), "cmyk.jpg": (base.convert("CMYK"), {"quality": 90}),
        "restart.jpg": (base, {"quality": 75, "restart_marker_blocks": 2}),
        "rgb.png": (base, {}), "alpha.png": (alpha, {}), "palette.png": (base.quantize(20), {}), "bit.png": (base.convert("1"), {}),
        "gray.png": (base.convert("L"), {}), "gray_alpha.png": (base.convert("LA"), {}), "gray16.png": (gray16, {}),
        "lossy.webp": (base, {"quality": 80}), "lossless.webp": (alpha, {"lossless": True}), "first.gif": (base, {}), "plain.bmp": (base, {}),
    }
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        files[f"turned{orientation}.jpg"] = (base.crop((0, 0, 24, 16)), {"quality": 90, "subsampling": 0, "exif": exif})
    cases = {}
    for name, (image, options) in files.items():
        image.save(folder / name, **options)
        pixels = np.array(load_image(str(folder / name)))
        cases[name] = {"width": pixels.shape[1], "height": pixels.shape[0], "crc32": zlib.crc32(pixels.tobytes())}
    for name, data in {"rgb16.png": rgb16_png(), **relabelled_jpegs()}.items():
        (folder / name).write_bytes(data)
        pixels = np.array(load_image(str(folder / name)))
        cases[name] = {"width": pixels.shape[1], "height": pixels.shape[0], "crc32": zlib.crc32(pixels.tobytes())}
    return cases


def relabelled_jpegs():
    """Kinds that Pillow reads and does not write: another sampling with as many blocks, another meaning of the channels."""

    def jpeg(image, **options):
        out = io.BytesIO()
        image.save(out, "JPEG", **options)
        return bytearray(out.getvalue())

    def resampled(data, factors, width, height):
        frame = data.index(b"\xff\xc0")
        data[frame + 5:frame + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
        data[frame + 11] = factors
        return bytes(data)

    square = picture(64, 64, 4)
    ycck = jpeg(picture(30, 21, 5).convert("CMYK"), quality=90)
    ycck[ycck.index(b"Adobe") + 11] = 2
    return {"440.jpg": resampled(jpeg(square, subsampling=1), 0x12, 61, 62), "411.jpg": resampled(jpeg(square, subsampling=2), 0x41, 125, 31),
            "ycck.jpg": bytes(ycck), "rgb.jpg": bytes(jpeg(picture(30, 21, 6), keep_rgb=True, subsampling=0)),
            "narrow.jpg": bytes(jpeg(picture(3, 40, 7), subsampling=2))}


def rgb16_png():
    """16 bits for each channel, which Pillow can read and not write."""
    values = (np.arange(9 * 7 * 3) * 347 % 65536).astype(">u2").reshape(7, 27)
    chunk = lambda kind, data: len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    header = (9).to_bytes(4, "big") + (7).to_bytes(4, "big") + bytes([16, 2, 0, 0, 0])
    lines = b"".join(b"\0" + row.tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    random = np.random.default_rng(SEED)
    ids = write_folder(out / "processor")
    write_pictures(out / "pictures")
    processor = Qwen2_5_VLProcessor.from_pretrained(out / "processor")
    positions_of = positions_function(ids)
    cases = {}
    for name, row in rows().items():
        cases[name] = {"row": row, "expected": [encode(processor, positions_of, row, r, out) for r in row["responses"]]}
    provenance = {"script": "reference/prompt_goldens.py", "seed": SEED, "versions": {
        m.__name__: m.__version__ for m in (transformers, torch, torchvision, tokenizers, PIL, np)}}
    write = lambda name, data: (out / name).write_text(
        json.dumps({"provenance": provenance, **data}, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    write("conversations.json", {"token_ids": ids, "cases": cases})
    write("sizes.json", {"columns": ["width", "height", "min_pixels", "max_pixels", "new_width", "new_height"], "cases": smart_resize_cases(random)})
    write("resize.json", {"columns": ["seed", "width", "height", "new_width", "new_height", "crc32"], "cases": resize_cases(random)})
    write("files.json", {"cases": encoded_pictures(out / "files")})


if __name__ == "__main__":
    main()
