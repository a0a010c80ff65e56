/** Every bound of the API server, with its reason. */

/** etcd's request limit in a Kubernetes cluster: an object that fits here fits there. */
export const BODY_BYTES_MAX = 3 * 1024 * 1024;

/** Events kept for watches that resume. 20,000 cover a rollout of every pod of a lab several times over. */
export const EVENT_LOG_MAX = 20_000;

/** The log is trimmed after this many writes: often enough to stay small, rarely enough not to cost. */
export const EVENT_LOG_TRIM_EVERY = 1_000;

/** A watcher that is this far behind is closed; it lists again. Keeps one stuck reader from holding the heap. */
export const WATCH_QUEUE_BYTES_MAX = 16 * 1024 * 1024;

/** As Kubernetes' watch cache: idle watchers learn the revision so that a resume rarely meets 410. */
export const BOOKMARK_PERIOD_MS = 60_000;

/** kube-apiserver's --min-request-timeout: a watch without timeoutSeconds ends after 30 to 60 minutes. */
export const WATCH_TIMEOUT_MIN_MS = 1_800_000;

/** Attempts of one read-modify-write that races with itself through an asynchronous step. */
export const CONFLICT_RETRIES_MAX = 5;

/** Kubernetes' names/generate.go: 5 random characters behind a base of at most 58. */
export const GENERATED_SUFFIX_LENGTH = 5;
export const GENERATED_BASE_LENGTH_MAX = 58;

/** TokenRequest: Kubernetes refuses less than 10 minutes and grants an hour when nothing is asked. */
export const TOKEN_SECONDS_MIN = 600;
export const TOKEN_SECONDS_DEFAULT = 3_600;
/** 2^32 seconds, as the API's validation says. */
export const TOKEN_SECONDS_MAX = 2 ** 32;

/** Verified tokens remembered by their text; a lab has a few hundred. */
export const TOKEN_CACHE_MAX = 4_096;

/** An aggregate of every annotation of an object: Kubernetes' TotalAnnotationSizeLimitB. */
export const ANNOTATION_BYTES_MAX = 256 * 1024;

/** Service port names, as DNS_LABEL. */
export const DNS_LABEL_LENGTH_MAX = 63;
export const DNS_SUBDOMAIN_LENGTH_MAX = 253;

/** A node agent in the same lab answers at once or not at all. */
export const KUBELET_CONNECT_TIMEOUT_MS = 5_000;

/** Bytes of an exec session kept for a client that reads slowly, or for a node agent still connecting. */
export const EXEC_QUEUE_BYTES_MAX = 4 * 1024 * 1024;

/** Serving certificate and CA of a lab: long enough that nobody meets their end, renewed when near it. */
export const CERTIFICATE_DAYS = 3_650;
