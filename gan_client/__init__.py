"""A client of the GAN service: results are NumPy arrays, and failed calls are retried.

GanError                      any of the two below
    ProblemError              the service refused the call; it holds the problem document
    AnswerError               the answer is not one of this service
httpx.TransportError          the service was not reached, or did not answer in time
"""

from gan_client.answers import Interpolation, Models, ModelSummary, Projection, Samples, Score
from gan_client.calls import Picture
from gan_client.client import AsyncClient, Client
from gan_client.errors import AnswerError, GanError, ParameterError, ProblemError
from gan_client.retries import Retries

__all__ = [
    "AnswerError",
    "AsyncClient",
    "Client",
    "GanError",
    "Interpolation",
    "ModelSummary",
    "Models",
    "ParameterError",
    "Picture",
    "ProblemError",
    "Projection",
    "Retries",
    "Samples",
    "Score",
]
