"""Texts that the other scripts share: the training text of the tiny vocabulary and plain English words.

Everything here is written for this project. Nothing is read from disk and nothing is random.
"""

import random

# The tiny tokenizer learns its merges from this text, so a few words of the test cases become single
# tokens, some split in the middle, and Chinese and emoji meet merges that cross their byte boundaries.
TRAINING_TEXT = """
You are a helpful assistant.
What is on the table? There are two cups and a book on the table. A cat sits on the chair.
Describe the picture. Describe the image. What is the difference between the two pictures?
The first picture shows a red square, and the second picture shows a blue circle.
How many people are there in the image? There are three people: one is reading, two are talking.
The answer is not correct, because the picture shows nothing of the kind.
I cannot see any dog in the image. The dog is behind the tree. The tree is green and tall.
Which of the following statements about the video is true? The video shows a ball that moves to the right.
She said: "I don't know, it's hard to tell; we'll see what they've found." He's sure that you're right.
Numbers are split into digits: 0 1 2 3 4 5 6 7 8 9, 10, 42, 448, 2026. Prices: $3.50, 20%.
这张图片里有什么?桌子上有两个杯子和一本书。猫坐在椅子上。
请描述这张图片。图片里有三个人。这个回答是正确的。这个回答不正确。
视频里的球向右移动。红色的正方形和蓝色的圆形。谢谢你的回答。
🙂 😀 👍 🎉 ❤️ 🐱 🐶 👩‍💻 I like it 👍👍 well done 🎉 thank you 🙂🙂
def area(width, height):\n    return width * height\n\n
naïve café, über, señor, Ελλάδα, привет, こんにちは, 안녕하세요
"""

# Common words of one token each in the Qwen vocabulary when a space stands before them.
WORDS = """
the a one two three red blue green small large old new young bright dark long short round square open closed
man woman child person people dog cat bird horse tree flower house window door table chair book cup glass plate
street road car bus train bridge river lake mountain beach field garden park city village sky cloud sun snow
sits stands walks runs looks holds carries reads writes plays watches shows points moves waits smiles turns
left right near behind under over above below between beside inside outside around across along
and but or because while when where which that with without from into onto about after before
quickly slowly carefully clearly probably perhaps very quite almost always never often again together
image picture scene view corner center background light shadow color shape line side top bottom front back
""".split()


def sentences(num_words: int, rng: random.Random) -> str:
    """Returns `num_words` words in sentences of 6 to 14 words, with capitals and full stops."""
    words: list[str] = []
    remaining = num_words
    while remaining > 0:
        length = min(remaining, rng.randint(6, 14))
        sentence = [rng.choice(WORDS) for _ in range(length)]
        sentence[0] = sentence[0].capitalize()
        sentence[-1] += "."
        words.extend(sentence)
        remaining -= length
    return " ".join(words)
