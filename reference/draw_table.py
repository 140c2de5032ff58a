"""Draws examples/table.jpg, the picture of the README's commands: a table with two cups and a book.

    python draw_table.py ../examples/table.jpg

Nothing is random: the versions in pyproject.toml give the same bytes again.
"""

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

# Shapes are drawn this much larger and then shrunk, which smooths their edges.
SCALE = 3
SIDE = 448
QUALITY = 85

Points = list[tuple[float, float]]


def scaled(points: Points) -> Points:
    return [(SCALE * x, SCALE * y) for x, y in points]


def mix(first: tuple, second: tuple, share: float) -> tuple:
    return tuple(round(a + (b - a) * share) for a, b in zip(first, second))


def draw_room(draw: ImageDraw.ImageDraw) -> None:
    """A wall that darkens downwards, and the wooden top of a table in front of it."""
    for y in range(SCALE * SIDE):
        share = y / (SCALE * SIDE)
        draw.line([(0, y), (SCALE * SIDE, y)], fill=mix((206, 219, 222), (150, 172, 180), share))
    draw.polygon(scaled([(40, 236), (408, 236), (470, 400), (-22, 400)]), fill=(176, 122, 74))
    for plank in range(1, 6):
        share = plank / 6
        top, bottom = 40 + 368 * share, -22 + 492 * share
        draw.line(scaled([(top, 236), (bottom, 400)]), fill=(148, 98, 56), width=2 * SCALE)
    draw.polygon(scaled([(-22, 400), (470, 400), (470, 424), (-22, 424)]), fill=(126, 82, 46))
    draw.rectangle([0, SCALE * 424, SCALE * SIDE, SCALE * SIDE], fill=(92, 84, 78))


def draw_shadow(picture: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """A soft dark patch on the table."""
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).ellipse([SCALE * side for side in box], fill=110)
    mask = mask.filter(ImageFilter.GaussianBlur(5 * SCALE))
    return Image.composite(Image.new("RGB", picture.size, (70, 42, 22)), picture, mask)


def draw_cup(draw: ImageDraw.ImageDraw, left: int, top: int, color: tuple, drink: tuple) -> None:
    """A cup of 78 by 84 pixels with a handle on its right."""
    right, bottom = left + 78, top + 84
    dark, light = mix(color, (0, 0, 0), 0.3), mix(color, (255, 255, 255), 0.45)
    draw.ellipse([SCALE * side for side in (right - 14, top + 16, right + 26, top + 62)], outline=dark, width=9 * SCALE)
    draw.polygon(scaled([(left, top), (right, top), (right - 10, bottom), (left + 10, bottom)]), fill=color)
    draw.ellipse([SCALE * side for side in (left + 10, bottom - 9, right - 10, bottom + 9)], fill=color)
    draw.polygon(scaled([(left + 8, top), (left + 20, top), (left + 26, bottom), (left + 16, bottom)]), fill=light)
    draw.ellipse([SCALE * side for side in (left, top - 13, right, top + 13)], fill=light)
    draw.ellipse([SCALE * side for side in (left + 6, top - 9, right - 6, top + 10)], fill=drink)


def draw_book(draw: ImageDraw.ImageDraw) -> None:
    """A closed book that lies between the cups, its pages towards the viewer."""
    draw.polygon(scaled([(176, 316), (296, 300), (330, 344), (200, 364)]), fill=(46, 74, 132))
    draw.polygon(scaled([(200, 364), (330, 344), (330, 366), (200, 387)]), fill=(238, 231, 212))
    draw.polygon(scaled([(176, 316), (200, 364), (200, 387), (176, 338)]), fill=(34, 54, 100))
    for page in range(1, 5):
        y = 4.5 * page
        draw.line(scaled([(200, 364 + y), (330, 344 + y)]), fill=(204, 194, 170), width=SCALE)
    draw.line(scaled([(200, 387), (330, 366)]), fill=(34, 54, 100), width=3 * SCALE)
    draw.polygon(scaled([(212, 324), (276, 315), (290, 333), (224, 343)]), fill=(222, 186, 92))


def picture() -> Image.Image:
    large = Image.new("RGB", (SCALE * SIDE, SCALE * SIDE))
    draw_room(ImageDraw.Draw(large))
    for box in [(64, 318, 196, 352), (166, 350, 350, 398), (300, 284, 424, 316)]:
        large = draw_shadow(large, box)
    draw = ImageDraw.Draw(large)
    draw_cup(draw, 312, 214, (196, 66, 58), (64, 38, 24))
    draw_cup(draw, 82, 246, (240, 238, 230), (118, 74, 40))
    draw_book(draw)
    return large.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    picture().save(parser.parse_args().out, quality=QUALITY, optimize=True)


if __name__ == "__main__":
    main()
