"""What can go wrong, as one tree: the command line turns any of these into one line and exit code 1."""


class FunctaError(Exception):
    """A problem that the user can mend; its text says what was found, what was expected, and what to do."""


class ConfigError(FunctaError):
    """A setting that does not exist, has the wrong type, or contradicts another one."""


class DataError(FunctaError):
    """A file or folder that cannot be read as what it was said to be."""


class StoreError(FunctaError):
    """A functaset or base network that is missing, incomplete, or does not fit the request."""


class TrainingError(FunctaError):
    """Training that cannot go on, even after the guard rolled back and lowered the rate."""


def reason_of(error: Exception) -> str:
    """What an exception of the system or of a library says, in one line."""
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
