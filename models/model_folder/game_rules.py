"""The rules of the game that a model was trained by: as one sentence, and with the values that theory gives for it."""

import math
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

LossName: TypeAlias = Literal["non-saturating", "minimax", "hinge", "least-squares", "wasserstein", "relativistic"]

_NAMES: dict[LossName, str] = {
    "non-saturating": "a game with the non-saturating loss",
    "minimax": "a game with the minimax loss",
    "hinge": "the hinge game",
    "least-squares": "the least-squares game",
    "wasserstein": "the Wasserstein game",
    "relativistic": "the relativistic game",
}


class Optimum(BaseModel):
    """The values of a game's curves where G's images are distributed like the real ones, and D can only guess.

    None stands for a curve that may then have any value.
    """

    model_config = ConfigDict(frozen=True)

    game: str = Field(description="The game for which the values hold")
    loss: float = Field(description="D's loss")
    output: float | None = Field(default=None, description="Mean D(x), and mean D(G(z)); null if it may be any number")
    value: float | None = Field(default=None, description="V(G, D); null if it may be any number")


THE_PAPERS = Optimum(game="the game of the 2014 paper", loss=math.log(2), output=0.5, value=-math.log(4))
"""Theorem 1 of Goodfellow et al. 2014: D(x) = ½ for every image."""

THE_RELATIVISTIC = Optimum(game="the relativistic game", loss=math.log(2), output=None, value=None)
"""A D that gives all images the same logit has the loss softplus(0). The logit itself may be any number."""


class GameRules(BaseModel):
    """The rules of a game: the losses of G and D, what is added to D's loss, and how often D steps."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    loss: LossName = Field(description="The losses that D and G minimised")
    r1_gamma: float = Field(default=0.0, ge=0, description="γ of R1: γ/2·mean ‖∇D‖² on real images")
    r2_gamma: float = Field(default=0.0, ge=0, description="γ of R2: γ/2·mean ‖∇D‖² on fakes")
    gradient_penalty: float = Field(default=0.0, ge=0, description="λ of WGAN-GP")
    spectral_norm: bool = Field(default=False, description="Whether D's layers were kept at spectral norm 1")
    d_steps: int = Field(default=1, ge=1, le=100, description="D steps before each G step")

    @property
    def penalties(self) -> list[str]:
        """The names of the penalties in D's loss."""
        weights = {"R1": self.r1_gamma, "R2": self.r2_gamma, "WGAN-GP": self.gradient_penalty}
        return [name for name, weight in weights.items() if weight]

    @property
    def are_the_papers(self) -> bool:
        """Whether D raises V(G, D), equation 1 of the 2014 paper, and nothing keeps D from its best answer."""
        return self.loss in ("non-saturating", "minimax") and not self.penalties and not self.spectral_norm

    def optimum(self) -> Optimum | None:
        """Return the values that theory gives for the curves of this game; None if it gives none."""
        if self.are_the_papers:
            return THE_PAPERS
        return THE_RELATIVISTIC if self.loss == "relativistic" else None

    def describe(self, *, classes: int, packing: int) -> str:
        """Return one sentence that says which game was played.

        Args:
            classes: the number of classes whose labels G and D were given; 0: no labels.
            packing: the number of images that D judged together.
        """
        name = f"the game of the 2014 paper ({self.loss} loss)" if self.are_the_papers else _NAMES[self.loss]
        given, lacking = [], []
        if self.penalties:
            given.append(f"the {'penalty' if len(self.penalties) == 1 else 'penalties'} {' and '.join(self.penalties)}")
        else:
            lacking.append("penalties")
        if self.spectral_norm:
            given.append("spectral normalisation")
        if classes:
            given.append(f"labels of {classes} classes")
        else:
            lacking.append("labels")
        means = [f"with {' and '.join(given)}"] * bool(given) + [f"without {' or '.join(lacking)}"] * bool(lacking)
        steps = "one step" if self.d_steps == 1 else f"{self.d_steps} steps"
        packs = f" and judged {packing} images together" if packing > 1 else ""
        return f"G and D played {name}, {' and '.join(means)}; D took {steps} for each step of G{packs}."
