/** Health with its reason, and with confidence: too little traffic is no judgement. */

export type HealthStatus = 'healthy' | 'degraded' | 'failing' | 'unknown' | 'idle';

export interface Health {
  readonly status: HealthStatus;
  /** One sentence: `12 requests: too few to judge`, `4.1 % of 310 requests failed (limit 1 %)`. */
  readonly reason: string;
  /** Requests or connections that it rests on. */
  readonly samples: number;
}
