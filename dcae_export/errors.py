"""The errors a user can meet, each with the exit status that scripts see.

Every message is one line that says what is wrong, where, and where there is one the way out.
"""


class DcaeError(Exception):
    """Base of all errors that are not faults of this package."""

    exit_status = 1


class UsageError(DcaeError):
    """An unknown variant or option, or a value out of range."""

    exit_status = 2


class InputError(DcaeError):
    """A file, picture or repository that cannot be used as it is."""

    exit_status = 3


class ConfigError(InputError):
    """A configuration or recipe that contradicts itself."""


class WeightsError(InputError):
    """Weights that are missing, truncated, not finite, or of another model."""


class BundleError(InputError):
    """A bundle that is incomplete, malformed or of a newer format."""


class PictureError(InputError):
    """A picture that cannot be read or written."""


class HubError(InputError):
    """A model repository that cannot be reached or does not hold what was asked for."""


class RefusedError(DcaeError):
    """Content that is not safe to use: hash, path, link, pickle or operator."""

    exit_status = 4


class ProviderError(DcaeError):
    """The execution provider that was asked for, or any ONNX Runtime, is not there."""

    exit_status = 5


class ResourceError(DcaeError):
    """Not enough memory or disk."""

    exit_status = 6


class ParityError(DcaeError):
    """A result that differs from its reference by more than its tolerance."""

    exit_status = 7


class ExportError(DcaeError):
    """A graph that could not be made, or is not what it has to be."""

    exit_status = 7


class TrainingError(DcaeError):
    """A training whose losses or gradients are no longer finite."""

    exit_status = 7


class BusyError(DcaeError):
    """Another process is writing the same target."""

    exit_status = 8


class CancelledError(DcaeError):
    """The caller asked for the work to stop before it was done."""

    exit_status = 130
