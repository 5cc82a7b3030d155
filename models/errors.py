"""The errors that `models` raises.

LatentError                   latents have a wrong shape, or numbers out of range
ClassError                    the model does not have the requested class
DeviceError                   this machine does not have the requested device
ModelFolderError              a model folder cannot be used; its kinds:
├── ModelFolderNotFoundError      there is no folder at the path
├── ModelNameError                the folder's name cannot be a model's name
├── ModelDestinationError         a model folder cannot be written to this path
├── ModelFileMissingError         a file that the format requires is missing
├── ModelPathError                a file in the folder is a link that leads out of it
├── ModelTooLargeError            a file exceeds its size limit
├── ModelUnreadableError          model.safetensors is not a safetensors file, or is truncated
├── FormatVersionError            the folder's format version is not one that this code reads
├── ModelMetadataError            the metadata is missing or wrong
├── TensorNamesError              tensors are missing, or there are unexpected ones
├── TensorShapeError              a tensor's shape is not that of the architecture
├── TensorDtypeError              a tensor is neither float32 nor float16
├── TensorNotFiniteError          a tensor holds NaN or infinity
├── TensorRangeError              a tensor holds a value that is out of its range, such as a negative variance
├── NetworkNotFiniteError         the weights are finite, but a network gives NaN or infinity
├── HistoryError                  history.json is not a valid history
└── TimelineError                 a picture of the timeline has a wrong name or is not a PNG
"""


class LatentError(ValueError):
    """Latents have the wrong shape or hold a number that is not allowed, or an argument for drawing them is wrong."""


class ClassError(ValueError):
    """The model does not have the requested class.

    Attributes:
        label: the class that was requested, by its number or name.
        classes: the model's number of classes; 0 for a model without classes.
        known: the classes that the model has, as a text for a message.
    """

    def __init__(self, label: int | str, *, classes: int, known: str | None = None) -> None:
        self.label = label
        self.classes = classes
        self.known = known or f"0 to {classes - 1}"
        super().__init__(
            f"the class must be {self.known}, not {self.shown}"
            if classes
            else f"the model has no classes, so it cannot draw class {self.shown}; leave the class out"
        )

    @property
    def shown(self) -> str:
        """The requested class as a message shows it."""
        return repr(self.label[:80]) if isinstance(self.label, str) else str(self.label)


class DeviceError(ValueError):
    """This machine does not have the requested device."""


class ModelFolderError(Exception):
    """A model folder cannot be used. The message says what was wrong, what was seen and what to do."""


class ModelFolderNotFoundError(ModelFolderError):
    """There is no folder at the path."""


class ModelNameError(ModelFolderError):
    """The folder's name cannot be a model's name."""


class ModelDestinationError(ModelFolderError):
    """A model folder cannot be written to this path, or would replace something that is not a model folder."""


class ModelFileMissingError(ModelFolderError):
    """A file that the format requires is not in the folder."""


class ModelPathError(ModelFolderError):
    """A file in the folder is a link that leads out of it."""


class ModelTooLargeError(ModelFolderError):
    """A file is larger than the format allows."""


class ModelUnreadableError(ModelFolderError):
    """model.safetensors cannot be parsed: it has another format, or is truncated."""


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
    """A tensor holds a value out of its range: a negative running variance, or a wrong number in a quantised layer."""


class NetworkNotFiniteError(ModelFolderError):
    """The weights are finite, but so large that G, D or the encoder gives NaN or infinity."""


class HistoryError(ModelFolderError):
    """history.json is not a valid history."""


class TimelineError(ModelFolderError):
    """A file of the timeline has a wrong name or is not a PNG."""
