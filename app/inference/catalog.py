"""The models that the service found: those it can use, and those it cannot, with the reason."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from app.problems import Problem
from models.errors import ModelFolderError
from models.inference.projection import Projector
from models.inference.saliency import Explainer
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.inference.word_sampler import ClassWordSampler, WordSampler
from models.model_folder.folder import LoadedModel, load_model

MAX_REASON_CHARACTERS = 500

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServedModel:
    """A model with its networks made ready.

    Attributes:
        model: as it was read.
        sampler: G.
        word_sampler: G as well, of random words.
        class_sampler: the same, of words with the class that is asked for; None where G is not conditional.
        scorer: D.
        explainer: D as well, differentiated; the two share it.
        projector: the way back from an image to a latent.
    """

    model: LoadedModel
    sampler: Sampler
    word_sampler: WordSampler
    class_sampler: ClassWordSampler | None
    scorer: Scorer
    explainer: Explainer
    projector: Projector


@dataclass(frozen=True)
class Catalog:
    """What is in the models folder.

    Attributes:
        models: usable ones by name.
        broken: reasons by the name of the folder; a model of that name is an earlier version, loaded before.
        default: name of the model of requests that name none; None when there is no usable one.
    """

    models: Mapping[str, ServedModel]
    broken: Mapping[str, str]
    default: str | None

    def find(self, reference: str | None, *, parameter: str = "model") -> ServedModel:
        """The model of a `name` or `name@hash`; None asks for the default.

        Raises:
            Problem: 404 when there is no such model or version, 503 when there is no usable model at all.
        """
        if self.default is None:
            raise no_usable_model()
        name, _, version = (reference or self.default).partition("@")
        found = self.models.get(name)
        if found is None and name in self.broken:
            raise _unknown(parameter, f"{name!r} cannot be used: {self.broken[name]}", reference)
        if found is None:
            raise no_such_model(parameter, name, self.models, reference)
        if reference is not None and "@" in reference and version != found.model.hash12:
            raise _unknown(
                parameter, f"version {version[:80]!r} of {name} is not loaded; {found.model.reference} is", reference
            )
        return found


def no_usable_model() -> Problem:
    """The problem of a service without any model."""
    return Problem(503, "no model is usable; /readyz says why")


def no_such_model(parameter: str, name: str, known: Iterable[str], value: object) -> Problem:
    """The problem of a parameter that asks for a model that is not there."""
    return _unknown(parameter, f"there is no model {name[:80]!r}; there are: {', '.join(known)}", value)


def load_catalog(folder: Path, *, default: str, device: torch.device, before: Catalog | None = None) -> Catalog:
    """Load every model folder below `folder`; one that is broken is logged and left out.

    Args:
        folder: of model folders.
        default: name of the model of requests that name none.
        device: where the networks run.
        before: what was loaded earlier: a model that has not changed keeps its networks, and one whose folder has
            become bad stays.
    """
    earlier = {} if before is None else before.models
    models: dict[str, ServedModel] = {}
    broken: dict[str, str] = {}
    if not folder.is_dir():
        _log.error("GAN_MODELS_DIR: %s is not a folder", folder)
    paths = sorted(path for path in folder.glob("*") if path.is_dir() and not path.name.startswith("."))
    for path in paths:
        try:
            model = load_model(path)
        except (ModelFolderError, OSError) as error:
            shown = _shown(path.name)
            broken[shown] = _without_path(str(error), folder)
            _log.error("model folder %s is left out: %s", shown, broken[shown])
            if path.name in earlier:
                models[path.name] = earlier[path.name]
                _log.warning("model %s stays in its place", earlier[path.name].model.reference)
            continue
        known = earlier.get(model.name)
        if known is not None and known.model.sha256 == model.sha256:
            models[model.name] = replace(known, model=model)  # its card or history may be new
            continue
        models[model.name] = _serve(model, device)
        _log.info("model %s is loaded", model.reference)
    if models and default not in models:
        _log.warning("GAN_DEFAULT_MODEL: %s is not usable; %s takes its place", default, next(iter(models)))
    return Catalog(models, broken, default if default in models else next(iter(models), None))


def _serve(model: LoadedModel, device: torch.device) -> ServedModel:
    metadata = model.metadata
    sampler = Sampler(model.generator, z_dim=metadata.z_dim, image_shape=metadata.image_shape, device=device)
    scorer = Scorer(model.discriminator, image_shape=metadata.image_shape, device=device)
    explainer = Explainer(scorer.discriminator, image_shape=metadata.image_shape, device=device)
    projector = Projector(
        sampler.generator,
        z_dim=metadata.z_dim,
        prior=metadata.prior,
        image_shape=metadata.image_shape,
        classes=metadata.classes,
        encoder=None if model.encoder is None else model.encoder.to(device),
        device=device,
    )
    word_sampler = WordSampler(sampler, metadata.prior)
    class_sampler = ClassWordSampler(word_sampler, model.head_starts) if metadata.classes else None
    return ServedModel(model, sampler, word_sampler, class_sampler, scorer, explainer, projector)


def _unknown(parameter: str, detail: str, value: object) -> Problem:
    problem = Problem.of_parameter(parameter, detail, value, status=404)
    problem.name = "unknown-model"
    return problem


def _without_path(text: str, folder: Path) -> str:
    """No path of this machine in what a client sees, and no more than a few lines of what a hostile file says."""
    return _shown(text.replace(f"{folder}/", ""))[:MAX_REASON_CHARACTERS]


def _shown(text: str) -> str:
    """Without what ends a line of the log, commands a terminal, or has no UTF-8."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
