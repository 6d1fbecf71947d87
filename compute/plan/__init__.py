"""What a request will do, worked out before anything is spent: pure arithmetic on a request and its scenes."""

from compute.plan.document import UNREADABLE, plan_document, plan_of
from compute.plan.grid import COARSEST_PX, fit_chunks, level_count
from compute.plan.model import BlockPlan, NdviPlan, SeasonPlan
from compute.plan.planning import make_plan
from compute.plan.preview import preview_plan
from compute.plan.strata import has_strata
from compute.plan.task_memory import WORKER_BYTES

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
