/** What tells a waypoint of waypoint-process.ts that its next settings are in force. */
export const NEXT_VARIANT = 'SIGUSR2';
