"""Whether a request is sent again, where, and after which pause. Decisions only; nobody waits here."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Optional

from .errors import BaserewardError, NoReply, Refused

# Overload, a proxy without its server, a server that stops, and a time that was over: all may be otherwise in a moment.
RETRIED_STATUSES = (429, 502, 503, 504)
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 8.0
# Whoever is told to come back later than this should hear it instead of waiting.
LONGEST_RETRY_AFTER_SECONDS = 60.0


@dataclass
class Retry:
    """How often a request is sent again, and how long the pauses are."""

    retries: int = 4
    draw: Callable[[], float] = field(default=random.random)

    def pause(self, error: BaserewardError, num_failed: int) -> Optional[float]:
        """Seconds until the next try after `num_failed` ones, or nothing when there is none."""
        if num_failed > self.retries or not is_passing(error):
            return None
        # Between half and all of the longest pause, so that those who failed together do not come back together.
        backoff = min(FIRST_PAUSE_SECONDS * 2.0 ** (num_failed - 1), LONGEST_PAUSE_SECONDS)
        jittered = backoff * (0.5 + 0.5 * self.draw())
        asked = error.retry_after if isinstance(error, Refused) else None
        if asked is None:
            return jittered
        return asked + jittered if asked <= LONGEST_RETRY_AFTER_SECONDS else None


def is_passing(error: BaserewardError) -> bool:
    """Whether the same request may succeed later."""
    return isinstance(error, NoReply) or (isinstance(error, Refused) and error.status in RETRIED_STATUSES)


def moves_on(error: BaserewardError) -> bool:
    """Whether the next try goes to the next server. An overloaded one keeps its groups: it has their pictures."""
    return not (isinstance(error, Refused) and error.status == 429)


def retry_after_seconds(value: Optional[str], now: Optional[datetime] = None) -> Optional[float]:
    """Seconds of a `Retry-After` header, which holds seconds or a date."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - (now or datetime.now(timezone.utc))).total_seconds())
