"""The golden cases: small drawn pictures and the rows that show them.

Each case is a well-formed input row of `basereward score`. Goldens that are committed keep the intermediate values of
three cases only: one window, several windows, and several frames.
"""

import math
from pathlib import Path

from PIL import Image, ImageDraw

# Cases whose stages are kept when the goldens must be small.
STAGED = ["single_image", "odd_wide", "video"]


def gradient(width: int, height: int, phase: float) -> Image.Image:
    """A smooth colored background, different in every channel, so that no resize or channel mistake hides."""
    image = Image.new("RGB", (width, height))
    for y in range(height):
        for x in range(width):
            red = 127 + 120 * math.sin(0.05 * x + phase)
            green = 127 + 120 * math.sin(0.07 * y + 2 * phase)
            blue = 127 + 120 * math.sin(0.03 * (x + 2 * y) + 3 * phase)
            image.putpixel((x, y), (int(red), int(green), int(blue)))
    return image


def picture(width: int, height: int, shape: str, color: str, phase: float, at: float = 0.5) -> Image.Image:
    """A gradient with one filled shape in its middle; `at` moves the shape from left to right."""
    image = gradient(width, height, phase)
    radius = min(width, height) // 4
    x, y = int(width * at), height // 2
    box = (x - radius, y - radius, x + radius, y + radius)
    draw = ImageDraw.Draw(image)
    (draw.rectangle if shape == "square" else draw.ellipse)(box, fill=color)
    return image


def write_pictures(folder: Path) -> None:
    """Draws all pictures into `folder` as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {
        "square": picture(84, 56, "square", "red", 0.3),
        "circle": picture(70, 75, "circle", "blue", 1.1),
        "odd_tall": picture(61, 113, "circle", "yellow", 2.0),
        "odd_wide": picture(200, 30, "square", "lime", 0.7),
        "windows": picture(170, 190, "circle", "white", 1.7),
    }
    for frame in range(5):
        pictures[f"frame{frame}"] = picture(64, 52, "circle", "orange", 0.9, at=0.2 + 0.15 * frame)
    for name, image in pictures.items():
        image.save(folder / f"{name}.png", optimize=True)


def turn(role: str, content: str | list[dict]) -> dict:
    return {"role": role, "content": content}


def rows(images: str) -> dict[str, dict]:
    """The row of each case by name; `images` is the folder of the pictures, relative to the cases."""
    square, circle, odd_tall, odd_wide, windows = (
        f"{images}/{name}.png" for name in ["square", "circle", "odd_tall", "odd_wide", "windows"]
    )
    frames = [f"{images}/frame{frame}.png" for frame in range(5)]
    question = "What is in the picture?"
    cases = {
        "single_image": {"images": [square], "prompt": question, "responses": ["A red square."]},
        "other_image": {"images": [circle], "prompt": question, "responses": ["A red square."]},
        "two_images": {
            "images": [square, circle],
            "prompt": "The first picture: <image>\nThe second picture: <image>\nWhat is the difference?",
            "responses": ["One shows a red square, the other a blue circle."],
        },
        "same_image_twice": {
            "images": [square, square],
            "prompt": "<image><image> Are the two pictures the same?",
            "responses": ["Yes."],
        },
        "odd_tall": {"images": [odd_tall], "prompt": question, "responses": ["A yellow circle."]},
        "odd_wide": {"images": [odd_wide], "prompt": question, "responses": ["A green square."]},
        "many_windows": {"images": [windows], "prompt": question, "responses": ["A white circle."]},
        "text_only": {"prompt": "How many is two and two?", "responses": ["Four."]},
        "several_turns": {
            "messages": [
                turn("user", "You know the colors?"),
                turn("assistant", "I know them all."),
                turn("user", "<image>Which color has the circle?"),
            ],
            "images": [circle],
            "responses": ["The circle is blue."],
        },
        "system_message": {
            "messages": [
                turn("system", "Answer in one word."),
                turn("user", [{"type": "image"}, {"type": "text", "text": "Which color?"}]),
            ],
            "images": [square],
            "responses": ["Red."],
        },
        "chinese_and_emoji": {
            "images": [circle],
            "prompt": "请描述这张图片。🙂👍",
            "responses": ["图片里有一个蓝色的圆形。🎉 Well done, cafe\u0301!"],
        },
        "three_responses": {
            "images": [square],
            "prompt": question,
            "responses": ["A red square.", "A red circle on a table.", "Nothing;\n\n  I cannot see 3 things.\n"],
        },
        "image_after_text": {"images": [circle], "prompt": "Look at this: <image>", "responses": ["A blue circle."]},
        "video": {
            "videos": [{"frames": frames, "fps": 2.0}],
            "prompt": "What moves?",
            "responses": ["An orange ball moves to the right."],
        },
        "image_and_video": {
            "images": [square],
            "videos": [{"frames": frames[:4], "fps": 3.0}],
            "prompt": "<video> Which of these is in the video? <image>",
            "responses": ["Neither of them."],
        },
    }
    return {name: {"id": name} | row for name, row in cases.items()}
