/** The marks of all our sockets, from the rules that let them pass. */
export { CALLER_MARK, PROXY_MARK } from '#redirect/ports.ts';
