"""The models in the models folder: the usable ones with their networks, and the unusable ones with the reason."""

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
from models.model_folder.loaded_model import LoadedModel
from models.model_folder.read import load_model

MAX_REASON_CHARACTERS = 500
"""The reason why a model cannot be used is cut to this many characters."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServedModel:
    """A model with its networks, ready to be called.

    Attributes:
        model: the model folder as it was read.
        sampler: the generator G, as a function of latents.
        word_sampler: the same G, as a function of 64-bit random words, from which it computes the latents.
        class_sampler: the same G, as a function of random words and a class; None if G is not conditional.
        scorer: the discriminator D, as a function of images that gives logits.
        explainer: the same D, as a function that gives the gradients of its logits with respect to the pixels.
        projector: a search for the latent whose image is nearest to a given one.
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
    """The models in the models folder.

    Attributes:
        models: the usable models by name.
        broken: the reason why a folder cannot be used, by the folder's name. If `models` has the name too, its earlier
            version is served.
        default: the model for requests that name none; None if no model is usable.
        folder_fault: the reason why the models folder itself cannot be used; None if model folders were found in it.
    """

    models: Mapping[str, ServedModel]
    broken: Mapping[str, str]
    default: str | None
    folder_fault: str | None = None

    @property
    def folder_state(self) -> str:
        """What `/readyz` and a reload report about the models folder itself: "readable", or what is wrong with it."""
        return "readable" if self.folder_fault is None else f"GAN_MODELS_DIR {self.folder_fault}"

    def find(self, reference: str | None, *, parameter: str = "model") -> ServedModel:
        """Return the model with this `name` or `name@hash`; None takes the default model.

        Raises:
            Problem: 404 if there is no such model or version, 503 if no model is usable.
        """
        if self.default is None:
            raise no_usable_model()
        name, _, version = (self.default if reference is None else reference).partition("@")
        found = self.models.get(name)
        if found is None and name in self.broken:
            raise _unknown(parameter, f"{name!r} cannot be used: {self.broken[name]}", reference)
        if found is None:
            raise no_such_model(parameter, name, self.models, reference)
        if reference is not None and "@" in reference and version != found.model.hash12:
            detail = f"version {version[:80]!r} of {name} is not loaded; ask for {found.model.reference}"
            raise _unknown(parameter, detail, reference)
        return found


def no_usable_model() -> Problem:
    """Return the problem (503) of a service without a usable model."""
    return Problem(503, "no model is usable; /readyz says why")


def no_such_model(parameter: str, name: str, known: Iterable[str], value: object) -> Problem:
    """Return the problem (404) of a request parameter that names a model that does not exist."""
    return _unknown(parameter, f"there is no model {name[:80]!r}; there are: {', '.join(known)}", value)


def load_catalog(folder: Path, *, default: str, device: torch.device, before: Catalog | None = None) -> Catalog:
    """Load every model folder in `folder`. One that cannot be used is logged and left out.

    Args:
        folder: the models folder, which holds the model folders.
        default: the model for requests that name none; if it is not usable, the first usable model is taken.
        device: the PyTorch device on which the networks run.
        before: the catalog loaded earlier. A model that has not changed keeps its networks. A model whose folder can no
            longer be used is served as it was, and all are if the models folder itself cannot be read.
    """
    earlier = {} if before is None else before.models
    models: dict[str, ServedModel] = {}
    broken: dict[str, str] = {}
    paths, fault = _find(folder)
    if fault is not None:
        _log.error("GAN_MODELS_DIR: %s %s", folder, fault)
    if paths is None and earlier:
        _log.warning("the models that were loaded earlier are still served")
        models = dict(earlier)
    for path in paths or ():
        try:
            model = load_model(path)
        except (ModelFolderError, OSError) as error:
            shown = _shown(path.name)
            broken[shown] = _without_path(str(error), folder)
            _log.error("model folder %s is left out: %s", shown, broken[shown])
            if path.name in earlier:
                models[path.name] = earlier[path.name]
                _log.warning("model %s, loaded earlier, is still served", earlier[path.name].model.reference)
            continue
        known = earlier.get(model.name)
        if known is not None and known.model.sha256 == model.sha256:
            models[model.name] = replace(known, model=model)  # the card or the history may have changed
            continue
        models[model.name] = _serve(model, device)
        _log.info("model %s is loaded", model.reference)
    if models and default not in models:
        _log.warning("GAN_DEFAULT_MODEL: %s is not usable; the default is now %s", default, next(iter(models)))
    return Catalog(models, broken, default if default in models else next(iter(models), None), fault)


def _find(folder: Path) -> tuple[list[Path] | None, str | None]:
    """Return the paths of the model folders, and what is wrong with the folder that should hold them.

    There are no paths if the folder cannot be read. A link that leads nowhere is taken for a model folder, so that it
    is reported as one that cannot be used.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and _may_be_model(path))
    except OSError as error:
        fault = (
            f"cannot be read ({error.strerror}); set it to a folder of model folders that the service's user can read"
        )
        return None, fault
    return paths, None if paths else "holds no model folder; put one into it, or name another folder"


def _may_be_model(path: Path) -> bool:
    try:
        return path.is_dir() or not path.exists()
    except OSError:  # this user may not look at it; reading it reports that
        return True


def _serve(model: LoadedModel, device: torch.device) -> ServedModel:
    metadata = model.metadata
    sampler = Sampler.of_model(model, device=device)
    scorer = Scorer.of_model(model, device=device)
    explainer = Explainer(scorer.discriminator, image_shape=metadata.image_shape, device=device)
    projector = Projector.of_model(model, sampler)
    word_sampler = WordSampler(sampler, metadata.prior)
    class_sampler = ClassWordSampler(word_sampler, model.head_starts) if metadata.classes else None
    return ServedModel(model, sampler, word_sampler, class_sampler, scorer, explainer, projector)


def _unknown(parameter: str, detail: str, value: object) -> Problem:
    problem = Problem.of_parameter(parameter, detail, value, status=404)
    problem.name = "unknown-model"
    return problem


def _without_path(text: str, folder: Path) -> str:
    """Remove this machine's paths from a text and cut it: clients see it, and hostile files may have shaped it."""
    return _shown(text.replace(f"{folder}/", ""))[:MAX_REASON_CHARACTERS]


def _shown(text: str) -> str:
    """Escape line ends, terminal commands and characters that UTF-8 cannot encode in a text."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
