/** The mark of all our sockets, from the rules that let it pass. */
export { PROXY_MARK } from '#redirect/ports.ts';
