"""The errors of this room.

LatentError                   latents that G cannot take
ClassError                    a class that the model cannot be asked for
DeviceError                   a device that this machine does not have
ModelFolderError              a model folder that cannot be used; its kinds:
├── ModelFolderNotFoundError      no such folder, or not a folder
├── ModelNameError                the folder's name cannot stand in a URL
├── ModelDestinationError         a place where no model folder may be written, since something else is there
├── ModelFileMissingError         a file that the format requires is not there
├── ModelPathError                a file that leads out of the folder
├── ModelTooLargeError            a file beyond its size limit
├── ModelUnreadableError          model.safetensors is not a safetensors file, or a truncated one
├── FormatVersionError            written by a newer format than this code reads
├── ModelMetadataError            metadata missing or wrong
├── TensorNamesError              tensors missing, or too many
├── TensorShapeError              a tensor of another shape than the architecture's
├── TensorDtypeError              a tensor of another dtype than float32 and float16
├── TensorNotFiniteError          a tensor that holds NaN or infinity
├── TensorRangeError              a running variance below 0
├── NetworkNotFiniteError         weights that are finite, and a network that gives NaN or infinity
├── HistoryError                  history.json is not a history
└── TimelineError                 a picture of the timeline that is not one
"""


class LatentError(ValueError):
    """Latents of the wrong width, not finite, or drawn with arguments out of range."""


class ClassError(ValueError):
    """A class that the model does not have; a model without classes has none.

    Attributes:
        label: the class that was asked for.
        classes: how many the model has; 0 for a model without classes.
    """

    def __init__(self, label: int, *, classes: int) -> None:
        self.label = label
        self.classes = classes
        super().__init__(
            f"the class must be 0 to {classes - 1}, not {label}"
            if classes
            else f"the model has no classes, so it cannot be asked for class {label}"
        )


class DeviceError(ValueError):
    """A compute device that does not exist here."""


class ModelFolderError(Exception):
    """A model folder that cannot be used. Its text says what was wrong, what was seen and what to do."""


class ModelFolderNotFoundError(ModelFolderError):
    """There is no folder at the path."""


class ModelNameError(ModelFolderError):
    """The folder's name cannot be a model's name."""


class ModelDestinationError(ModelFolderError):
    """A model folder cannot be written there: it would replace something that is not a model folder."""


class ModelFileMissingError(ModelFolderError):
    """A file that the format requires is not in the folder."""


class ModelPathError(ModelFolderError):
    """A file in the folder is a link that leads out of it."""


class ModelTooLargeError(ModelFolderError):
    """A file is larger than the format allows."""


class ModelUnreadableError(ModelFolderError):
    """model.safetensors cannot be parsed: another format, or truncated."""


class FormatVersionError(ModelFolderError):
    """The folder's format version is not one that this code reads."""


class ModelMetadataError(ModelFolderError):
    """The metadata is missing, or a field of it is wrong."""


class TensorNamesError(ModelFolderError):
    """The tensors' names are not those of the architecture."""


class TensorShapeError(ModelFolderError):
    """A tensor's shape is not that of the architecture."""


class TensorDtypeError(ModelFolderError):
    """A tensor is neither float32 nor float16."""


class TensorNotFiniteError(ModelFolderError):
    """A tensor holds NaN or infinity."""


class TensorRangeError(ModelFolderError):
    """A running variance is negative: its square root, and every picture with it, would be NaN."""


class NetworkNotFiniteError(ModelFolderError):
    """Finite weights, so large that G, D or E gives NaN or infinity."""


class HistoryError(ModelFolderError):
    """history.json is not a valid history."""


class TimelineError(ModelFolderError):
    """A file of the timeline has a wrong name or is not a PNG."""
