"""A client of the GAN service: numpy out, retries inside.

GanError                      anything below
    ProblemError              the service said no; carries its problem document
    AnswerError               what came is no answer of this service
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
