"""Errors that reach people: each message is one sentence that says what to do about it."""

from __future__ import annotations


class GreenupError(Exception):
    """Base of every error that Greenup shows to a person.

    The message is one sentence that names the field, the limit and the remedy. It holds no path of the server's
    own and no traceback.
    """


class InputError(GreenupError):
    """The request, a file or an option cannot be accepted; nothing was started and nothing was spent.

    Parameters
    ----------
    field : str
        The request field or option at fault, as the caller knows it (``"bbox"``, ``"time"``).
    message : str
        One sentence saying what is wrong, the limit, and the remedy.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str]]:
        """Keep `field` across processes, where the default would pass the message alone."""
        return type(self), (self.field, str(self))


class NoScenesError(InputError):
    """The index holds no scene for the region, the dates and the products asked for."""


class TooLargeError(InputError):
    """The request exceeds a limit of this server."""


class CatalogError(GreenupError):
    """The scene index cannot be reached or read."""


class IndexSettingError(InputError, CatalogError):
    """A setting names a scene index that cannot be opened anywhere, or no place for an embedded one."""


class ClusterError(GreenupError):
    """A cluster cannot be reached, started or scaled in time."""


class ClusterAwayError(ClusterError):
    """The Gateway cannot be reached now; its clusters may go on, and the same call may succeed later."""


class OverloadError(GreenupError):
    """More is asked of the server than it can do now; the same question may succeed a moment later."""


class TooManyRequestsError(OverloadError):
    """A requester exceeds its share of concurrent requests."""


class JobStoreError(GreenupError):
    """The durable list of jobs cannot be read or written."""


class JobError(GreenupError):
    """A computation that was accepted ended without a result."""


class JobLostError(JobError):
    """The cluster of a result is gone; the result can be computed again."""


class NoWorkersError(JobError):
    """No worker of a cluster that is there can go on with a computation."""


class ResultGoneError(JobError):
    """A kept result cannot be opened any more; it can be computed again."""


class ResultAwayError(JobError):
    """A kept result cannot be reached now; it may still exist."""


class NotSharedError(JobError):
    """Workers cannot write where this process reads."""


class JobCancelledError(JobError):
    """A computation was withdrawn by all of its participants."""
