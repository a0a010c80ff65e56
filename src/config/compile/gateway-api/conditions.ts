/** Conditions as the Gateway API's statuses carry them, without times: those are the writer's. */

export interface StatusCondition {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

export function condition(
  type: string,
  status: 'True' | 'False',
  reason: string,
  message: string,
): StatusCondition {
  return { type, status, reason, message };
}

/** What is wrong, in the words of a condition. */
export interface Fault {
  readonly reason: string;
  readonly message: string;
}

/** True with the good reason, or False with the fault. */
export function verdict(type: string, fault: Fault | undefined, good: Fault): StatusCondition {
  const { reason, message } = fault ?? good;
  return condition(type, fault === undefined ? 'True' : 'False', reason, message);
}
