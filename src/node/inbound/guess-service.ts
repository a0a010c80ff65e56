/**
 * Which service an incoming connection was meant for: a tunnel asks for the address of a pod, so it is what the client
 * says, if the pod is part of that, else one of its services that leads to this port (ztunnel src/proxy.rs). For telemetry.
 */
import { parseAuthority } from '#hbone/authority.ts';
import { forwardedHost } from '#hbone/tunnel-head.ts';
import type { Service } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { MeshSnapshot } from '../state/mesh-snapshot.ts';

export interface MeantFor {
  readonly local: Workload;
  /** Of the app. */
  readonly port: number;
  /** Fields of the CONNECT; undefined for plaintext. */
  readonly authority: string | undefined;
  readonly forwarded: string | undefined;
}

export function guessService(snapshot: MeshSnapshot, facts: MeantFor): Service | undefined {
  const { local, port } = facts;
  const named = namedHost(facts);
  let byPort: Service | undefined;
  for (const [key, mappings] of local.services) {
    const service = snapshot.services.get(key);
    if (service === undefined) continue;
    if (service.hostname === named) return service;
    if (leadTo(port, mappings) || leadTo(port, service.ports)) byPort ??= service;
  }
  return byPort;
}

function leadTo(port: number, mappings: Iterable<{ readonly targetPort: number }>): boolean {
  for (const { targetPort } of mappings) if (targetPort === port) return true;
  return false;
}

function namedHost({ authority, forwarded }: MeantFor): string | undefined {
  // Most authorities are addresses: without a letter, or in brackets.
  if (authority !== undefined && !authority.startsWith('[') && /[A-Za-z]/.test(authority)) {
    const asked = parseAuthority(authority);
    if (asked?.kind === 'hostname') return asked.hostname;
  }
  return forwarded === undefined ? undefined : forwardedHost(forwarded);
}
