"""A client of the GAN service: results are NumPy arrays, and calls that fail for a passing reason are retried.

The exceptions of a call:

GanError                      base class of the two below
    ProblemError              the service refused the call; the exception holds the problem document
    AnswerError               the answer does not come from a GAN service
httpx.TransportError          the service was not reached, or did not answer in time
"""

from gan_client.answers import Interpolation, Models, ModelSummary, PreparationStep, Projection, Samples, Score
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
    "PreparationStep",
    "ProblemError",
    "Projection",
    "Retries",
    "Samples",
    "Score",
]
