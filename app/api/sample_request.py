"""What a request for samples means: from its head, or its body, to a `SampleJob` or a problem.

`SampleRequests.parse` is the one place that decides it. The fast path, `GET /v1/samples` and `POST /v1/samples` all use
it. Requests that differ in nothing but their seed share a `SamplePlan`, which is kept: they are not checked again.
"""

import math
import secrets
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qsl

import numpy as np
from fastapi.exceptions import RequestValidationError
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError
from starlette.types import Scope

from app.api import caching
from app.api.caching import MAX_TAG_CHARACTERS
from app.api.content_negotiation import SAMPLES_FORMATS, SamplesFormat, choose_format
from app.api.digit_parameter import check_digit
from app.api.picture_limits import check_pixels, count_pixels
from app.api.sample_listing import list_samples
from app.api.schemas.fields import MAX_GRID_IMAGES
from app.api.schemas.samples import SamplesAnswer, SamplesBody, SamplesQuery
from app.inference.catalog import Catalog, ServedModel
from app.inference.jobs import Network, Rows
from app.media.png import INLINE_PIXELS, encode_rows
from app.problems import Problem
from app.request_headers import headers_of
from models.grids import assemble_rows, default_columns
from models.inference.word_sampler import words_with_class
from models.latents import SEED_LIMIT, check_latents, draw_words

PATH = "/v1/samples"

MAX_PLANS = 256
"""Plans that are kept; when there are more, all are dropped."""

MAX_PLAN_CHARACTERS = 256
"""Characters of a query, without its seed, and of its Accept header together, if its plan is to be kept."""

SEED_DIGITS = 15
"""A number of at most this many digits is below 2⁵³."""

_BODY_HEADERS = {b"content-length", b"transfer-encoding", b"expect"}
_IF_NONE_MATCH: TypeAdapter[str | None] = TypeAdapter(Annotated[str, Field(max_length=MAX_TAG_CHARACTERS)] | None)


@dataclass(eq=False, slots=True)
class SamplePlan:
    """A validated request but for its seed. Requests that differ in nothing else have the same plan.

    Attributes:
        served: the model.
        form: of the answer.
        asked: the parameters; their seed is that of the request for which the plan was made.
        posted: latents [n, z_dim] float32 in place of a seed, or None.
        first: index of the first image.
        n: number of images.
        columns: of the grid.
        padding: of the grid, in pixels.
        fixed: headers of the answer that do not depend on the seed, by their names in lower case.
        location: the permanent URL before and behind the number of the seed.
        digest: stands for the plan in ETags.
        is_public: whether the answer may be kept by caches and has an ETag.
        is_inline: whether the answer is a PNG or JSON so small that it is encoded without a thread.
        draws_the_prior: whether latents go to G as they are drawn, but for the digit that is asked for.
    """

    served: ServedModel
    form: SamplesFormat
    asked: SamplesQuery
    posted: NDArray[np.float32] | None
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
        """The plan with the seed that was asked for, or with one that is drawn now. Posted latents have none."""
        if self.posted is not None:
            return SampleJob(self, None)
        return SampleJob(self, secrets.randbelow(SEED_LIMIT) if self.asked.seed is None else self.asked.seed)


