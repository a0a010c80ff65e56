/** Bounds of the lab, each with its reason. */

/** Path of a unix socket: sun_path of unix(7) less its final zero. */
export const SOCKET_PATH_BYTES_MAX = 107;
/** A start that takes longer is stuck: a warm one needs a few seconds, a cold one on a busy machine some tens. */
export const START_TIMEOUT_MS = 120_000;
/** `lab down` waits so long for the kernel to reap the namespace; it takes milliseconds. */
export const STOP_TIMEOUT_MS = 15_000;
/** Nodes are numbered into 198.18.N.0/24 and 198.18.255.10+N. */
export const NODES_MAX = 64;
/** Written and removed again to see that the disk takes data. */
export const DISK_PROBE_BYTES = 65_536;
/** Log kept per container run: enough to read a failure, small at a hundred containers. */
export const CONTAINER_LOG_BYTES = 512 * 1024;
/** One line; a longer one is cut into several, as the container runtimes do at 16 KiB. */
export const LOG_LINE_BYTES_MAX = 16 * 1024;
/** Answer bodies of samples and probes that are read; the rest is dropped. */
export const PROBE_BODY_BYTES_MAX = 10 * 1024;
/** Kubernetes' restart back-off: at once, then doubling from the first to the cap. */
export const RESTART_BACKOFF_INITIAL_MS = 1_000;
export const RESTART_BACKOFF_CAP_MS = 300_000;
/** Parts of the mesh itself come back quickly whatever happened: new connections within two seconds. */
export const SYSTEM_RESTART_CAP_MS = 1_000;
/** A run of this length counts as healthy: the next restart is immediate again. */
export const RESTART_RESET_MS = 60_000;
/** Pauses between starts of an API server that does not come up, e.g. while the disk is full. */
export const API_RESTART_INITIAL_MS = 250;
export const API_RESTART_CAP_MS = 5_000;
/** Kubernetes' default for terminationGracePeriodSeconds. */
export const GRACE_SECONDS = 30;
/** A connection may outlive the node proxy that began it by so much, while its successor serves already. */
export const NODE_PROXY_GRACE_SECONDS = 300;
/** How often the node agent is asked again while it cannot answer. */
export const CNI_RETRY_MS = 40;
/** One call to the node agent. */
export const CNI_TIMEOUT_MS = 5_000;
/** Service changes within this time become one nftables transaction. */
export const SERVICE_SYNC_DELAY_MS = 10;
/** Retries of a controller's key after a failed write. */
export const RECONCILE_BACKOFF_INITIAL_MS = 20;
export const RECONCILE_BACKOFF_CAP_MS = 5_000;
/** Keys worked on at the same time by one controller. */
export const RECONCILE_CONCURRENCY = 8;
/** DNS over TCP connections at one time; a client holds one only while it asks. */
export const DNS_TCP_CONNECTIONS_MAX = 256;
/** Answers may be kept so long; changes of services are visible after it (CoreDNS uses 5 to 30 s). */
export const DNS_TTL_SECONDS = 5;
/** That there is nothing, as CoreDNS' kubernetes plugin, as long as that there is something: a service that is made is found after it. */
export const DNS_NEGATIVE_TTL_SECONDS = 5;
/** Tokens in pods are renewed after this share of their life (the kubelet's 80 %). */
export const TOKEN_REFRESH_SHARE = 0.8;
/** ConfigMaps and Secrets in running pods follow changes; several in this time are one write. */
export const VOLUME_SYNC_DELAY_MS = 20;
/** Events older than this go, as on Kubernetes. */
export const EVENT_MESSAGE_BYTES_MAX = 1024;
/** Parts that are not ready by then are named in the error; a slow machine needs some tens of seconds. */
export const PARTS_TIMEOUT_MS = 90_000;

/** ExternalNames that lead to ExternalNames are followed so far: a ring of them must end. */
export const DNS_ALIASES_MAX = 8;

/** Load balancers of one lab: the last byte of their addresses. */
export const BALANCERS_MAX = 254;
/** Ports below 1024 need root on most machines: there 80 is to be had as 8080, 443 as 8443. */
export const UNPRIVILEGED_SHIFT = 8_000;
