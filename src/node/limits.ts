/** Limits and times of the node proxy, each with its reason. */

/** How long a connection waits for what it needs to be decided (ztunnel: 5 s for its workload record). */
export const WORKLOAD_WAIT_MS = 5_000;
/** As ztunnel's connect time-out towards the app and towards plain peers. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** What an app may send before its upstream is there; then its socket is paused. */
export const EARLY_BYTES_MAX = 64 * 1024;

/** Own ports; nothing may be proxied to them. */
export const ILLEGAL_PORTS: readonly number[] = [15001, 15006, 15008];

export const ADMIN_PORT = 15000;
export const METRICS_PORT = 15020;
export const READINESS_PORT = 15021;
/** How long `/status` and capture wait between looks at things that have no event. */
export const CAPTURE_RETRY_INITIAL_MS = 50;
export const CAPTURE_RETRY_CAP_MS = 5_000;
/** Failures in a row until the pod's owner is told: a second and a half, in which pods that start or end are through. */
export const CAPTURE_FAILURES_TOLD = 5;
/**
 * After a piece of the agent's work connections have as long as it took, at most this: a pod is captured in 10 to 40 ms, and
 * where a busy machine makes hundreds of that, requests need as much more. Forty captures on a machine ten times overbooked: with 50 ms
 * requests took 0.7 to 4 s in the middle and up to 8, and clients give up at 5; with a second 0.2 to 0.4 and up to 3.
 */
export const TURN_REST_MS_MAX = 1_000;
/** Series of edges that nobody uses are dropped this often. */
export const METRIC_SWEEP_MS = 60_000;
/** A data worker that has not said what it counted by then is left out of this scrape: it is stuck or overloaded. */
export const WORKER_REPORT_TIMEOUT_MS = 1_000;
/** Data workers at most, whatever the CPU limit says: beyond, the node has other bottlenecks. */
export const WORKERS_MAX = 16;
/** Metric edges (two workloads, a service, an outcome) unused for this long are forgotten, as at waypoints. */
export const EDGE_IDLE_MS = 15 * 60_000;

/** One pod's connections in each direction: open files divided by this. */
export const POD_DESCRIPTOR_SHARE = 8;
/** Below this a pod could not do its work; where open files are so few the process limit comes first. */
export const POD_CONNECTIONS_MIN = 256;
/** More than the ephemeral ports of one address (28,232 by default) never get through one destination. */
export const POD_CONNECTIONS_MAX = 32_768;
/** Waiting for a dial, each for CONNECT_TIMEOUT_MS at most: two full accept queues of a burst. */
export const POD_PENDING_CONNECTS_MAX = 2048;
/**
 * 256 connections with an outbox full; beyond, a connection holds one read (512 KiB at most) and is not read again until
 * its slow side has taken it.
 */
export const POD_BUFFERED_BYTES_MAX = 64 * 1024 * 1024;
/** A limit that is hit again and again is logged this often; the metric counts every time. */
export const LIMIT_LOG_PERIOD_MS = 10_000;
/** How often a proxy looks whether the other generation still serves a pod that it cannot serve itself yet. */
export const WATCH_PERIOD_MS = 250;
/** How often a generation without the status ports tries to get them. */
export const PRESENCE_RETRY_MS = 1_000;
/** Where nobody says how long we may take to drain, as ztunnel (src/config.rs). */
export const DRAIN_DEADLINE_MS = 5_000;
/** How long a pod that left the mesh still takes HBONE: until its peers have heard of it from the control plane. */
export const UNENROL_SETTLE_MS = 5_000;
/** What connections have, after that, to finish in a pod that left; then they are cut. */
export const UNENROL_DRAIN_MS = 10 * 60_000;
/** How often a pod that left is asked whether connections still run. */
export const DRAIN_POLL_MS = 250;
/** Taking rules out fails when the kernel is short of memory: again, soon. */
export const RELEASE_RETRY_MS = 1_000;
/** nf_tables tidies up after a change within some 10 ms; a socket closed before waits for it. */
export const RULE_SOCKET_LINGER_MS = 1_000;
/** Back-off towards a CNI agent that is away, as ztunnel's (src/inpod/workloadmanager.rs). */
export const ZDS_RETRY_INITIAL_MS = 10;
export const ZDS_RETRY_CAP_MS = 15_000;
/** How often a pod whose listeners could not be opened is tried again (ztunnel src/inpod/statemanager.rs). */
export const INPOD_RETRY_MS = 5_000;

/** What an outside proxy may take to say hello or to answer (istio cni/pkg/nodeagent/ztunnelserver.go). */
export const ZDS_ANSWER_TIMEOUT_MS = 5_000;
/** Proxies on the CNI socket: one, and those that drain while it is upgraded. */
export const ZDS_PROXIES_MAX = 8;
/** Processes are searched for the namespaces of pods at most this often: a node may have thousands. */
export const NAMESPACE_SCAN_PERIOD_MS = 1_000;
/** What the API server may take to say what a new pod is; then what was last known of the pod counts. */
export const CNI_LOOKUP_MS = 5_000;
/** One question at the end, whether the mesh leaves the node; three fit well before the kubelet's patience ends. */
export const END_LOOKUP_MS = 1_500;
export const END_LOOKUPS = 3;
/** How often a node that is not ready yet, or whose taint could not be removed, is looked at again. */
export const UNTAINT_PERIOD_MS = 1_000;
/** Ports of a service that a refusal names: what a person compares at a glance. */
export const PORTS_SHOWN_MAX = 10;
