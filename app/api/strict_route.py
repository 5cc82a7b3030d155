"""The rules for the names of parameters, which hold on every route: each must be known, and be given once."""

from collections.abc import Callable, Collection, Coroutine
from typing import Any, TypeGuard
from urllib.parse import parse_qsl

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel

Given = dict[str, list[str]]


class StrictRoute(APIRoute):
    """A route that refuses unknown and repeated parameters in the query.

    A route whose parameters are documented by hand (`openapi_extra`) parses its query itself. A route whose query is a
    model (pydantic) leaves the unknown names to the model, which reports all mistakes at once.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler, wrapped so that the query is checked first."""
        handle = super().get_route_handler()
        if "parameters" in (self.openapi_extra or {}):
            return handle
        fields = self.dependant.query_params
        model = next((kind for field in fields if _is_model(kind := field.field_info.annotation)), None)
        known = {field.alias for field in fields}

        async def strictly(request: Request) -> Response:
            if query := request.scope["query_string"]:
                if model is None:
                    check_names(given_in(query), known, place="query")
                else:
                    check_names_for(model, given_in(query))
            return await handle(request)

        return strictly


def given_in(query: bytes) -> Given:
    """Return the values of each parameter of a query, by the parameter's name, in the order of the query."""
    given: Given = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        given.setdefault(name, []).append(value)
    return given


def check_names_for(model: type[BaseModel], given: Given) -> None:
    """Refuse repeated parameters of a query for a model, and name the unknown ones beside them.

    If none is repeated, unknown parameters are left to the model, which names them with all other mistakes.

    Raises:
        RequestValidationError: names each repeated parameter, and each unknown one.
    """
    if any(len(values) > 1 for values in given.values()):
        check_names(given, names_of(model), place="query")


def names_of(model: type[BaseModel]) -> set[str]:
    """Return the names of a model's parameters, as a request writes them."""
    return {field.alias or name for name, field in model.model_fields.items()}


def check_names(given: Given, known: Collection[str], *, place: str, lists: Collection[str] = ()) -> None:
    """Refuse unknown and repeated parameters.

    Args:
        given: the values by name.
        known: the names that exist.
        place: where the parameters were given, "query" or "body".
        lists: the names that may be given more than once.

    Raises:
        RequestValidationError: names each unknown and each repeated parameter.
    """
    mistakes: list[dict[str, object]] = []
    for name, values in given.items():
        if name not in known:
            mistakes.append({"type": "extra_forbidden", "loc": (place, name), "msg": "", "input": values[0]})
        elif len(values) > 1 and name not in lists:
            mistakes.append(
                {"type": "repeated", "loc": (place, name), "msg": repeated(len(values)), "input": values[-1]}
            )
    if mistakes:
        raise RequestValidationError(mistakes)


def repeated(times: int) -> str:
    """Return the error text for a parameter that is given `times` times, more than once."""
    return f"it is given {times} times; give it once"


def _is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
