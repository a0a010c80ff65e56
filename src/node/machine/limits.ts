/** Times of a machine that joined, each with its reason. */

/** As a projected token (istio's manifests ask for 12 hours): what a machine outlives without the API server. */
export const TOKEN_SECONDS = 43_200;
/** Renewed after this part of its life, however long the server really made it. */
export const TOKEN_RENEW_FRACTION = 0.5;
/** When renewing failed, and how often the root certificates are read again. */
export const CREDENTIALS_RETRY_MS = 30_000;
export const ROOTS_PERIOD_MS = 600_000;
/** And revocation lists: as soon as a kubelet shows them to its pods, and one small request. */
export const CRL_PERIOD_MS = 60_000;
/** Of one address of the control plane; there may be several. */
export const CONTROL_DIAL_MS = 2_000;
/** Nodes whose port is tried; any of them leads to the control plane. */
export const CONTROL_NODES_MAX = 3;
/** Back-off of writes to the API. */
export const REGISTER_RETRY_INITIAL_MS = 500;
export const REGISTER_RETRY_CAP_MS = 30_000;
/** What one step of joining may take: a few requests, and some addresses of the control plane. */
export const STEP_MS = 30_000;
/** What the API may take when the machine leaves. */
export const UNREGISTER_MS = 5_000;
/** How long peers may take to hear that the machine leaves; until then they are served. */
export const LEAVE_SETTLE_MS = 5_000;
/** What connections have to finish; systemd kills after 90 s by default. */
export const LEAVE_DRAIN_MS = 30_000;
/** Changes of the mesh are gathered so long before the kernel's sets follow. */
export const MESH_SET_DELAY_MS = 50;
/** Says again what is waited for. */
export const WAITING_PERIOD_MS = 5_000;
/** What of a probe's answer goes into the condition. */
export const PROBE_DETAIL_CHARS_MAX = 256;
