"""Parses a request for samples into a `SampleJob`, or raises the problem (an HTTP error) of a bad request.

`SampleRequests.parse` is the only place that decides what a request means: the fast path, `GET /v1/samples` and
`POST /v1/samples` all use it. Requests that differ only in their seed share a `SamplePlan`, which is kept, so that they
are not validated again.
"""

import math
import secrets
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
from fastapi.exceptions import RequestValidationError
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError
from starlette.types import Scope

from app.api import caching
from app.api.caching import MAX_TAG_CHARACTERS
from app.api.class_parameter import class_in_url, label_of
from app.api.content_negotiation import SAMPLES_FORMATS, SamplesFormat, choose_format
from app.api.picture_limits import check_pixels, count_pixels
from app.api.sample_listing import list_samples
from app.api.schemas.fields import MAX_GRID_IMAGES
from app.api.schemas.samples import SamplesAnswer, SamplesBody, SamplesQuery
from app.api.strict_route import Given, check_names_for, given_in
from app.inference.catalog import Catalog, ServedModel
from app.inference.jobs import Network, Rows
from app.media.png import INLINE_PIXELS, encode_rows
from app.problems import Problem
from models.grids import assemble_rows, default_columns
from models.inference.word_sampler import words_with_class
from models.latents import SEED_LIMIT, check_latents, draw_words

PATH = "/v1/samples"

MAX_PLANS = 256
"""The most plans that are kept. When there would be more, all of them are dropped."""

MAX_PLAN_CHARACTERS = 256
"""A plan is kept only if its query (without the seed) and its Accept header have at most this many characters."""

SEED_DIGITS = 15
"""A seed of at most this many digits is certainly below 2⁵³, the limit of seeds."""

_BODY_HEADERS = {b"content-length", b"transfer-encoding", b"expect"}
_IF_NONE_MATCH: TypeAdapter[str | None] = TypeAdapter(Annotated[str, Field(max_length=MAX_TAG_CHARACTERS)] | None)


@dataclass(eq=False, slots=True)
class SamplePlan:
    """A validated request without its seed. Requests that differ only in their seed have the same plan.

    Attributes:
        served: the model.
        form: format of the answer.
        asked: the validated parameters. Their seed is that of the request for which the plan was made.
        posted: posted latents [n, z_dim] float32; None if the latents are drawn from a seed.
        label: number of the class that all images show; None if none was asked for.
        first: index of the first image.
        n: number of images.
        columns: number of columns of the grid.
        padding: number of pixels around each image of the grid.
        fixed: headers of the answer that do not depend on the seed, by name in lower case.
        location: the permanent URL in two parts: before the number of the seed, and after it.
        digest: hex digits that identify the plan in ETags.
        is_public: whether the request is a GET, whose answer has an ETag and may be kept by caches.
        is_inline: whether the answer is a PNG or JSON that is small enough to be encoded on the event loop.
        draws_the_prior: whether the latents are drawn from the prior and not truncated, with or without a requested
            class. If so, G can take the 64-bit random words from which the latents are computed.
    """

    served: ServedModel
    form: SamplesFormat
    asked: SamplesQuery
    posted: NDArray[np.float32] | None
    label: int | None
    first: int
    n: int
    columns: int
    padding: int
    fixed: dict[str, str]
    location: tuple[str, str]
    digest: str
    is_public: bool
    is_inline: bool
    draws_the_prior: bool

    def job(self) -> "SampleJob":
        """Make a job with the seed that was asked for, or with a random one. A job of posted latents has no seed."""
        if self.posted is not None:
            return SampleJob(self, None)
        return SampleJob(self, secrets.randbelow(SEED_LIMIT) if self.asked.seed is None else self.asked.seed)


