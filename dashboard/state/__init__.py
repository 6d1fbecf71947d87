"""State of one page: classes of parameters, one per concern, without arrays, clients or widgets.

Views bind to these parameters, and session modules watch them. Every action of a visitor changes one of them.
"""

from dashboard.state.cluster import NEW_CLUSTER, OWN_CLUSTER, ClusterState
from dashboard.state.job import JobState
from dashboard.state.job_list import JobListState
from dashboard.state.look import LAYERS, LookState
from dashboard.state.page import PageState
from dashboard.state.parameters import ConcernState
from dashboard.state.pixel import ClickedPixelState
from dashboard.state.region_summary import RegionSummaryState
from dashboard.state.request import RequestState
from dashboard.state.submission import reason_not_to_compute
from dashboard.state.visit import VisitState

__all__ = [
    "LAYERS",
    "NEW_CLUSTER",
    "OWN_CLUSTER",
    "ClickedPixelState",
    "ClusterState",
    "ConcernState",
    "JobListState",
    "JobState",
    "LookState",
    "PageState",
    "RegionSummaryState",
    "RequestState",
    "VisitState",
    "reason_not_to_compute",
]
