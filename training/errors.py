"""The errors of `training`. Each text says what was wrong, the value seen, and what to do.

TrainingError
├── RecipeError        an unknown recipe, key or value; all mistakes in one text
├── DataError          images that cannot be read, or are not what the networks take
├── RunError           a run folder that is there already, is missing, or does not fit
├── BulkError          a folder of samples that cannot be begun or gone on with
├── NotFiniteError     a loss that became NaN or infinite
└── ProcessesError     several processes of one training that cannot go on together
"""


class TrainingError(Exception):
    """Something that stops the work, told in one message."""


class RecipeError(TrainingError):
    """A recipe that does not exist or does not hold together."""


class DataError(TrainingError):
    """Images that cannot be read or used."""


class RunError(TrainingError):
    """A run folder that cannot be started, resumed or exported."""


class BulkError(TrainingError):
    """A folder of samples that cannot be begun, or not be gone on with."""


class NotFiniteError(TrainingError):
    """A quantity of the game became NaN or infinite; training on would only spread it."""


class ProcessesError(TrainingError):
    """Several processes of one training do not find each other, have lost each other, or do not agree."""
