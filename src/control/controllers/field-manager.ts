/** Under which name the control plane owns the fields that it writes, whichever replica and revision of it. */
export const FIELD_MANAGER = 'tulle-control';
