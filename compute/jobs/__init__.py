"""The life of a job: plan, submit or join, watch block by block, cancel; and after a restart, take it up again."""

from compute.jobs.caretaker import EXPIRED, Caretaker
from compute.jobs.failures import left_out
from compute.jobs.identity import ANONYMOUS, Principal, job_token, participant_of, user_principal
from compute.jobs.job import Job
from compute.jobs.keeping import Keep, Keeping
from compute.jobs.kept import KeptResults
from compute.jobs.numbers import result_remarks
from compute.jobs.observing import observations_at
from compute.jobs.order import BlockOrder, Viewpoint
from compute.jobs.planning import plan_request
from compute.jobs.provenance import plan_again, plan_provenance
from compute.jobs.published import open_published, published_name
from compute.jobs.record import JobRecord
from compute.jobs.registry import JobRegistry
from compute.jobs.retention import Retention
from compute.jobs.rows import MOST_TITLE, JobRow
from compute.jobs.secret import derived_key, server_secret
from compute.jobs.store import JobStore

__all__ = [
    "ANONYMOUS",
    "EXPIRED",
    "MOST_TITLE",
    "BlockOrder",
    "Caretaker",
    "Job",
    "JobRecord",
    "JobRegistry",
    "JobRow",
    "JobStore",
    "Keep",
    "Keeping",
    "KeptResults",
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
