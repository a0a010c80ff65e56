/**
 * istio.v1.auth.IstioCertificateService: who calls (token), which identity (its own, or one it may impersonate),
 * then the CA signs. Names in the CSR are ignored.
 */
import { MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { type CallContext, GrpcStatusError } from '#http/grpc/server.ts';
import { GRPC_STATUS } from '#http/grpc/status.ts';
import type { CertificateAuthority } from '#identity/ca/authority.ts';
import { formatPrincipal, type Identity, parseIdentity } from '#model/identity/spiffe.ts';
import {
  IMPERSONATED_IDENTITY,
  IstioCertificateRequest,
  IstioCertificateResponse,
} from '#wire/protobuf/certificate.ts';
import { structString } from '#wire/protobuf/well-known.ts';
import { type Authenticate, authenticateCall, type Caller } from '../push/caller.ts';
import { impersonationProblem, type PodLookup } from './impersonation.ts';

export interface CertificateServiceDeps {
  readonly log: Logger;
  readonly authority: CertificateAuthority;
  readonly authenticate: Authenticate;
  readonly clusterId: string;
  readonly pods: PodLookup;
}

export interface CertificateServiceOptions {
  readonly trustDomain: string;
  readonly trustedAccounts: ReadonlySet<string>;
}

/** Handler of the gRPC method CreateCertificate. */
export function certificateService(
  deps: CertificateServiceDeps,
  options: CertificateServiceOptions,
): (request: Uint8Array, context: CallContext) => Promise<Uint8Array> {
  return async (bytes, context) => {
    const request = IstioCertificateRequest.decode(bytes);
    if (typeof request === 'string') {
      throw status(GRPC_STATUS.invalidArgument, `request is malformed: ${request}`);
    }
    const caller = await callerOf(deps, context);
    const wanted = structString(request.metadata, IMPERSONATED_IDENTITY);
    const identity = identityFor(deps, options, { caller, wanted });
    const principal = formatPrincipal(identity);
    try {
      const chain = await deps.authority.sign({
        csr: request.csr,
        principal,
        ttlSeconds: request.validity_duration,
      });
      deps.log.info('certificate signed', {
        principal,
        for: `${caller.namespace}/${caller.serviceAccount}`,
      });
      return IstioCertificateResponse.encode({ cert_chain: [...chain] });
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      deps.log.warn('certificate refused', { principal, reason: error.message });
      throw status(GRPC_STATUS.invalidArgument, error.message);
    }
  };
}

async function callerOf(deps: CertificateServiceDeps, context: CallContext): Promise<Caller> {
  let caller: Caller | string;
  try {
    caller = await authenticateCall(context, deps);
  } catch (error) {
    throw status(GRPC_STATUS.unavailable, `cannot check the token: ${messageOf(error)}`);
  }
  if (typeof caller === 'string') {
    deps.log.warn('certificate refused', { peer: context.peer, reason: caller });
    throw status(GRPC_STATUS.unauthenticated, caller);
  }
  return caller;
}

function identityFor(
  deps: CertificateServiceDeps,
  { trustDomain, trustedAccounts }: CertificateServiceOptions,
  { caller, wanted }: { caller: Caller; wanted: string | undefined },
): Identity {
  const own = { trustDomain, namespace: caller.namespace, serviceAccount: caller.serviceAccount };
  if (wanted === undefined || wanted === '') return own;
  const identity = parseIdentity(wanted);
  const problem =
    identity === undefined
      ? `${wanted} is no identity`
      : identity.trustDomain !== trustDomain
        ? `${wanted} is not of trust domain ${trustDomain}`
        : impersonationProblem({ caller, wanted: identity, trustedAccounts, pods: deps.pods });
  if (identity !== undefined && problem === undefined) return identity;
  deps.log.warn('impersonation refused', { wanted, reason: problem });
  throw status(
    GRPC_STATUS.unauthenticated,
    `request impersonation authentication failure: ${problem}`,
  );
}

function status(code: number, details: string): GrpcStatusError {
  return new GrpcStatusError({ code, details });
}
