/** Operating failures of the API server's process. What a client gets are Status objects: rest/status-error.ts. */
export const APISERVER_ERRORS = {
  STORAGE_EXISTS: 'the name is taken: choose another one or update the object',
  STORAGE_MISSING: 'the object is gone: read it again before writing',
  STORAGE_CONFLICT: 'somebody else wrote the object: read it again and repeat the change',
  STORAGE_COMPACTED: 'the revision is older than the event log: list again',
  STORAGE_OPEN:
    'is the disk full, or does another API server use this --data-dir? `tulle lab down` ends it',
  APISERVER_LISTEN: 'is the port taken? `ss -ltnp` shows by whom',
  APISERVER_DATA: 'the data directory is damaged: `tulle lab down`, remove it and start again',
  APISERVER_USAGE: 'see `tulle role apiserver --help`',
} as const;
