/** TLS of one listener: its certificates, how clients are checked, Istio's options. Pure. */
import type { ServerTls } from '#model/route/gateway-config.ts';
import type { Fault } from './conditions.ts';
import type { FrontendValidation, GatewaySpec, ListenerSpec } from './kinds.ts';
import type { Referrer } from './references.ts';
import type { TlsLookups } from './tls-material.ts';
import { resolveCertificate, resolveRoots } from './tls-material.ts';

/** Istio's annotations of `tls.options` (gatewaycommon/context.go, gateway/conversion.go). */
const MODE_OPTION = 'gateway.istio.io/tls-terminate-mode';
const CIPHERS_OPTION = 'gateway.istio.io/tls-cipher-suites';

/** Certificates are the listener's (its ListenerSet's), roots of clients the Gateway's. */
export interface ListenerReferrers {
  readonly listener: Referrer;
  readonly gateway: Referrer;
}

export interface ListenerTls {
  /** Undefined: plaintext, or passed through. */
  readonly tls: ServerTls | undefined;
  /** A reference that cannot be used. */
  readonly refs?: Fault;
  readonly accepted?: Fault;
  /** Whether the listener can be served. */
  readonly usable: boolean;
}

export function compileListenerTls(
  listener: ListenerSpec,
  gateway: GatewaySpec,
  from: ListenerReferrers,
  lookups: TlsLookups,
): ListenerTls {
  const { protocol, port, tls } = listener;
  if (protocol !== 'HTTPS' && protocol !== 'TLS') return { tls: undefined, usable: true };
  const options = tls?.options ?? {};
  const mode = tls?.mode || (protocol === 'HTTPS' ? 'Terminate' : undefined);
  if (mode === 'Passthrough')
    return protocol === 'TLS'
      ? { tls: undefined, usable: true }
      : refuse('TLS of an HTTPS listener is terminated: mode Passthrough is for protocol TLS');
  if (mode !== 'Terminate')
    return refuse(`tls.mode ${mode ?? '(none)'} is none of Terminate, Passthrough`);
  const terminate = options[MODE_OPTION];
  const cipherSuites = listOf(options[CIPHERS_OPTION]);
  const ciphers = cipherSuites.length > 0 ? { cipherSuites } : {};
  if (terminate === 'ISTIO_MUTUAL')
    return { tls: { mode: 'istio-mutual', certificates: [], ...ciphers }, usable: true };
  if (terminate !== undefined && terminate !== 'MUTUAL' && terminate !== 'OPTIONAL_MUTUAL')
    return refuse(`the option ${MODE_OPTION} is none of MUTUAL, OPTIONAL_MUTUAL, ISTIO_MUTUAL`);
  const resolved = (tls?.certificateRefs ?? []).map((ref) =>
    resolveCertificate(ref, from.listener, lookups),
  );
  const certificates = resolved.flatMap((each) => (each.fault === undefined ? [each.name] : []));
  const fault = joined(resolved.flatMap((each) => each.fault ?? []));
  if (certificates.length === 0) {
    const missing = {
      reason: 'InvalidCertificateRef',
      message: 'a listener that terminates TLS needs certificateRefs',
    };
    return { tls: undefined, refs: fault ?? missing, usable: false };
  }
  const server: ServerTls = { mode: 'simple', certificates, ...ciphers };
  return withClients(
    { tls: server, refs: fault, usable: true },
    { terminate, validation: validationFor(port, gateway) },
    from.gateway,
    lookups,
  );
}

/** How client certificates are checked: the Gateway's frontend validation, else the listener's option. */
function withClients(
  served: ListenerTls & { tls: ServerTls },
  wanted: { terminate: string | undefined; validation: FrontendValidation | undefined },
  from: Referrer,
  lookups: TlsLookups,
): ListenerTls {
  const { terminate, validation } = wanted;
  const { tls } = served;
  const optionMode =
    terminate === undefined ? undefined : terminate === 'MUTUAL' ? 'mutual' : 'optional';
  const refs = validation?.caCertificateRefs ?? [];
  if (refs.length === 0) {
    // The roots are beside the certificate, in its Secret's ca.crt (Istio's credentialName).
    return optionMode === undefined
      ? served
      : { ...served, tls: { ...tls, mode: optionMode, clientRoots: tls.certificates[0] } };
  }
  const noRoots = (fault: Fault): ListenerTls => ({
    tls: undefined,
    refs: fault,
    accepted: { reason: 'NoValidCACertificate', message: fault.message },
    usable: false,
  });
  if (refs.length > 1)
    return noRoots({
      reason: 'InvalidCACertificateRef',
      message: 'only one caCertificateRef is supported',
    });
  const roots = resolveRoots(refs[0], from, lookups);
  if (roots.fault !== undefined) return noRoots(roots.fault);
  if (validation?.mode === 'AllowInsecureFallback' && optionMode === undefined)
    return { ...served, tls: { ...tls, mode: 'unverified' } };
  return { ...served, tls: { ...tls, mode: optionMode ?? 'mutual', clientRoots: roots.name } };
}

/** A port's own settings replace the default whole. */
function validationFor(port: number, { tls }: GatewaySpec): FrontendValidation | undefined {
  const frontend = tls?.frontend;
  const own = frontend?.perPort?.find((each) => each.port === port);
  return own === undefined ? frontend?.default?.validation : own.tls?.validation;
}

function refuse(message: string): ListenerTls {
  return { tls: undefined, accepted: { reason: 'UnsupportedValue', message }, usable: false };
}

function joined(faults: readonly Fault[]): Fault | undefined {
  if (faults.length === 0) return undefined;
  return { reason: faults[0].reason, message: faults.map(({ message }) => message).join('; ') };
}

function listOf(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
}