@dataclass(eq=False, slots=True)
class SampleJob:
    """A validated request: what G is to be given, and the answer that is made of what it gives.

    Attributes:
        plan: what does not depend on the seed.
        seed: 0 ≤ seed < 2⁵³; None where latents were posted.
    """

    plan: SamplePlan
    seed: int | None

    @property
    def etag(self) -> str:
        """The answer's ETag: known before G runs, and without a digest for each seed."""
        return f'"{self.plan.digest}-{self.seed}"'

    def headers(self) -> dict[str, str]:
        """The answer's headers by their names in lower case, but for its length and type; known before G runs."""
        plan, headers = self.plan, self.plan.fixed.copy()
        if self.seed is not None:
            before, behind = plan.location
            headers |= {"x-seed": str(self.seed), "content-location": f"{before}{self.seed}{behind}"}
            if plan.is_public:
                headers["etag"] = self.etag
        return headers

    def seed_lines(self) -> str:
        """Those headers of a GET's answer that depend on the seed, as HTTP writes them; they stand behind `fixed`."""
        plan, seed = self.plan, self.seed
        before, behind = plan.location
        return f'x-seed: {seed}\r\ncontent-location: {before}{seed}{behind}\r\netag: "{plan.digest}-{seed}"\r\n'

    @property
    def network(self) -> Network:
        """What `rows` are for: G of latents, or G of random words, which makes the latents of a whole batch at once."""
        plan = self.plan
        if plan.form != "png" or not plan.draws_the_prior:
            return plan.served.sampler
        if plan.asked.digit is None or plan.served.class_sampler is None:
            return plan.served.word_sampler
        return plan.served.class_sampler

    def rows(self) -> Rows:
        """The input of `network` for all images: [n, …]."""
        plan = self.plan
        if plan.form != "png" or not plan.draws_the_prior:
            return self.latents(0, plan.n)
        words = draw_words(self.seed or 0, plan.first, plan.n, z_dim=plan.served.model.metadata.z_dim)
        return words if plan.asked.digit is None else words_with_class(words, plan.asked.digit)

    def latents(self, start: int, count: int) -> NDArray[np.float32]:
        """[count, z_dim] float32, from the `start`-th sample of the job on: what G gets."""
        plan = self.plan
        if plan.posted is not None:
            return plan.posted[start : start + count]
        asked = plan.asked
        return plan.served.model.draw_latents(
            self.seed or 0, plan.first + start, count, truncation=asked.truncation, label=asked.digit
        )

    def encode(self, rows: Rows, images: NDArray[np.uint8]) -> bytes:
        """The answer's body, of a PNG or JSON.

        Args:
            rows: what the network was given; for JSON these are the latents [n, z_dim].
            images: what it gave, [n, H, W] or [n, H, W, 3] uint8.
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
        catalog: the models that may be asked for.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._plans: dict[tuple[bytes, bytes, str | None, str], SamplePlan] = {}

    def parse(self, scope: Scope, body: SamplesBody | None = None, *, head: "Head | None" = None) -> SampleJob:
        """Parse a request into its job, and keep the job in the request's scope, so that it is parsed once.

        Args:
            scope: of an HTTP request (ASGI).
            body: the validated body of a POST; None for a GET, whose query says the same.
            head: what `read_head` says of the scope, where the caller has read it.

        Raises:
            RequestValidationError: parameters that do not validate.
            LatentError: posted latents that are not the model's.
            Problem: 404, 406 or 422: what is asked for cannot be had.
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
        given = _given(scope["query_string"])
        asked = _validated(given, head.if_none_match)
        plan = self._plan(asked, head.accept, root_path, is_public=True)
        if kept and given.get("seed") == [number.decode()]:  # a second seed, however it is written, would count instead
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
        """The plan of validated parameters.

        Args:
            asked: the parameters.
            accept: the header, if any.
            root_path: the prefix of this service's URLs.
            is_public: whether caches may keep the answer: that of a GET.
            posted: latents that were checked, if any.

        Raises:
            Problem: what is asked for cannot be had.
        """
        served = self._catalog.find(asked.model)
        check_digit(served.model, asked.digit)
        form = choose_format(asked.format, accept, SAMPLES_FORMATS)
        first, n = (asked.first, asked.n) if posted is None else (0, len(posted))
        if form in ("png", "json") and n > MAX_GRID_IMAGES:
            detail = f"{form} takes at most {MAX_GRID_IMAGES:,} images; format=npz and format=zip take more"
            raise Problem.of_parameter("n", detail, n)
        columns = min(asked.columns or default_columns(n), n)
        # A lone image has no neighbours to be kept apart from, unless padding was asked for.
        padding = asked.padding if n > 1 or "padding" in asked.model_fields_set else 0
        shape = served.model.metadata.image_shape
        parameters: dict[str, object] = {"first": first, "n": n, "digit": asked.digit}
        values = math.inf  # of the pictures that are encoded; an archive is never encoded as a whole
        if form == "png":
            check_pixels(shape, n, columns=columns, padding=padding, scale=asked.scale, fewer="n")
            parameters |= {"columns": columns, "padding": padding, "scale": asked.scale}
            values = count_pixels(shape, n, columns=columns, padding=padding, scale=asked.scale) * shape.channels
        elif form == "json":
            values = n * math.prod(shape.chw)
        if asked.truncation != 1:
            parameters["truncation"] = asked.truncation
        before, behind = caching.around_seed(served.model, parameters, form)
        return SamplePlan(
            served=served,
            form=form,
            asked=asked,
            posted=posted,
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
    """The headers of a request for samples that decide its answer.

    Attributes:
        accept: the Accept header, or None.
        if_none_match: the If-None-Match header, or None.
        has_body: whether a body comes behind the head, or may.
    """

    accept: str | None
    if_none_match: str | None
    has_body: bool


def read_head(scope: Scope) -> Head:
    """The headers of a request (ASGI) that decide its answer."""
    headers = headers_of(scope)
    accept, tag = headers.get(b"accept"), headers.get(b"if-none-match")
    return Head(
        None if accept is None else accept.decode("latin-1"),
        None if tag is None else tag.decode("latin-1"),
        not _BODY_HEADERS.isdisjoint(headers),
    )


def _given(query: bytes) -> dict[str, list[str]]:
    """The values of each parameter of a query, by its name, in their order."""
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        given.setdefault(name, []).append(value)
    return given


def _validated(given: dict[str, list[str]], if_none_match: str | None) -> SamplesQuery:
    """The parameters of a query.

    Of a known parameter that is given more than once, the last value counts.

    Raises:
        RequestValidationError: names every parameter that does not validate, and the header if it is too long.
    """
    errors: list[Any] = []
    known = SamplesQuery.model_fields
    values: dict[str, str | list[str]] = {name: given[name][-1] for name in known if name in given}
    values |= {name: (found[0] if len(found) == 1 else found) for name, found in given.items() if name not in known}
    try:
        asked = SamplesQuery.model_validate(values)
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
    """The mistakes that pydantic found, each with where in the request it is, as FastAPI has them."""
    return [{**mistake, "loc": (*place, *mistake["loc"])} for mistake in error.errors(include_url=False)]


def _fixed_headers(served: ServedModel, asked: SamplesQuery, *, is_public: bool) -> dict[str, str]:
    """By their names in lower case."""
    kept = caching.NO_STORE
    if is_public:
        kept = caching.cache_control(seed_given=asked.seed is not None, version_given="@" in (asked.model or ""))
    fixed = {"x-model": served.model.reference, "cache-control": kept}
    return fixed if asked.format is not None else fixed | {"vary": "Accept"}
