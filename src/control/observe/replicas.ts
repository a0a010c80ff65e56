/** Watches the other replicas over their discovery ports, with a certificate that our CA gives the control plane itself. */
import type { Clock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { formatHostPort } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import { openChannel } from '#http/grpc/channel.ts';
import type { CertificateAuthority } from '#identity/ca/authority.ts';
import { createSvidStore } from '#identity/svid/svid-store.ts';
import { formatPrincipal, type Principal } from '#model/identity/spiffe.ts';
import { WATCH_METHOD } from '#wire/protobuf/telemetry.ts';
import type { MeshSettings } from '../derive/mesh.ts';
import type { Intake } from './intake.ts';
import { type Replica, watchReplicas } from './watch-client.ts';

/** One name for the control planes of all revisions: they share the CA, and whoever has its key may be anybody. */
export function controlPrincipal(
  settings: Pick<MeshSettings, 'trustDomain' | 'rootNamespace'>,
): Principal {
  const { trustDomain, rootNamespace: namespace } = settings;
  return formatPrincipal({ trustDomain, namespace, serviceAccount: 'istiod' });
}

export function watchOthers(
  deps: {
    readonly clock: Clock;
    readonly random: Random;
    readonly log: Logger;
    readonly authority: CertificateAuthority;
    readonly intake: Intake;
  },
  options: {
    readonly principal: Principal;
    /** Their discovery port, which is ours. */
    readonly port: number;
    /** On their certificates. */
    readonly serverName: string;
    readonly clusterId: string;
    readonly replicas: () => readonly Replica[];
  },
): Disposer {
  const { clock, authority, intake } = deps;
  const { principal, port, serverName, clusterId, replicas } = options;
  const log = deps.log.child('watch');
  const signer = {
    sign: (request: Parameters<CertificateAuthority['sign']>[0]) => authority.sign(request),
    close: () => undefined,
  };
  const svids = createSvidStore({ clock, random: deps.random, log, signer });
  svids.request(principal);
  const stop = watchReplicas({
    clock,
    random: deps.random,
    log,
    intake,
    replicas,
    open({ name, ip }, handler) {
      const identity = svids.get(principal);
      if (identity === undefined) throw new Error(`no certificate to watch ${name} with yet`);
      const address = formatHostPort(ip, port);
      const { root: roots } = authority;
      const channel = openChannel(clock, { address, serverName, roots, identity, clusterId });
      return channel.stream(WATCH_METHOD, {
        onMessage: (bytes) => handler.onMessage(bytes),
        onClose(error) {
          channel.close();
          handler.onClose(error);
        },
      });
    },
  });
  return () => {
    stop();
    svids.stop();
  };
}
