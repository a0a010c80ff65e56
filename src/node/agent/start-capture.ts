/** Puts together what captures the pods of this node: the agent, who asks it, and who looks after what it did. */
import type { Logger } from '#base/log.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { createEventRecorder } from '#kube/events/event-recorder.ts';
import { startReconciler } from '#redirect/reconcile.ts';
import type { Assembly } from '../assemble.ts';
import type { NodeOptions } from '../config/options.ts';
import { OutsideListeners } from '../inpod/outside-listeners.ts';
import { ZdsServer } from '../inpod/zds-server.ts';
import type { NodePods } from '../node-pods.ts';
import { CaptureAgent } from './capture-agent.ts';
import { captureFailed } from './capture-events.ts';
import { NamespaceFinder } from './namespace-finder.ts';
import { PodWatch } from './pod-watch.ts';
import { RedirectionReports } from './reports.ts';

export function startCapture(
  options: Pick<
    NodeOptions,
    'nodeName' | 'netnsDir' | 'dnsCapture' | 'ztunnelSocket' | 'excludeNamespaces'
  >,
  { context }: Assembly,
  { client, log, onRepair }: { client: KubeClient; log: Logger; onRepair(what: string): void },
): NodePods {
  const { clock, random } = context;
  const reports = new RedirectionReports({ client, clock, random, log: log.child('reports') });
  const events = createEventRecorder(
    { client, clock, log },
    { component: 'tulle-node', instance: options.nodeName },
  );
  const { ztunnelSocket } = options;
  const outside =
    ztunnelSocket === undefined
      ? undefined
      : new ZdsServer({ clock, log: log.child('zds') }, ztunnelSocket);
  const namespaces = new NamespaceFinder(clock, options);
  const agent = new CaptureAgent(
    context,
    {
      report: (request, value) => reports.set(request, value),
      failed: (request, error) => events.record(...captureFailed(request, error)),
    },
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
    onRepair,
  });
  const stop = () => {
    stopReconciler();
    watch.stop();
    reports.stop();
    events.stop();
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
    add: (add) => watch.add({ ...add, netns: namespaces.local(add.netns) }),
    check: (add) => watch.check(add),
    releaseAll: () => watch.leave(),
    // Rules and routes are a successor's from now on, and its version may want others.
    leave: stopReconciler,
    stop,
  };
}
