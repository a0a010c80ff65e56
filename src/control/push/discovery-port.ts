/** Port 15012: delta xDS, the certificate service and telemetry behind one TLS listener with a certificate of our own CA. */
import { type GrpcServer, startGrpcServer } from '#http/grpc/server.ts';
import type { CertificateAuthority } from '#identity/ca/authority.ts';
import { CREATE_CERTIFICATE_METHOD } from '#wire/protobuf/certificate.ts';
import { DELTA_ADS_METHOD } from '#wire/protobuf/discovery.ts';
import { REPORT_METHOD, WATCH_METHOD } from '#wire/protobuf/telemetry.ts';
import { certificateService } from '../ca/certificate-service.ts';
import type { PodLookup } from '../ca/impersonation.ts';
import type { ServingCertificate } from '../ca/serving.ts';
import type { Intake } from '../observe/intake.ts';
import { reportMethod } from '../observe/report-stream.ts';
import { watchMethod } from '../observe/watch-server.ts';
import { PushServer, type PushServerDeps } from './push-server.ts';

export interface DiscoveryPortDeps extends PushServerDeps {
  readonly authority: CertificateAuthority;
  readonly pods: PodLookup;
  readonly serving: ServingCertificate;
  readonly intake: Intake;
}

export interface DiscoveryPortOptions {
  readonly address: string;
  readonly port: number;
  readonly trustDomain: string;
  /** `namespace/serviceAccount` that may ask for the identities of the pods on their node. */
  readonly trustedAccounts: ReadonlySet<string>;
  /** Of the control plane itself: who watches from another replica. */
  readonly ownPrincipal: string;
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
  const push = new PushServer(deps);
  let server: GrpcServer;
  try {
    server = await startGrpcServer(
      deps.clock,
      {
        address: options.address,
        port: options.port,
        clientRoots: deps.authority.root,
        ...deps.serving.current,
      },
      {
        streams: {
          [DELTA_ADS_METHOD]: (stream) => push.openStream(stream),
          [REPORT_METHOD]: reportMethod(deps.intake, deps),
          [WATCH_METHOD]: watchMethod(deps.intake, {
            log: deps.log,
            principal: options.ownPrincipal,
          }),
        },
        unary: { [CREATE_CERTIFICATE_METHOD]: certificateService(deps, options) },
      },
    );
  } catch (error) {
    push.close();
    throw error;
  }
  deps.serving.onRenewed((identity) => server.replaceIdentity(identity));
  return {
    port: server.port,
    push,
    stop() {
      push.close();
      return server.stop();
    },
  };
}
