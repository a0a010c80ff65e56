/** Bounds of what an external Prometheus is asked; each with the reason for its number. */

/** All answers for one question together: a reader waits no longer, and then has what the own store knows. */
export const QUESTION_TIMEOUT_MS = 10_000;
/** One answer. As text it is held once, and as much again as values: the control plane is to stay small. */
export const ANSWER_BYTES_MAX = 24 * 1024 * 1024;
/** Queries that run at once for one question, and questions at once: a Prometheus serves 20 at a time, and others ask it too. */
export const QUERIES_AT_ONCE = 4;
export const QUESTIONS_AT_ONCE = 2;
/** Who was silent is not asked again for so long: pages do not wait for it one after the other. */
export const AWAY_MS = 10_000;
/** `increase` needs two samples, and many scrape once a minute. */
export const RANGE_SECONDS_MIN = 120;
/** Of the text with which Prometheus refuses. */
export const REFUSAL_CHARACTERS_MAX = 300;
/** Workloads that one query names: a service has few, and longer queries come from a mistake. */
export const NAMES_MAX = 200;
