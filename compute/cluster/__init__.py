"""Dask clusters: local, on a Gateway or an existing scheduler, behind one asynchronous interface.

Functions that communicate are coroutines: the synchronous client of dask-gateway 2026.3 can deadlock on its own event
loop when it is garbage-collected. Every wait has a time limit. Clusters and clients that are started here are stopped
even if the caller fails or is cancelled.
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
