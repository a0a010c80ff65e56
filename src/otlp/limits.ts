/** Bounds of the export of spans and log records; each with the reason for its number. */

/** Records that wait for a collector: four seconds of a proxy at 1,000 spans a second. */
export const QUEUE_RECORDS_MAX = 4_096;
/** And their encoded bytes: a proxy of 50 MB must not grow by half for a collector that is down. */
export const QUEUE_BYTES_MAX = 8 * 1024 * 1024;
/** Records in one request (the OpenTelemetry SDKs' default). */
export const BATCH_RECORDS_MAX = 512;
/** Bytes in one request: collectors refuse gRPC messages over 4 MiB. */
export const BATCH_BYTES_MAX = 1024 * 1024;
/** How long the first record of a batch waits for others: a trace shows up within a second. */
export const BATCH_DELAY_MS = 500;

/** A request that is not answered in this time has failed (the OTLP specification's default). */
export const EXPORT_TIMEOUT_MS = 10_000;
/** Between tries of the same batch: doubled each time, with jitter. */
export const BACKOFF_BASE_MS = 500;
export const BACKOFF_MAX_MS = 30_000;
/** Then the batch is given up: what comes after it is worth more than what is minutes old. */
export const TRIES_MAX = 6;
/** What a collector may make us wait (Retry-After). */
export const RETRY_AFTER_MAX_MS = 60_000;
/** When the process ends: what waits is sent once, within this. */
export const LAST_FLUSH_MS = 2_000;
/** Names of attributes that are kept encoded: ours are about a hundred. */
export const ATTRIBUTE_NAMES_MAX = 1_024;
/** Bytes of an answer that are looked at: a partial success, or an error's text. */
export const ANSWER_BYTES_MAX = 64 * 1024;
