/**
 * Decides whether the other end of a finished TLS handshake is who we want. Bun reports a client's outcome as
 * one error code; a name mismatch is raised only once the chain is good, and names are not how mesh
 * peers are known, so that one code counts as success here (net/bun/bun-network.test.ts holds the proof).
 */
import { MeshError } from '#base/errors.ts';
import { NET_ERRORS } from '../errors.ts';
import type { JudgePeer } from '../network.ts';
import { handshakeFaultOf, NAME_MISMATCH } from './handshake-fault.ts';

export interface HandshakeOutcome {
  success: boolean;
  errorCode: string | undefined;
  errorMessage: string;
  protocol: string | undefined;
  alpn: string | undefined;
  peerUris: readonly string[];
}

export interface PeerRequirement {
  role: 'client' | 'server';
  alpn: readonly string[];
  /** Undefined = TLS 1.3 alone. */
  versions?: readonly string[];
  /** Client role: verify `serverName`-style names too (then a mismatch fails). */
  verifyName: boolean;
  /** Client role: whatever the chain is. */
  unverified?: boolean;
  expectedUris: readonly string[] | undefined;
  /** Server role: the peer must have shown a certificate that chains to the bundle. */
  peer: string;
  judgePeer: JudgePeer | undefined;
}

const MESH_VERSIONS: readonly string[] = ['TLSv1.3'];

/** Undefined when the peer is accepted. */
export function checkPeer(
  outcome: HandshakeOutcome,
  requirement: PeerRequirement,
): MeshError | undefined {
  const { errorCode } = outcome;
  const nameOnly =
    requirement.role === 'client' && !requirement.verifyName && errorCode === NAME_MISMATCH;
  const isExcused = nameOnly || requirement.unverified === true;
  if (errorCode !== undefined && !isExcused) {
    const code = handshakeFaultOf(errorCode, outcome.errorMessage);
    return faulty(requirement, code, `${outcome.errorMessage} (${errorCode})`);
  }
  if (!outcome.success && !isExcused) {
    return faulty(requirement, 'NET_TLS_FAILED', 'handshake failed');
  }
  if (!(requirement.versions ?? MESH_VERSIONS).includes(outcome.protocol ?? '')) {
    const protocol = outcome.protocol ?? 'no protocol';
    return faulty(requirement, 'NET_TLS_REFUSED', `peer negotiated ${protocol}`);
  }
  if (requirement.alpn.length > 0 && !requirement.alpn.includes(outcome.alpn ?? '')) {
    const alpn = outcome.alpn || 'none';
    return faulty(requirement, 'NET_TLS_REFUSED', `peer agreed to ALPN ${alpn}`);
  }
  return checkIdentity(outcome, requirement);
}

function checkIdentity(
  outcome: HandshakeOutcome,
  requirement: PeerRequirement,
): MeshError | undefined {
  const { expectedUris } = requirement;
  if (expectedUris === undefined) return undefined;
  if (outcome.peerUris.some((uri) => expectedUris.includes(uri))) return undefined;
  const proved = outcome.peerUris.join(', ') || 'no URI SAN';
  return new MeshError(
    'NET_PEER_IDENTITY',
    `${requirement.peer} proved ${proved}, expected ${expectedUris.join(' or ') || 'none known'}`,
    { side: sideOf(requirement), hint: NET_ERRORS.NET_PEER_IDENTITY, retry: 'safe' },
  );
}

function faulty(
  requirement: PeerRequirement,
  code: keyof typeof NET_ERRORS,
  why: string,
): MeshError {
  return new MeshError(code, `TLS with ${requirement.peer}: ${why}`, {
    side: sideOf(requirement),
    hint: NET_ERRORS[code],
    retry: 'safe',
  });
}

function sideOf(requirement: PeerRequirement): 'upstream' | 'downstream' {
  return requirement.role === 'client' ? 'upstream' : 'downstream';
}
