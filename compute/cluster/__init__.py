"""Local, Gateway or an existing scheduler, behind one asynchronous interface.

Everything here is a coroutine, because the synchronous Gateway client can wait on its own event loop for ever when
the garbage collector closes it. Every wait has a bound; what was started is stopped again, also when the caller
fails or is cancelled.
"""

from compute.cluster.cluster_pool import ClusterPool
from compute.cluster.cluster_spec import ClusterSpec, parse_cluster
from compute.cluster.connection import Connection, WarmUp
from compute.cluster.credentials import credentials
from compute.cluster.gateway import (
    RunningCluster,
    gateway_options,
    list_gateway_clusters,
    short_name,
    stop_gateway_cluster,
)
from compute.cluster.gateway_answers import has_gateway
from compute.cluster.offered_options import ClusterOption
from compute.cluster.pooled_cluster import PooledCluster
from compute.cluster.startup import check_cluster, open_cluster
from compute.cluster.startup_progress import OnStage, Stage
from compute.cluster.worker_watchdog import WorkerGuard

__all__ = [
    "ClusterOption",
    "ClusterPool",
    "ClusterSpec",
    "Connection",
    "OnStage",
    "PooledCluster",
    "RunningCluster",
    "Stage",
    "WarmUp",
    "WorkerGuard",
    "check_cluster",
    "credentials",
    "gateway_options",
    "has_gateway",
    "list_gateway_clusters",
    "open_cluster",
    "parse_cluster",
    "short_name",
    "stop_gateway_cluster",
]
