"""What a request for samples comes to: a plan, which does not hang on its seed, and a job, which has one."""

import secrets
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.api import caching
from app.api.content_negotiation import SAMPLES_FORMATS, SamplesFormat, choose_format
from app.api.digit_parameter import ask_for_digit, check_digit
from app.api.picture_limits import check_pixels, count_pixels
from app.api.schemas import MAX_GRID_IMAGES, SamplesQuery
from app.api.state import State
from app.inference.catalog import ServedModel
from app.media.png import INLINE_PIXELS, encode_rows
from app.problems import Problem
from models.grids import assemble_rows, default_columns
from models.latents import SEED_LIMIT, draw_latents, draw_words

PATH = "/v1/samples"


class Plan(NamedTuple):
    """A checked request but for its seed: requests that differ in nothing else have the same.

    Attributes:
        served: the model.
        form: of the answer.
        asked: the parameters; their seed is that of the request for which the plan was made.
        posted: latents [n, z_dim] float32, in place of a seed.
        first: index of the first image.
        n: how many.
        columns: of the grid.
        padding: of the grid.
        fixed: headers of the answer that do not hang on the seed.
        lines: the same as HTTP writes them.
        location: the permanent URL before and behind the number of the seed.
        digest: stands for the plan in ETags.
        is_public: whether the answer may be kept.
        is_small: whether the answer is a PNG that is encoded without a thread.
        draws_the_prior: whether nothing happens to the latents between their drawing and G.
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
    lines: str
    location: tuple[str, str]
    digest: str
    is_public: bool
    is_small: bool
    draws_the_prior: bool

    @classmethod
    def of(
        cls,
        state: State,
        asked: SamplesQuery,
        accept: str | None,
        *,
        root_path: str,
        is_public: bool,
        posted: NDArray[np.float32] | None = None,
    ) -> "Plan":
        """The plan of validated parameters.

        Args:
            state: the service's.
            asked: the parameters.
            accept: the header, if any.
            root_path: the prefix of this service's URLs.
            is_public: whether the answer may be kept: that of a GET.
            posted: latents that were checked, if any.

        Raises:
            Problem: what is asked for cannot be had.
        """
        served = state.catalog.find(asked.model)
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
        is_small = False
        if form == "png":
            check_pixels(shape, n, columns=columns, padding=padding, scale=asked.scale, fewer="n")
            parameters |= {"columns": columns, "padding": padding, "scale": asked.scale}
            pixels = count_pixels(shape, n, columns=columns, padding=padding, scale=asked.scale)
            is_small = pixels * shape.channels <= INLINE_PIXELS
        if asked.truncation != 1:
            parameters["truncation"] = asked.truncation
        before, behind = caching.around_seed(served.model, parameters, form)
        fixed = _fixed_headers(served, asked, is_public=is_public)
        return cls(
            served=served,
            form=form,
            asked=asked,
            posted=posted,
            first=first,
            n=n,
            columns=columns,
            padding=padding,
            fixed=fixed,
            lines="".join(f"{name}: {value}\r\n" for name, value in fixed.items()),
            location=(f"{root_path}{PATH}?{before}", behind),
            digest=caching.digest(served.model, before + behind),
            is_public=is_public,
            is_small=is_small,
            draws_the_prior=posted is None and asked.truncation == 1 and asked.digit is None,
        )

    def job(self) -> "Job":
        """The plan with the seed that was asked for, or one that is drawn now; posted latents have none."""
        if self.posted is not None:
            return Job(self, None)
        return Job(self, secrets.randbelow(SEED_LIMIT) if self.asked.seed is None else self.asked.seed)


def _fixed_headers(served: ServedModel, asked: SamplesQuery, *, is_public: bool) -> dict[str, str]:
    """By their names in lower case."""
    kept = caching.NO_STORE
    if is_public:
        kept = caching.cache_control(seed_given=asked.seed is not None, version_given="@" in (asked.model or ""))
    fixed = {"x-model": served.model.reference, "cache-control": kept}
    return fixed if asked.format is not None else fixed | {"vary": "Accept"}


class Job(NamedTuple):
    """A plan with its seed."""

    plan: Plan
    seed: int | None

    @property
    def etag(self) -> str:
        """Of the answer; without another digest for each seed."""
        return f'"{self.plan.digest}-{self.seed}"'

    def headers(self) -> dict[str, str]:
        """The answer's, by their names in lower case; known before G runs."""
        plan = self.plan
        headers = plan.fixed.copy()
        if plan.posted is None:
            before, behind = plan.location
            headers["x-seed"] = str(self.seed)
            headers["content-location"] = f"{before}{self.seed}{behind}"
            if plan.is_public:
                headers["etag"] = self.etag
        return headers

    def lines(self) -> str:
        """The same of an answer that may be kept, as HTTP writes them."""
        plan, seed = self.plan, self.seed
        before, behind = plan.location
        return (
            f"{plan.lines}x-seed: {seed}\r\ncontent-location: {before}{seed}{behind}\r\n"
            f'etag: "{plan.digest}-{seed}"\r\n'
        )

    def latents(self, start: int, count: int) -> NDArray[np.float32]:
        """[count, z_dim] float32, from the `start`-th sample of the job on: those that G gets."""
        plan = self.plan
        if plan.posted is not None:
            return plan.posted[start : start + count]
        metadata = plan.served.model.metadata
        latents = draw_latents(
            self.seed or 0,
            plan.first + start,
            count,
            z_dim=metadata.z_dim,
            prior=metadata.prior,
            truncation=plan.asked.truncation,
        )
        return ask_for_digit(latents, plan.served.model, plan.asked.digit)

    def words(self) -> NDArray[np.uint64]:
        """[n, z_dim]: what the latents of a job that draws the prior are made of.

        The engine then makes those of a whole batch at once.
        """
        plan = self.plan
        return draw_words(self.seed or 0, plan.first, plan.n, z_dim=plan.served.model.metadata.z_dim)

    async def images(self, state: State) -> NDArray[np.uint8]:
        """All images of the job, [n, H, W] or [n, H, W, 3].

        Raises:
            Problem: 429 when the queue is full, 503 when the engine has stopped.
        """
        if self.plan.draws_the_prior:
            return await state.draw_words(self.plan.served, self.words())
        return await state.draw(self.plan.served, self.latents(0, self.plan.n))

    def png(self, images: NDArray[np.uint8]) -> bytes:
        """All images of the job as one picture."""
        plan = self.plan
        rows = assemble_rows(images, columns=plan.columns, padding=plan.padding, scale=plan.asked.scale)
        return encode_rows(rows, channels=plan.served.model.metadata.image_shape.channels)
