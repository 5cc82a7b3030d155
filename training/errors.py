"""The errors of `training`. Each text says what was wrong, the value seen, and what to do.

TrainingError
├── RecipeError        an unknown recipe, key or value; all mistakes in one text
├── DataError          images that cannot be read, or are not what the networks take
├── RunError           a run folder that already exists, is missing, or does not match
├── BulkError          a folder of samples that cannot be started or continued
├── NotFiniteError     a loss that became NaN or infinite
├── ProcessesError     processes of one training that cannot continue together
├── OnnxError          an ONNX file that does not compute what its model folder does
└── UsageError         options of a command that are out of range or do not go together

Terminated, a KeyboardInterrupt, is no error: SIGTERM asked a training to end, and its state is saved.
"""


class TrainingError(Exception):
    """The base class of this package's errors: the message says what stopped the work."""


class RecipeError(TrainingError):
    """A recipe that does not exist, is invalid, or does not fit the data or the machine."""


class DataError(TrainingError):
    """Images that cannot be read or used."""


class RunError(TrainingError):
    """A run folder that cannot be started, resumed or exported."""


class BulkError(TrainingError):
    """A folder of samples that cannot be started or continued."""


class NotFiniteError(TrainingError):
    """A quantity of the game became NaN or infinite; further training would only spread it."""


class UsageError(TrainingError):
    """Options of a command are out of range or do not go together; the exit code is 2, as for argparse's errors."""


class ProcessesError(TrainingError):
    """Processes of one training cannot connect, have lost each other, or hold different states or settings."""


class OnnxError(TrainingError):
    """ONNX Runtime computes something else with an exported file than this program with the model folder."""


class Terminated(KeyboardInterrupt):
    """SIGTERM asked a training to end; it is handled like Ctrl-C."""
