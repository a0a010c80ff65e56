/** Port 15012: delta xDS and the certificate service behind one TLS listener with a certificate of our own CA. */
import { type GrpcServer, startGrpcServer } from '#http/grpc/server.ts';
import type { CertificateAuthority } from '#identity/ca/authority.ts';
import { CREATE_CERTIFICATE_METHOD } from '#wire/protobuf/certificate.ts';
import { DELTA_ADS_METHOD } from '#wire/protobuf/discovery.ts';
import { certificateService } from '../ca/certificate-service.ts';
import type { PodLookup } from '../ca/impersonation.ts';
import { PushServer, type PushServerDeps } from './push-server.ts';

export interface DiscoveryPortDeps extends PushServerDeps {
  readonly authority: CertificateAuthority;
  readonly pods: PodLookup;
}

export interface DiscoveryPortOptions {
  readonly address: string;
  readonly port: number;
  readonly trustDomain: string;
  /** DNS names of the serving certificate: istiod.istio-system.svc and its relatives. */
  readonly servingNames: readonly string[];
  /** `namespace/serviceAccount` that may ask for the identities of the pods on their node. */
  readonly trustedAccounts: ReadonlySet<string>;
}

export interface DiscoveryPort {
  readonly port: number;
  readonly push: PushServer;
  stop(): Promise<void>;
}

export async function startDiscoveryPort(
  deps: DiscoveryPortDeps,
  options: DiscoveryPortOptions,
): Promise<DiscoveryPort> {
  const serving = await deps.authority.issueServing(options.servingNames);
  const push = new PushServer(deps);
  let server: GrpcServer;
  try {
    server = await startGrpcServer(
      deps.clock,
      { address: options.address, port: options.port, ...serving },
      {
        streams: { [DELTA_ADS_METHOD]: (stream) => push.openStream(stream) },
        unary: { [CREATE_CERTIFICATE_METHOD]: certificateService(deps, options) },
      },
    );
  } catch (error) {
    push.close();
    throw error;
  }
  return {
    port: server.port,
    push,
    stop() {
      push.close();
      return server.stop();
    },
  };
}
