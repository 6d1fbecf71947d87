"""The life of a job: plan, submit or join, watch block by block, cancel."""

from compute.jobs.failures import left_out
from compute.jobs.identity import ANONYMOUS, Principal, job_token
from compute.jobs.job import Job
from compute.jobs.observing import observations_at
from compute.jobs.planning import plan_request
from compute.jobs.registry import JobRecord, JobRegistry

__all__ = [
    "ANONYMOUS",
    "Job",
    "JobRecord",
    "JobRegistry",
    "Principal",
    "job_token",
    "left_out",
    "observations_at",
    "plan_request",
]
