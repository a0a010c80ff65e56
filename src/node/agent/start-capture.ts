/** Puts together what captures the pods of this node: the agent, who asks it, and who looks after what it did. */
import { MeshError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { inClusterConnection } from '#kube/client/in-cluster.ts';
import { type Fetch, RestClient } from '#kube/client/rest-client.ts';
import { startReconciler } from '#redirect/reconcile.ts';
import type { Assembly } from '../assemble.ts';
import type { NodeOptions } from '../config/options.ts';
import { NODE_ERRORS } from '../errors.ts';
import { OutsideListeners } from '../inpod/outside-listeners.ts';
import { ZdsServer } from '../inpod/zds-server.ts';
import type { NodePods } from '../node-pods.ts';
import { CaptureAgent } from './capture-agent.ts';
import { NamespaceFinder } from './namespace-finder.ts';
import { PodWatch } from './pod-watch.ts';
import { countRepairs } from './repairs.ts';
import { RedirectionReports } from './reports.ts';

export function startCapture(
  options: Pick<NodeOptions, 'nodeName' | 'netnsDir' | 'dnsCapture' | 'ztunnelSocket'>,
  { context, registry }: Assembly,
  log: Logger,
): NodePods {
  const { clock, random } = context;
  const client = new RestClient({ fetch: fetch as Fetch }, connectionOf(process.env));
  const reports = new RedirectionReports({ client, clock, random, log: log.child('reports') });
  const { ztunnelSocket } = options;
  const outside =
    ztunnelSocket === undefined
      ? undefined
      : new ZdsServer({ clock, log: log.child('zds') }, ztunnelSocket);
  const namespaces = new NamespaceFinder(clock, options);
  const agent = new CaptureAgent(
    context,
    { report: (request, value) => reports.set(request, value) },
    {
      findNamespace: (uid) => namespaces.find(uid),
      listeners: outside && ((pod) => new OutsideListeners(outside, pod, context.trustDomain)),
    },
  );
  const deps = { client, clock, random, log: log.child('pods') };
  const watch = new PodWatch(deps, { agent, reports }, options);
  const stopReconciler = startReconciler({
    clock,
    log: log.child('redirect'),
    watched: () => agent.watched,
    onRepair: countRepairs(registry),
  });
  const stop = () => {
    stopReconciler();
    watch.stop();
    reports.stop();
    // First: an outside proxy is not told that the pods went, because they did not.
    outside?.stop();
    agent.stop('the proxy is shutting down');
  };
  return {
    get proxies() {
      return agent.proxies;
    },
    missing() {
      if (!watch.synced) return 'the pods of this node are not known yet';
      return agent.incomplete && `the capture of ${agent.incomplete} is not complete yet`;
    },
    add: (add) => watch.add(add),
    // Rules and routes are a successor's from now on, and its version may want others.
    leave: stopReconciler,
    stop,
  };
}

function connectionOf(environment: Record<string, string | undefined>) {
  const connection = inClusterConnection(environment);
  if (connection !== undefined) return connection;
  throw new MeshError('NODE_OPTIONS', 'KUBERNETES_SERVICE_HOST is not set: not started as a pod', {
    side: 'config',
    hint: NODE_ERRORS.NODE_OPTIONS,
  });
}
