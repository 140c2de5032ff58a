"""A reward server as people write it with FastAPI and transformers: one forward pass for each request, for comparison.

It takes the bodies of `/v1/reward` that `load_server.py` sends and gives as much of the reply as is compared. Nothing is
kept between requests and nothing is joined across them; the answers of one request are one padded batch.
"""

import argparse
import base64
import io
import socket
import threading
from pathlib import Path

import fastapi
import torch
import uvicorn
from PIL import Image
from transformers import Qwen2_5_VLProcessor

from reward_model import RewardModel, conversations
from serving import HOST


class Scorer:
    """The model behind a lock: threads that share two cores only hinder each other."""

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        self.processor = Qwen2_5_VLProcessor.from_pretrained(folder)
        self.model = RewardModel.load(folder, dtype)
        self.end_of_turn = self.processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
        self.lock = threading.Lock()

    def score(self, row: dict) -> list[float]:
        images = [picture(url) for url in row.get("images", [])]
        texts = [self.processor.apply_chat_template(one, tokenize=False) for one in conversations(row)]
        arguments = {"images": [images for _ in texts]} if images else {}
        encoded = self.processor(text=texts, padding=True, padding_side="right", return_tensors="pt", **arguments)
        with self.lock, torch.inference_mode():
            hidden = self.model.hidden_states(dict(encoded))
            closes = (encoded["input_ids"] == self.end_of_turn).long()
            last = closes.shape[1] - 1 - closes.flip(1).argmax(1)
            return self.model.rewards(hidden[torch.arange(len(texts)), last]).tolist()


def picture(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")


def application(scorer: Scorer) -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    # Not `async`: such routes run on FastAPI's own threads, so that the model does not stop the reading of requests.
    @app.post("/v1/reward")
    def reward(row: dict) -> dict:
        return {"rewards": scorer.score(row)}

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="bf16")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[arguments.dtype]
    app = application(Scorer(arguments.model, dtype))
    listener = socket.create_server((HOST, 0), backlog=1024)
    print(f"serving at http://{HOST}:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
