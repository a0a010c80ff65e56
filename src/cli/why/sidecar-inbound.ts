/** The destination's sidecar: which transport it takes, and what its policies say. */
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { Endpoint } from '#model/route/route-table.ts';
import type { AppProtocol } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { Asked } from './ambient.ts';
import { isAssumedAddress } from './assumed-objects.ts';
import type { Transport } from './client-tls.ts';
import type { WhyAnswer } from './contract.ts';
import type { Admission, Leg } from './forward.ts';
import { BAD_PATH, headOf, normalizedHead } from './http.ts';
import { authenticationAt, httpFacts, judgeHttp } from './http-policies.ts';
import { serverMode } from './policies.ts';
import { isHttp, schemeOf } from './protocol.ts';

export function sidecarAdmission(
  asked: Asked,
  transportOf: (endpoint: Endpoint, port: number) => Transport,
  head: () => MessageHead | undefined,
): Leg['admit'] {
  const { world, draft } = asked;
  return (endpoint, port) => {
    const { client, server } = transportOf(endpoint, port);
    draft.client = client;
    draft.server = server;
    const local = world.mesh.workloads.get(endpoint.uid)?.workload;
    if (local === undefined || endpoint.uid.includes('/ServiceEntry/'))
      return { allow: true, reason: 'nobody judges there' };
    const to = { local, address: endpoint.address, port, transport: { client, server } };
    return judge(asked, { ...to, head: head() });
  };
}

function judge(
  asked: Asked,
  at: {
    local: Workload;
    address: string;
    port: number;
    transport: Transport;
    /** Undefined: bytes. */
    head: MessageHead | undefined;
  },
): Admission {
  const { world, draft, source, request } = asked;
  const { local, address, port, transport, head } = at;
  const place = `${local.namespace}/${local.name}`;
  const isMutual = transport.client === 'istio-mtls';
  if (transport.server === 'STRICT' && !isMutual) {
    const reason = `the sidecar of ${place} demands mutual TLS (PeerAuthentication STRICT) and the connection is plaintext`;
    draft.step(reason);
    return { allow: false, reason, reset: true };
  }
  const labels = world.mesh.workloads.get(local.uid)?.labels ?? {};
  const own = { namespace: local.namespace, labels };
  const proven = head === undefined ? NO_TOKEN : authenticationAt(world, own, head);
  const facts = {
    principal: isMutual ? source.principal : undefined,
    sourceIp: source.ip,
    remoteIp: head?.getAll('x-forwarded-for')?.split(',').at(-1)?.trim() ?? source.ip,
    destinationIp: address,
    destinationPort: port,
    sni: request.sni,
    ...(head && { http: httpFacts(head) }),
  };
  const { allow, reason, status, policies } = judgeHttp(world, own, facts, proven);
  draft.addPolicies(policies);
  draft.step(`the sidecar of ${place} ${allow ? 'lets it in' : 'refuses it'}: ${reason}`);
  return { allow, reason, ...(!allow && head !== undefined && { status }) };
}

const NO_TOKEN = { kind: 'none' } as const;

/** By the workload's own address: no route is looked at but the inbound one. */
export function answerInbound(asked: Asked, workload: Workload, address: string): WhyAnswer {
  const { world, request, draft, source } = asked;
  const { port } = request.destination;
  const labels = world.mesh.workloads.get(workload.uid)?.labels ?? {};
  const server = serverMode(world, { namespace: workload.namespace, labels }, port);
  const isPlain = source.outside || request.source?.serviceAccount === undefined;
  const client = isPlain && request.source?.mtls !== true ? 'plaintext' : 'istio-mtls';
  draft.client = client;
  draft.server = server;
  const name = `${workload.namespace}/${workload.name}`;
  const shown = isAssumedAddress(address) ? '' : address;
  draft.step(
    `${source.description} reaches ${name} port ${port}, ${client === 'plaintext' ? 'in plaintext' : 'over mutual TLS'}`,
  );
  const serves = isServed(world, address, port);
  if (server === 'DISABLE' && client === 'istio-mtls' && serves)
    return draft.end(
      'reset',
      `the sidecar of ${name} takes plaintext only (PeerAuthentication DISABLE) and the connection is TLS`,
    );
  const protocol = protocolAt(workload, port, world);
  const asHttp = isHttp(request, protocol);
  const head = asHttp
    ? normalizedHead(world, headOf(request, request.destination.host, schemeOf(request)))
    : undefined;
  if (asHttp && head === undefined) return draft.end('respond', BAD_PATH, { status: 400 });
  const judged = judge(asked, {
    head,
    local: workload,
    address,
    port,
    transport: { client, server },
  });
  if (judged.reset) return draft.end('reset', judged.reason);
  const destinations = [
    {
      host: request.destination.host,
      port,
      weight: 100,
      endpoints: [{ address: shown, port, workload: name }],
    },
  ];
  return judged.allow
    ? draft.end('forward', `workload ${name} port ${port}`, { destinations })
    : draft.end('deny', judged.reason, { status: judged.status, destinations });
}

/** Whether a service leads to that port of the address: what only passes through is not looked into. */
function isServed({ mesh }: Asked['world'], address: string, port: number): boolean {
  for (const [, { workload }] of mesh.workloads.entries()) {
    if (!workload.addresses.includes(address)) continue;
    for (const ports of workload.services.values())
      if (ports.some(({ targetPort }) => targetPort === port)) return true;
  }
  return false;
}

/** Of the service that leads to the port; one that no service leads to is not known. */
function protocolAt({ services }: Workload, port: number, { mesh }: Asked['world']): AppProtocol {
  for (const [key, mappings] of services) {
    const found = mappings.find(({ targetPort }) => targetPort === port);
    const service = mesh.services.get(key)?.service;
    const own = service?.ports.find(({ servicePort }) => servicePort === found?.servicePort);
    if (own !== undefined) return own.appProtocol;
  }
  return 'unknown';
}
