/** Codes of the HTTP drivers, each with what to do next. */
export const HTTP_ERRORS = {
  H1_BAD_MESSAGE:
    'the peer sent bytes that are not strict HTTP/1.1; look at the peer, or declare the port as TCP',
  H1_HEAD_TIMEOUT: 'the peer was too slow to send a whole request head; look for a stalled client',
  HTTP_BODY_TIMEOUT: 'the peer stopped sending a request body; look for a stalled client',
  HTTP_EXPECTATION: 'send no Expect, or `Expect: 100-continue`',
  H1_UNEXPECTED_CLOSE:
    'the peer closed the connection inside a message; look at its log at that time',
  H1_RESPONSE_CUT:
    'the upstream closed the connection inside its response; look at its log at that time',
  H1_REUSED_CONNECTION_CLOSED:
    'the upstream closed an idle connection just as it was reused; a retry is safe for idempotent requests; lower the idle timeout below the upstream’s',
  H1_BODY_LENGTH: 'the body does not match its Content-Length; look at the sender of the body',
  HTTP_UPGRADE_UNSUPPORTED:
    'the peer does not offer the extended CONNECT of RFC 8441; set h2UpgradePolicy: DO_NOT_UPGRADE for this destination',
  HTTP_NO_CAPACITY: 'the connection takes no more requests; use another one',
  H2_PROTOCOL: 'the peer broke the HTTP/2 protocol; look at the peer’s version and log',
  H2_CALM:
    'the peer flooded the connection with cheap frames; look for an abusive or broken client',
  H2_STREAM_RESET: 'the peer broke the stream off; look at its log at that time',
  H2_STREAM_REFUSED: 'the peer refused the stream before working on it; another try is safe',
  H2_GOING_AWAY:
    'the peer is shutting the connection down; another try on a new connection is safe',
  H2_KEEPALIVE_TIMEOUT:
    'the peer did not answer a PING; look at the network path and the peer’s load',
  H2_CONNECTION_LOST:
    'the connection ended with streams on it; look at the peer and the network path',
  HTTP_CLOSED_BY_US:
    'this side closed the connection; look at its log for the drain or failure that caused it',
} as const;

export type HttpErrorCode = keyof typeof HTTP_ERRORS;
