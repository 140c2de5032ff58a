"""Client of the basereward reward server: rewards of answers to questions about pictures.

A reward that could not be had is an error or a `Failed`, and never a number. The adapters for reinforcement-learning libraries are in
`basereward_client.adapters`, one module each; none of them is imported here.
"""

from .async_client import AsyncClient
from .client import Client
from .counters import Counters
from .errors import BaserewardError, DifferentModel, NoReply, Refused, TooManyFailed, UnexpectedReply, UnusableRequest
from .question import Messages, Response, Sample
from .replies import Best, Comparison, Failed, Rewards

__all__ = [
    "AsyncClient",
    "BaserewardError",
    "Best",
    "Client",
    "Comparison",
    "Counters",
    "DifferentModel",
    "Failed",
    "Messages",
    "NoReply",
    "Refused",
    "Response",
    "Rewards",
    "Sample",
    "TooManyFailed",
    "UnexpectedReply",
    "UnusableRequest",
]
