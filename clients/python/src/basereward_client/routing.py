"""Which server a group goes to, so that its picture and its question are computed on one of them only.

By rendezvous hashing: every server has a weight for every group, and the greatest wins. When a server goes, only its own groups move;
when one comes, only the groups that it wins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def order(urls: Sequence[str], key: str) -> list[str]:
    """The servers of a group, the first choice first."""
    return sorted(urls, key=lambda url: (hashlib.sha256(f"{url}\n{key}".encode()).digest(), url), reverse=True)
