"""The entrance: the outer layers that a request passes first, namely access log and traces, CORS, and API keys.

Each layer exists only if a setting asks for it. The same objects serve two paths. `around` makes ASGI layers of them,
which are the reference. The fast path (`app.server.fast_path`), which sends no ASGI messages, calls them directly;
tests compare its answers with those of the layers, byte by byte.
"""

from collections.abc import Sequence

from starlette.types import ASGIApp, Scope

from app.middleware.access_log import Observe, Observer, Spans
from app.middleware.auth import Keys, RequireKey, private
from app.middleware.cors import Cors, nothing
from app.telemetry.metrics import Metrics

Headers = list[tuple[bytes, bytes]]


class Entrance:
    """The outer layers that the settings ask for, for the ordinary path and for the fast path.

    Args:
        key_hashes: hashes of the keys, one of which a request needs; if there are none, no key is needed.
        has_admin_key: whether `/admin/reload` has a key of its own.
        origins: the origins whose pages may read the answers; if there are none, CORS is off.
        access_log: whether to write a line for each request.
        spans: the recorder of a trace span for each request, or None.
        root_path: prefix of the service's paths.

    Attributes:
        observer: the object that gives requests an id and records them; None if there are neither access log nor spans.
        traces: whether spans are recorded, which show the stages of a request's work.
        varies_by_origin: whether an answer's headers depend on the request's Origin.
    """

    def __init__(
        self,
        *,
        key_hashes: Sequence[str] = (),
        has_admin_key: bool = False,
        origins: Sequence[str] = (),
        access_log: bool = False,
        spans: Spans | None = None,
        root_path: str = "",
    ) -> None:
        self._origins = origins
        self._cors = Cors(nothing, origins) if origins else None
        self._keys = Keys(key_hashes, root_path=root_path, has_admin_key=has_admin_key) if key_hashes else None
        observed = access_log or spans is not None
        self.observer = Observer(access_log=access_log, spans=spans) if observed else None
        self.traces = spans is not None
        self.varies_by_origin = bool(origins)

    def around(self, service: ASGIApp, metrics: Metrics) -> ASGIApp:
        """Wrap a service in these layers.

        Args:
            service: the ASGI application that answers.
            metrics: the metrics that count the requests refused because they have no key.
        """
        if self._keys is not None:
            service = RequireKey(service, keys=self._keys, metrics=metrics)
        if self._origins:  # outside the keys: a browser sends no key with its preflight request
            service = Cors(service, self._origins)
        if self.observer is not None:
            service = Observe(service, observer=self.observer)
        return service

    def admit(self, scope: Scope) -> bool:
        """Whether a request may come in: it has a known key, or none is needed."""
        return self._keys is None or self._keys.admit(scope)

    def rewritten(self, headers: Headers, *, origin: bytes | None) -> Headers:
        """Return an answer's headers as these layers send them for an admitted request, without X-Request-Id.

        Args:
            headers: the headers as the service sends them.
            origin: the request's Origin header, or None.
        """
        if self._keys is not None:
            headers = private(headers)
        return headers if self._cors is None else self._cors.rewritten(headers, origin=origin)