@dataclass(eq=False, slots=True)
class SampleJob:
    """A validated request with its seed. It makes the input of G, and the answer from the images that G draws.

    Attributes:
        plan: the part of the request that does not depend on the seed.
        seed: the seed, 0 ≤ seed < 2⁵³; None if latents were posted.
    """

    plan: SamplePlan
    seed: int | None

    @property
    def etag(self) -> str:
        """The answer's ETag: the plan's digest, which is computed once, and the seed. It is known before G runs."""
        return f'"{self.plan.digest}-{self.seed}"'

    def is_known(self, if_none_match: str | None) -> bool:
        """Whether the client has this answer already. It never has one of a random seed, not even by `*`."""
        return self.plan.asked.seed is not None and caching.matches(if_none_match, self.etag)

    def headers(self) -> dict[str, str]:
        """Return the answer's headers except length and type, by name in lower case. They are known before G runs."""
        plan, headers = self.plan, self.plan.fixed.copy()
        if self.seed is not None:
            before, behind = plan.location
            headers |= {"x-seed": str(self.seed), "content-location": f"{before}{self.seed}{behind}"}
            if plan.is_public:
                headers["etag"] = self.etag
        return headers

    def seed_lines(self) -> str:
        """Return the header lines of a GET's answer that depend on the seed. They come after the lines of `fixed`."""
        plan, seed = self.plan, self.seed
        before, behind = plan.location
        return f'x-seed: {seed}\r\ncontent-location: {before}{seed}{behind}\r\netag: "{plan.digest}-{seed}"\r\n'

    @property
    def network(self) -> Network:
        """The network that takes `rows`. Each network is G, but they differ in their input.

        The input is latents, or 64-bit random words, from which the network computes the latents of a whole batch at
        once. For a requested class, each row of words also contains the class.
        """
        plan = self.plan
        if plan.form != "png" or not plan.draws_the_prior:
            return plan.served.sampler
        if plan.label is None or plan.served.class_sampler is None:
            return plan.served.word_sampler
        return plan.served.class_sampler

    def rows(self) -> Rows:
        """Return the input of `network` for all images: [n, …], one row for each image."""
        plan = self.plan
        if plan.form != "png" or not plan.draws_the_prior:
            return self.latents(0, plan.n)
        words = draw_words(self.seed or 0, plan.first, plan.n, z_dim=plan.served.model.metadata.z_dim)
        return words if plan.label is None else words_with_class(words, plan.label)

    def latents(self, start: int, count: int) -> NDArray[np.float32]:
        """Return the latents that G gets, [count, z_dim] float32. They begin with sample `start` of the job."""
        plan = self.plan
        if plan.posted is not None:
            return plan.posted[start : start + count]
        asked = plan.asked
        return plan.served.model.draw_latents(
            self.seed or 0, plan.first + start, count, truncation=asked.truncation, label=plan.label
        )

    def encode(self, rows: Rows, images: NDArray[np.uint8]) -> bytes:
        """Encode the body of a PNG or JSON answer.

        Args:
            rows: the input of the network; for JSON these are the latents [n, z_dim].
            images: the output of the network, [n, H, W] or [n, H, W, 3] uint8.
        """
        return self._png(images) if self.plan.form == "png" else self._json(rows, images)

    def _png(self, images: NDArray[np.uint8]) -> bytes:
        plan = self.plan
        rows = assemble_rows(images, columns=plan.columns, padding=plan.padding, scale=plan.asked.scale)
        return encode_rows(rows, channels=plan.served.model.metadata.image_shape.channels)

    def _json(self, latents: NDArray[np.float32], images: NDArray[np.uint8]) -> bytes:
        model = self.plan.served.model
        metadata = model.metadata
        answer = SamplesAnswer(
            model=model.reference,
            model_sha256=model.sha256,
            seed=self.seed,
            first=self.plan.first,
            prior=metadata.prior,
            z_dim=metadata.z_dim,
            width=metadata.image_shape.width,
            height=metadata.image_shape.height,
            channels=metadata.image_shape.channels,
            samples=list_samples(latents, images, first=self.plan.first),
        )
        return answer.model_dump_json().encode()


