/** Codes of what the console's server refuses or cannot do. */
export const CONSOLE_ERRORS = {
  CONSOLE_BAD_PARAMETER:
    'see docs/openapi.json for the members of each address, and `tulle graph --help` for the same by command',
  CONSOLE_BAD_BODY:
    'send JSON with `content-type: application/json`, as docs/openapi.json describes it',
  CONSOLE_TOO_LARGE: 'send less in one request',
  CONSOLE_NOT_FOUND: 'see docs/openapi.json for what there is; names are spelled as in the cluster',
  CONSOLE_METHOD: 'see docs/openapi.json for the methods of each address',
  CONSOLE_NOT_LOGGED_IN: 'log in with a token: kubectl create token NAME -n NAMESPACE',
  CONSOLE_TOKEN_REFUSED: 'make a new one: kubectl create token NAME -n NAMESPACE',
  CONSOLE_FORBIDDEN:
    'ask for the right: kubectl auth can-i list pods -n NAMESPACE --as USER shows what there is',
  CONSOLE_READ_ONLY:
    'use kubectl or `tulle apply`, or start the control plane without --console-read-only',
  CONSOLE_FOREIGN_ORIGIN:
    'open the console under the name it is served at; further names: --console-host NAME',
  CONSOLE_NO_CSRF: 'read GET /api/v1/session and send its csrfToken as x-tulle-csrf',
  CONSOLE_TOO_MANY: 'wait as long as Retry-After says; close pages that are open twice',
  CONSOLE_UNAVAILABLE: 'tulle status shows what the control plane waits for',
  CONSOLE_INTERNAL:
    'the log of the control plane says more: kubectl logs -n istio-system deploy/istiod',
} as const;

export type ConsoleErrorCode = keyof typeof CONSOLE_ERRORS;
