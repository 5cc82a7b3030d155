"""OpenTelemetry: records a span for each request, and in it one for its waiting, its inference and its encoding.

It needs the extra `otel`. The standard variables say where spans go, and how many are recorded:
`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, … (OpenTelemetry's specification,
"Environment Variable Specification"). Attributes follow its semantic conventions for HTTP servers.
"""

import time
from collections.abc import Callable
from functools import partial

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from starlette.types import Scope

from app.middleware.access_log import route_of
from app.telemetry.request_ids import RequestId

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
OTHER_METHOD = "_OTHER"
NAME = "gan-service"


class Tracing:
    """Records the spans of requests, and sends them from a thread of its own.

    Args:
        exporter: the OpenTelemetry exporter that sends the spans; None takes OTLP over HTTP.
    """

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: NAME}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(NAME)

    def begin(self, scope: Scope, request: RequestId) -> Callable[[Scope, int, BaseException | None], None]:
        """Begin the span of a request, as a child of its caller's span if there is one; `request` gets the span's ids.

        Returns:
            A function that ends the span. Its arguments are the request's scope, the answer's status, and the error
            that ended the request or None.
        """
        method = _method_of(scope)
        span = self._tracer.start_span(
            _name_of(method),
            context=None if request.caller is None else set_span_in_context(_remote(scope, request)),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": method,
                "url.path": scope["path"],
                "url.scheme": scope.get("scheme", "http"),
            },
        )
        context = span.get_span_context()
        if context.is_valid:
            request.trace_id, request.span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
        return partial(self._end, span, request)

    def _end(self, span: Span, request: RequestId, scope: Scope, status: int, error: BaseException | None) -> None:
        if span.is_recording():
            self._add_stages(span, request)
            if (route := route_of(scope)) is not None:
                span.set_attribute("http.route", route)
                span.update_name(f"{_name_of(_method_of(scope))} {route}")
            span.set_attribute("http.response.status_code", status)
            if status >= 500 or error is not None:
                span.set_attribute("error.type", str(status) if error is None else type(error).__qualname__)
                span.set_status(StatusCode.ERROR)
        span.end()

    def stop(self) -> None:
        """Send the spans that have not been sent, and end the thread."""
        self._provider.shutdown()

    def _add_stages(self, span: Span, request: RequestId) -> None:
        zero_ns = time.time_ns() - time.perf_counter_ns()  # the Unix time at which `perf_counter` was 0
        context = set_span_in_context(span)
        for name, began, ended in request.stages:
            stage = self._tracer.start_span(name, context=context, start_time=zero_ns + int(began * 1e9))
            stage.end(end_time=zero_ns + int(ended * 1e9))


def _method_of(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in METHODS else OTHER_METHOD


def _name_of(method: str) -> str:
    return "HTTP" if method == OTHER_METHOD else method


def _remote(scope: Scope, request: RequestId) -> NonRecordingSpan:
    """Return the caller's span, which the header `traceparent` of the request names.

    Args:
        scope: the request's scope (ASGI); it has the header `tracestate`, if there is one.
        request: the identity of the request, with its parsed `traceparent`.

    Raises:
        ValueError: the request has no valid `traceparent`.
    """
    caller = request.caller
    if caller is None:
        raise ValueError("the request has no caller's span: it came without a valid traceparent")
    states = [value.decode("latin-1") for name, value in scope["headers"] if name == b"tracestate"]
    return NonRecordingSpan(
        SpanContext(
            int(caller.trace_id, 16),
            int(caller.parent_id, 16),
            is_remote=True,
            trace_flags=TraceFlags(caller.flags & TraceFlags.SAMPLED),
            trace_state=TraceState.from_header(states),
        )
    )
