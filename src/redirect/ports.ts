/** Ports and marks of in-pod redirection, Istio's own (cni/pkg/config/config.go), and their reasons. */

export const OUTBOUND_PORT = 15001;
export const INBOUND_PLAINTEXT_PORT = 15006;
export const INBOUND_HBONE_PORT = 15008;
export const DNS_PORT = 15053;
/** Where the app believes its name server to be. */
export const NAME_SERVER_PORT = 53;
/** Connection tracking zone of the proxy's own look-ups. */
export const PROXY_DNS_ZONE = 1;

/** SO_MARK of every socket of the proxy: the rules let it pass. */
export const PROXY_MARK = 0x539;
/** The same with a bit of its own: of sockets that connect to the app from the address of who calls it. */
export const CALLER_MARK = 0x1539;
export const CALLER_MASK = 0x1fff;
/** Connection tracking zone of what those send, not of the answers. */
export const CALLER_ZONE = 2;
/** Connection mark of what the proxy opened towards the app: brings the app's answers back to the proxy. */
export const RETURN_MARK = 0x111;
/** Both live in the low 12 bits; the rest of a mark belongs to others. */
export const MARK_MASK = 0xfff;
export const ROUTE_TABLE = 100;
export const RULE_PREFERENCE = 32764;
/** On a machine, whose administrator may have a table 100 of another meaning. */
export const MACHINE_ROUTE_TABLE = 211;

/** Probes of the kubelet come from these addresses and are not captured. */
export const PROBE_SOURCE_IPV4 = '169.254.7.127';
export const PROBE_SOURCE_IPV6 = 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff';

/** Whom the kubelet runs as: others in the node's own namespace are no probes and are captured like everybody. */
export const KUBELET_UID = 0;

/** An agent that runs answers at once; one that hangs must not keep its successor from starting. */
export const YIELD_TIMEOUT_MS = 2_000;
