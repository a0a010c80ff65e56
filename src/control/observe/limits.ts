/** Bounds of what proxies and other replicas report, each with the reason for its number. */

import { UNTAKEN_BYTES_MAX } from '#telemetry/report/limits.ts';

/** One report: a frame of as many edges as a proxy may have is 0.5 MB, edges and spans come in pieces of less. */
export const REPORT_BYTES_MAX = 2 * 1024 * 1024;
/** After an absence a proxy sends 120 frames and 40 pieces of edges at once; while live, some ten a second with its spans. */
export const REPORTS_BURST_MAX = 600;
export const REPORTS_PER_SECOND_MAX = 40;
/** As much as its ring and edges hold, and then twice the frames of the largest proxy with a thousand spans. What is more waits at the proxy. */
export const REPORT_BYTES_BURST_MAX = 16 * 1024 * 1024;
export const REPORT_BYTES_PER_SECOND_MAX = 2 * 1024 * 1024;
/** What a proxy may have sent that we did not say is taken: its own bound, and the report with which it reached that. */
export const UNTAKEN_RECEIVED_MAX = UNTAKEN_BYTES_MAX + REPORT_BYTES_MAX;
/** The same in reports, which may be small: as many as it may send at once. */
export const UNTAKEN_REPORTS_MAX = REPORTS_BURST_MAX;
/** Ids that a proxy may use: its edges, and the sums of what is above their bound. */
export const EDGE_IDS_MAX = 20_100;
/** A frame is of the ring's 120 seconds, as the proxy's own clock has it. */
export const FRAME_AGE_SECONDS_MAX = 180;
/** The least delay of a message within this time tells the offset between two clocks. */
export const OFFSET_WINDOW_MS = 30_000;
/** Frames move to another second only when the clocks have moved so far: at half a second they would do so to and fro. */
export const SHIFT_HYSTERESIS_MS = 750;
/** A proxy without a stream for so long has none: its metrics are scraped instead. Ours connect within a few seconds of their start. */
export const SCRAPE_WITHOUT_STREAM_MS = 10_000;
/** Other filters than those that are asked for already, at a time: every proxy holds its requests against each. */
export const FILTERS_MAX = 16;
/** Another replica is dialled anew after it was lost. */
export const WATCH_RETRY_INITIAL_MS = 250;
export const WATCH_RETRY_CAP_MS = 5_000;
/** Replicas come and go with their pods: looked for this often. */
export const WATCH_PEERS_PERIOD_MS = 1_000;
/** Relayed reports that another replica has not taken from its connection: beyond, it is cut off and starts anew. */
export const RELAYS_UNTAKEN_BYTES_MAX = 32 * 1024 * 1024;
/** Edges of a proxy that is scraped: as many as one that reports may have. */
export const SCRAPED_EDGES_MAX = 20_000;
/** Which workloads are proxies is read anew this much later, when edges are said: some milliseconds at 10,000 pods. */
export const ROLES_KEPT_MS = 1_000;