class SampleRequests:
    """Parses requests for samples.

    Args:
        catalog: the models that requests may name.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._plans: dict[tuple[bytes, bytes, str | None, str], SamplePlan] = {}

    def parse(self, scope: Scope, body: SamplesBody | None = None, *, head: "Head | None" = None) -> SampleJob:
        """Parse a request into its job. The scope keeps the job, so that a request is parsed only once.

        Args:
            scope: the scope of an HTTP request (ASGI).
            body: the validated body of a POST; None for a GET, which has the parameters in its query.
            head: the result of `read_head` for this scope, if the caller has it.

        Raises:
            RequestValidationError: a parameter is invalid.
            LatentError: the posted latents do not fit the model.
            Problem: 404, 406 or 422, if the service does not have what is asked for; 503 if no model is usable.
        """
        job: SampleJob | None = scope.get("gan.sample_job")
        if job is None:
            head = head or read_head(scope)
            job = self._parse_query(scope, head) if body is None else self._parse_body(scope, head, body)
            scope["gan.sample_job"] = job
        return job

    def _parse_body(self, scope: Scope, head: "Head", body: SamplesBody) -> SampleJob:
        served = self._catalog.find(body.model)
        posted = None if body.latents is None else check_latents(body.latents, z_dim=served.model.metadata.z_dim)
        root_path = scope.get("root_path", "")
        return self._plan(body, head.accept, root_path, is_public=False, posted=posted).job()

    def _parse_query(self, scope: Scope, head: "Head") -> SampleJob:
        root_path = scope.get("root_path", "")
        before, _, behind = scope["query_string"].partition(b"seed=")
        number, _, after = behind.partition(b"&")
        has_seed = number.isdigit() and len(number) <= SEED_DIGITS
        characters = len(before) + len(after) + len(head.accept or "")
        kept = has_seed and characters <= MAX_PLAN_CHARACTERS and len(head.if_none_match or "") <= MAX_TAG_CHARACTERS
        key = (before, after, head.accept, root_path)
        if kept and (plan := self._plans.get(key)) is not None:
            return SampleJob(plan, int(number))
        given = given_in(scope["query_string"])
        asked = _validated(given, head.if_none_match)
        plan = self._plan(asked, head.accept, root_path, is_public=True)
        if kept and given.get("seed") == [number.decode()]:  # it is the seed, and not the end of another name or value
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            self._plans[key] = plan
        return plan.job()

    def _plan(
        self,
        asked: SamplesQuery,
        accept: str | None,
        root_path: str,
        *,
        is_public: bool,
        posted: NDArray[np.float32] | None = None,
    ) -> SamplePlan:
        """Make the plan (a validated request without its seed) of validated parameters.

        Args:
            asked: the parameters.
            accept: the Accept header, if there is one.
            root_path: the path prefix of the service.
            is_public: whether the request is a GET, whose answer caches may keep.
            posted: the posted latents, checked, if there are any.

        Raises:
            Problem: 404, 406 or 422, if the service does not have what is asked for; 503 if no model is usable.
        """
        served = self._catalog.find(asked.model)
        label = label_of(served.model, digit=asked.digit, named=asked.class_)
        form = choose_format(asked.format, accept, SAMPLES_FORMATS)
        first, n = (asked.first, asked.n) if posted is None else (0, len(posted))
        if form in ("png", "json") and n > MAX_GRID_IMAGES:
            detail = f"{form} has at most {MAX_GRID_IMAGES:,} images, not {n:,}; send format=npz or format=zip for more"
            raise Problem.of_parameter("n", detail, n)
        columns = min(asked.columns or default_columns(n), n)
        # Padding keeps images apart, so a single image has none unless the request asks for it.
        padding = asked.padding if n > 1 or "padding" in asked.model_fields_set else 0
        shape = served.model.metadata.image_shape
        parameters: dict[str, object] = {"first": first, "n": n, **class_in_url(served.model, label)}
        values = math.inf  # pixel values to be encoded at once; an archive is never encoded inline
        if form == "png":
            check_pixels(shape, n, columns=columns, padding=padding, scale=asked.scale, fewer="n")
            parameters |= {"columns": columns, "padding": padding, "scale": asked.scale}
            values = count_pixels(shape, n, columns=columns, padding=padding, scale=asked.scale) * shape.channels
        elif form == "json":
            check_pixels(shape, n, scale=1, fewer="n")
            values = n * math.prod(shape.chw)
        if asked.truncation != 1:
            parameters["truncation"] = asked.truncation
        before, behind = caching.around_seed(served.model, parameters, form)
        return SamplePlan(
            served=served,
            form=form,
            asked=asked,
            posted=posted,
            label=label,
            first=first,
            n=n,
            columns=columns,
            padding=padding,
            fixed=_fixed_headers(served, asked, is_public=is_public),
            location=(f"{root_path}{PATH}?{before}", behind),
            digest=caching.digest(served.model, before + behind),
            is_public=is_public,
            is_inline=values <= INLINE_PIXELS,
            draws_the_prior=posted is None and asked.truncation == 1,
        )


class Head(NamedTuple):
    """The parts of a request's head (request line and headers) on which an answer with samples depends.

    Attributes:
        accept: the Accept header, or None.
        if_none_match: the If-None-Match header, or None.
        has_body: whether the request has a body, or may have one.
    """

    accept: str | None
    if_none_match: str | None
    has_body: bool


def read_head(scope: Scope) -> Head:
    """Read those headers of a request (ASGI) that affect its answer."""
    headers = dict(scope["headers"])
    accept, tag = headers.get(b"accept"), headers.get(b"if-none-match")
    return Head(
        None if accept is None else accept.decode("latin-1"),
        None if tag is None else tag.decode("latin-1"),
        not _BODY_HEADERS.isdisjoint(headers),
    )


def _validated(given: Given, if_none_match: str | None) -> SamplesQuery:
    """Validate the parameters of a query.

    Raises:
        RequestValidationError: names every parameter that is given more than once, and every unknown one; if none is
            given twice, every invalid one, and the If-None-Match header if it is too long.
    """
    check_names_for(SamplesQuery, given)
    errors: list[Any] = []
    # pydantic reports unknown names in the order of the query, after the mistakes of the known ones.
    try:
        asked = SamplesQuery.model_validate({name: values[0] for name, values in given.items()})
    except ValidationError as error:
        errors += _located(error, "query")
    try:
        _IF_NONE_MATCH.validate_python(if_none_match)
    except ValidationError as error:
        errors += _located(error, "header", "if-none-match")
    if errors:
        raise RequestValidationError(errors)
    return asked


def _located(error: ValidationError, *place: str) -> list[dict[str, Any]]:
    """Return the errors that pydantic found, in FastAPI's form: each has its place in the request."""
    return [{**mistake, "loc": (*place, *mistake["loc"])} for mistake in error.errors(include_url=False)]


def _fixed_headers(served: ServedModel, asked: SamplesQuery, *, is_public: bool) -> dict[str, str]:
    """Return the headers that do not depend on the seed, by name in lower case."""
    kept = caching.NO_STORE
    if is_public:
        kept = caching.cache_control(seed_given=asked.seed is not None, version_given="@" in (asked.model or ""))
    fixed = {"x-model": served.model.reference, "cache-control": kept}
    return fixed if asked.format is not None else fixed | {"vary": "Accept"}
