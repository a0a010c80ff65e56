/** Error codes of the external Prometheus with a short remedy each. */
export const PROMETHEUS_ERRORS = {
  CONSOLE_PROMETHEUS_AWAY:
    'is it up, and is --prometheus-url right? curl URL/api/v1/query?query=up from the control plane’s pod shows what it meets',
  CONSOLE_PROMETHEUS_REFUSED:
    'ask it the same in its own page; --prometheus-match must be label matchers, as in {…} of a query',
  CONSOLE_PROMETHEUS_TOO_MUCH:
    'ask for fewer namespaces, or a shorter range: answers above 24 MB are not taken',
} as const;
