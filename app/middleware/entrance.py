"""What stands before the routes where a setting asks for it: the access log and traces, CORS, keys, in this order.

The same objects serve two ways. `around` makes ASGI layers of them, the reference. The fast path, which sends no ASGI
messages, asks them directly; tests compare its answers with those of the layers, byte by byte.
"""

from collections.abc import Sequence

from starlette.types import ASGIApp, Scope

from app.middleware.access_log import Observe, Observer, Spans
from app.middleware.auth import Keys, RequireKey, private
from app.middleware.cors import Cors, nothing
from app.telemetry.metrics import Metrics

Headers = list[tuple[bytes, bytes]]


class Entrance:
    """The layers that the settings ask for.

    Args:
        key_hashes: of the keys of which a request needs one; none: it needs no key.
        origins: whose pages may read the answers; none: there is no CORS.
        access_log: whether to write a line for each request.
        spans: where to record a span for each request, or None.
        root_path: prefix of the service's paths.

    Attributes:
        observer: observes the requests; None where they are not observed.
        traces: whether spans are recorded, which tell the stages of a request's work.
        varies_by_origin: whether an answer's headers depend on the request's Origin.
    """

    def __init__(
        self,
        *,
        key_hashes: Sequence[str] = (),
        origins: Sequence[str] = (),
        access_log: bool = False,
        spans: Spans | None = None,
        root_path: str = "",
    ) -> None:
        self._origins = origins
        self._cors = Cors(nothing, origins) if origins else None
        self._keys = Keys(key_hashes, root_path=root_path) if key_hashes else None
        observed = access_log or spans is not None
        self.observer = Observer(access_log=access_log, spans=spans) if observed else None
        self.traces = spans is not None
        self.varies_by_origin = bool(origins)

    def around(self, service: ASGIApp, metrics: Metrics) -> ASGIApp:
        """A service behind these layers.

        Args:
            service: what answers.
            metrics: counts who is not let in.
        """
        if self._keys is not None:
            service = RequireKey(service, keys=self._keys, metrics=metrics)
        if self._origins:  # before the keys: a browser asks whether it may without sending one
            service = Cors(service, self._origins)
        if self.observer is not None:
            service = Observe(service, observer=self.observer)
        return service

    def admit(self, scope: Scope) -> bool:
        """Whether a request may come in: it has a known key, where one is needed."""
        return self._keys is None or self._keys.admit(scope)

    def rewritten(self, headers: Headers, *, origin: bytes | None) -> Headers:
        """The headers of an answer to a request that was admitted, as these layers send them, but for X-Request-Id.

        Args:
            headers: as the service sends them.
            origin: the request's Origin header, or None.
        """
        if self._keys is not None:
            headers = private(headers)
        return headers if self._cors is None else self._cors.rewritten(headers, origin=origin)
