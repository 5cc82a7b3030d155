"""The tests of `/v1` in `tests.app`, the very same ones, against the service on Ray: all that ask it for something."""

import inspect

from tests.app import test_problems
from tests.app.api import (
    test_caching,
    test_digit_parameter,
    test_health,
    test_interpolations,
    test_models,
    test_projections,
    test_samples,
    test_score,
)
from tests.app.api.test_interpolations import images  # noqa: F401  (a fixture, as the next ones)
from tests.app.api.test_projections import digit  # noqa: F401
from tests.app.api.test_score import digits  # noqa: F401
from tests.app.media import test_archives, test_hostile_uploads

MODULES = (
    test_archives,
    test_caching,
    test_digit_parameter,
    test_health,
    test_hostile_uploads,
    test_interpolations,
    test_models,
    test_problems,
    test_projections,
    test_samples,
    test_score,
)
OTHER_SERVICES = {"modelless_service", "prefixed_service", "bundled"}
"""Fixtures that start services of their own, on uvicorn."""

LEFT_OUT = {
    "test_seeded_nonsense_is_never_a_server_error",  # hundreds of requests, for what does not depend on who serves
    "test_requests_under_way_are_told",  # uvicorn begins a request whose body has not come; and one asks here: itself
}

for module in MODULES:
    for name, value in vars(module).items():
        if name.startswith("test_") and callable(value) and name not in LEFT_OUT:
            asks = inspect.signature(value).parameters.keys()
            if asks & {"client", "service"} and not asks & OTHER_SERVICES:
                globals()[f"test_{module.__name__.rpartition('_')[2]}_{name.removeprefix('test_')}"] = value
del module, name, value, asks
