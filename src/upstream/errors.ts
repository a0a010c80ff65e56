/** Failures of picking an endpoint and of getting a connection to it. */
export const UPSTREAM_ERRORS = {
  UPSTREAM_OVERFLOW:
    'a limit of DestinationRule trafficPolicy.connectionPool is reached: raise it, or add endpoints',
  UPSTREAM_ENDPOINT_GONE:
    'the endpoint was removed while the request waited; it is tried elsewhere',
} as const;
