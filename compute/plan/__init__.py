"""Plan of a request: functions of a request and its scenes that read no pixels and start no computation."""

from compute.plan.builder import make_plan
from compute.plan.memory_estimate import WORKER_BYTES
from compute.plan.output_grid import COARSEST_PX, fit_chunks, level_count
from compute.plan.preview_planning import preview_plan
from compute.plan.serialisation import UNREADABLE, plan_document, plan_of
from compute.plan.weighting import has_strata
from compute.plan.work_plan import BlockPlan, NdviPlan, SeasonPlan

__all__ = [
    "COARSEST_PX",
    "UNREADABLE",
    "WORKER_BYTES",
    "BlockPlan",
    "NdviPlan",
    "SeasonPlan",
    "fit_chunks",
    "has_strata",
    "level_count",
    "make_plan",
    "plan_document",
    "plan_of",
    "preview_plan",
]
