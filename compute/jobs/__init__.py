"""Jobs: planning, submission, progress, cancellation, and recovery after a restart of the server."""

from compute.jobs.administration import JobAdministration
from compute.jobs.housekeeping import EXPIRED
from compute.jobs.identity import ANONYMOUS, Principal, job_token, participant_of, user_principal
from compute.jobs.jobstore.job_store import JobStore
from compute.jobs.jobstore.rows import MOST_TITLE, JobRow
from compute.jobs.kept_results import KeptResults
from compute.jobs.live_job import LiveJob
from compute.jobs.plan_preparation import plan_request
from compute.jobs.provenance import plan_again, plan_provenance
from compute.jobs.registry import JobRegistry
from compute.jobs.retention import Retention
from compute.jobs.run.block_order import BlockOrder, Viewpoint
from compute.jobs.run.checkpointing import Checkpointing, CheckpointTarget
from compute.jobs.run.computation import CANCELLED, RETRIES, Computation
from compute.jobs.run.observations import observations_at
from compute.jobs.run.preview import Preview
from compute.jobs.run.published_results import open_published, published_name
from compute.jobs.run.season_summary import result_remarks
from compute.jobs.run.unread_scenes import left_out
from compute.jobs.secret_key import derived_key, server_secret

__all__ = [
    "ANONYMOUS",
    "CANCELLED",
    "EXPIRED",
    "MOST_TITLE",
    "RETRIES",
    "BlockOrder",
    "CheckpointTarget",
    "Checkpointing",
    "Computation",
    "JobAdministration",
    "JobRegistry",
    "JobRow",
    "JobStore",
    "KeptResults",
    "LiveJob",
    "Preview",
    "Principal",
    "Retention",
    "Viewpoint",
    "derived_key",
    "job_token",
    "left_out",
    "observations_at",
    "open_published",
    "participant_of",
    "plan_again",
    "plan_provenance",
    "plan_request",
    "published_name",
    "result_remarks",
    "server_secret",
    "user_principal",
]
