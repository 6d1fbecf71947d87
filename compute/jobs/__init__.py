"""The life of a job: plan, submit or join, watch block by block, cancel."""

from compute.jobs.failures import left_out
from compute.jobs.identity import ANONYMOUS, Principal, job_token
from compute.jobs.job import Job
from compute.jobs.keeping import Keep, Keeping
from compute.jobs.kept import KeptResults
from compute.jobs.observing import observations_at
from compute.jobs.order import BlockOrder, Viewpoint
from compute.jobs.planning import plan_request
from compute.jobs.record import JobRecord
from compute.jobs.registry import JobRegistry

__all__ = [
    "ANONYMOUS",
    "BlockOrder",
    "Job",
    "JobRecord",
    "JobRegistry",
    "Keep",
    "Keeping",
    "KeptResults",
    "Principal",
    "Viewpoint",
    "job_token",
    "left_out",
    "observations_at",
    "plan_request",
]
