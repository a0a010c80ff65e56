/**
 * Certificates by identity as `/certs` of a node proxy, waypoint or gateway shows them, in the shape of ztunnel's (src/admin.rs):
 * chain and roots, also of one that has ended, which listeners go on with until there is another. Never a key: the rest is what
 * peers see anyway.
 */
import { X509Certificate } from 'node:crypto';
import { rfc3339At } from '#base/clock.ts';
import { splitCertificates } from '#wire/x509/pem.ts';
import type { SvidStatus, SvidStore } from './svid-store.ts';

export interface CertificateDump {
  readonly pem: string;
  readonly serialNumber: string;
  readonly validFrom: string;
  readonly expirationTime: string;
}

export interface CertsDump {
  readonly identity: string;
  readonly state: 'Available' | 'Initializing' | 'Unavailable';
  readonly certChain: readonly CertificateDump[];
  readonly rootCerts: readonly CertificateDump[];
  readonly lastError: string | undefined;
}

const STATES = { ready: 'Available', pending: 'Initializing', unavailable: 'Unavailable' } as const;

type Identities = Pick<SvidStore, 'status' | 'lastIssued'>;

export function* certsOf(identities: Identities): Iterable<CertsDump> {
  for (const status of identities.status()) yield certsDump(status, identities);
}

function certsDump({ principal, state, lastError }: SvidStatus, identities: Identities): CertsDump {
  const issued = identities.lastIssued(principal);
  return {
    identity: principal,
    state: STATES[state],
    certChain: dumpPem(issued?.certificateChain),
    rootCerts: dumpPem(issued?.trustBundle),
    lastError,
  };
}

function dumpPem(pem = ''): CertificateDump[] {
  return splitCertificates(pem).map((text) => {
    const certificate = new X509Certificate(text);
    return {
      pem: Buffer.from(text).toString('base64'),
      serialNumber: certificate.serialNumber.toLowerCase(),
      validFrom: rfc3339At(Date.parse(certificate.validFrom)),
      expirationTime: rfc3339At(Date.parse(certificate.validTo)),
    };
  });
}
