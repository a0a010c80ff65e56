/** Error codes of the console's thread with a short remedy each. */
export const ENGINE_ERRORS = {
  CONSOLE_STORE_STOPPED:
    'the console’s thread ended and is started again: ask once more; the log of the control plane has the reason',
  CONSOLE_STORE_FAILED:
    'a bug in the console: report the stack trace in the log of the control plane; the mesh is not affected',
} as const;
