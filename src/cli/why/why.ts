/** `tulle why`: what becomes of one request, decided by the proxies' own functions. Pure but for what files are completed with. */
import { answerAmbient } from './ambient.ts';
import { assumeMissing } from './assume.ts';
import type { WhyAnswer, WhyRequest } from './contract.ts';
import { Draft } from './draft.ts';
import { answerAtGateway } from './gateway.ts';
import { answerSidecar } from './sidecar.ts';
import { answerInbound } from './sidecar-inbound.ts';
import { sourceOf, workloadNamed } from './source.ts';
import { findTarget, kubernetesName } from './target.ts';
import type { World } from './world.ts';

export function why(world: World, request: WhyRequest): WhyAnswer {
  const draft = new Draft();
  assumeMissing(world, request, request.source?.namespace ?? 'default');
  const source = sourceOf(world, request);
  const asked = { world, request, draft, source };
  if (source.isUnheardOf)
    draft.step(
      `assumed: a pod of the mesh runs as ${source.namespace}/${source.workload.serviceAccount}: there is none now, and none that is called so`,
    );
  if (request.gateway !== undefined) return answerAtGateway(asked);
  const { host, workload } = request.destination;
  const target = findTarget(world, { host, namespace: source.namespace });
  if (target?.kind === 'service') {
    const { service, alias } = target;
    if (alias !== undefined) draft.step(`${alias} is another name for ${service.hostname}`);
    const place = kubernetesName(service.hostname, world.settings.domain);
    const note = world.files?.notes.get(`Service ${place?.namespace}/${place?.name}`);
    if (note !== undefined) draft.step(`assumed: ${note}`);
  }
  const own = workload === undefined ? undefined : workloadNamed(world, workload);
  if (own !== undefined && request.mode === 'sidecar') {
    const port = targetPort(request, target, own);
    const inbound = { ...request, destination: { ...request.destination, port } };
    return answerInbound({ ...asked, request: inbound }, own, own.addresses[0] ?? '');
  }
  if (request.mode === 'sidecar') return answerSidecar(asked, target);
  const asWorkload = own && {
    kind: 'workload' as const,
    workload: own,
    address: own.addresses[0] ?? '',
  };
  return answerAmbient(asked, target ?? asWorkload ?? { kind: 'outside', host });
}

/** The port that the workload listens on for the service port that was dialled. */
function targetPort(
  request: WhyRequest,
  target: ReturnType<typeof findTarget>,
  workload: {
    services: ReadonlyMap<string, readonly { servicePort: number; targetPort: number }[]>;
  },
): number {
  const { port } = request.destination;
  if (target?.kind !== 'service') return port;
  const mappings = workload.services.get(`${target.service.namespace}/${target.service.hostname}`);
  return mappings?.find(({ servicePort }) => servicePort === port)?.targetPort ?? port;
}
