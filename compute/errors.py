"""Errors that are shown to users, each with a one-sentence message that includes the remedy."""

from __future__ import annotations


class GreenupError(Exception):
    """Base class of all errors whose message is shown to users.

    The message is one sentence that names the field, the limit and the remedy. It contains no path, address or
    password of the server.
    """


class InputError(GreenupError):
    """Error raised if a request, file, option or setting is invalid.

    Parameters
    ----------
    field : str
        Name of the invalid request field, option or setting, such as ``"bbox"`` or ``"GREENUP_HOME"``.
    message : str
        One sentence with the cause, the limit and the remedy.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str]]:
        """Return the arguments for unpickling; the default would omit `field`."""
        return type(self), (self.field, str(self))


class NoScenesError(InputError):
    """Error raised if no scene matches a request, or if a requested item, such as a layer or page, does not exist."""


class TooLargeError(InputError):
    """Error raised if a request exceeds a limit of this server."""


class CatalogError(GreenupError):
    """Error raised if the scene index cannot be reached, read or changed."""


class IndexSettingError(InputError, CatalogError):
    """Error raised if the settings name an unsupported scene index, or an unsuitable folder for the embedded index."""


class ClusterError(GreenupError):
    """Error raised if a cluster cannot be reached, started or scaled within the time limit."""


class ClusterAwayError(ClusterError):
    """Error raised if the Dask Gateway is unavailable; its clusters may still run, and a later call may succeed."""


class OverloadError(GreenupError):
    """Error raised when the server has no capacity for a request; the same request may succeed later."""


class TooManyRequestsError(OverloadError):
    """Error raised if one client exceeds its limit of queued requests, open pages or failed logins."""


class JobStoreError(GreenupError):
    """Error raised if the job database cannot be read or written."""


class JobError(GreenupError):
    """Error raised if a computation fails, or if its result cannot be stored or opened."""


class JobLostError(JobError):
    """Error raised if the cluster that holds a result is lost; the result can be computed again."""


class NoWorkersError(JobError):
    """Error raised if a running cluster has no worker that can continue a computation."""


class ResultGoneError(JobError):
    """Error raised if a stored result is missing, damaged or of another version; it can be computed again."""


class ResultAwayError(JobError):
    """Error raised if the storage of a result cannot be reached; the result may still exist."""


class NotSharedError(JobError):
    """Error raised if workers cannot write to the storage from which this process reads."""


class JobCancelledError(JobError):
    """Error raised if a computation was cancelled."""
