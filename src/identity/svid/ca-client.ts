/** Has CSRs signed by the control plane (IstioCertificateService). A changed root file opens a new channel. */
import type { Clock } from '#base/clock.ts';
import { isMeshError, MeshError } from '#base/errors.ts';
import {
  type ControlEndpoint,
  type GrpcChannel,
  openChannel,
  readRoots,
} from '#http/grpc/channel.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import {
  CREATE_CERTIFICATE_METHOD,
  IMPERSONATED_IDENTITY,
  IstioCertificateRequest,
  IstioCertificateResponse,
} from '#wire/protobuf/certificate.ts';
import { structOf } from '#wire/protobuf/well-known.ts';

export interface SvidRequest {
  readonly principal: Principal;
  /** PEM. */
  readonly csr: string;
  readonly ttlSeconds: number;
}

export interface SvidSigner {
  /** PEM elements: leaf, intermediates, last the roots. Rejects with a MeshError. */
  sign(request: SvidRequest): Promise<readonly string[]>;
  close(): void;
}

export interface CaClientOptions {
  readonly endpoint: ControlEndpoint;
  /** True for a node proxy, which asks for other principals than its own. */
  readonly impersonate: boolean;
}

export function createCaClient(clock: Clock, options: CaClientOptions): SvidSigner {
  let channel: GrpcChannel | undefined;
  const close = () => {
    channel?.close();
    channel = undefined;
  };
  const current = (): GrpcChannel => {
    if (channel !== undefined && channel.roots !== readRoots(options.endpoint.rootFile)) close();
    channel ??= openChannel(clock, options.endpoint);
    return channel;
  };
  return {
    close,
    async sign({ principal, csr, ttlSeconds }) {
      const request = IstioCertificateRequest.create({
        csr,
        validity_duration: ttlSeconds,
        metadata: options.impersonate
          ? structOf({ [IMPERSONATED_IDENTITY]: principal })
          : undefined,
      });
      const used = current();
      let answer: Uint8Array;
      try {
        answer = await used.unary(
          CREATE_CERTIFICATE_METHOD,
          IstioCertificateRequest.encode(request),
        );
      } catch (error) {
        // The channel has a back-off of its own that would answer for the next attempts.
        if (isMeshError(error, 'GRPC_UNAVAILABLE') && used === channel) close();
        throw error;
      }
      const response = IstioCertificateResponse.decode(answer);
      if (typeof response !== 'string') return response.cert_chain;
      throw new MeshError('SVID_RESPONSE_INVALID', `answer of the CA is malformed: ${response}`, {
        side: 'upstream',
        hint: 'compare the versions of the control plane and this proxy',
      });
    },
  };
}
