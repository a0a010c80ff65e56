/** Command lines of the control plane's parts, all in the control plane's network namespace. */
import { join } from 'node:path';
import { CONTROL_PLANE, nodeName, podsCidrs, servicesCidrs } from './addresses.ts';
import { proxyConfig } from './kube-proxy.ts';
import type { HostOptions } from './options.ts';
import type { StatePaths } from './state.ts';

export const API_PORT = 6443;
const ETCD = 'http://127.0.0.1:2379';
const ETCD_PEER = 'http://127.0.0.1:2380';

export function etcd(paths: StatePaths): string[] {
  return [
    'etcd',
    `--data-dir=${join(paths.root, 'etcd')}`,
    `--listen-client-urls=${ETCD}`,
    `--advertise-client-urls=${ETCD}`,
    `--listen-peer-urls=${ETCD_PEER}`,
    `--initial-advertise-peer-urls=${ETCD_PEER}`,
    `--initial-cluster=default=${ETCD_PEER}`,
    // A test's database need not survive the machine.
    '--unsafe-no-fsync=true',
    '--log-level=warn',
  ];
}

export function apiServer(paths: StatePaths, options: HostOptions): string[] {
  const file = (name: string) => join(paths.certificates, name);
  return [
    'kube-apiserver',
    `--etcd-servers=${ETCD}`,
    '--bind-address=0.0.0.0',
    `--secure-port=${API_PORT}`,
    `--advertise-address=${CONTROL_PLANE}`,
    `--cert-dir=${paths.certificates}`,
    `--tls-cert-file=${file('apiserver.crt')}`,
    `--tls-private-key-file=${file('apiserver.key')}`,
    `--client-ca-file=${file('ca.crt')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${file('service-account.pub')}`,
    `--service-account-signing-key-file=${file('service-account.key')}`,
    `--service-cluster-ip-range=${servicesCidrs(options)}`,
    '--anonymous-auth=false',
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    `--kubelet-client-certificate=${file('apiserver-kubelet.crt')}`,
    `--kubelet-client-key=${file('apiserver-kubelet.key')}`,
    `--kubelet-certificate-authority=${file('ca.crt')}`,
    '--kubelet-preferred-address-types=InternalIP,Hostname',
    `--requestheader-client-ca-file=${file('ca.crt')}`,
    '--requestheader-allowed-names=front-proxy-client',
    '--requestheader-username-headers=X-Remote-User',
    '--requestheader-group-headers=X-Remote-Group',
    '--requestheader-extra-headers-prefix=X-Remote-Extra-',
    `--proxy-client-cert-file=${file('front-proxy.crt')}`,
    `--proxy-client-key-file=${file('front-proxy.key')}`,
    // Webhooks and aggregated APIs are dialled at their pods, not at the address of their Service.
    '--enable-aggregator-routing=true',
  ];
}

export function controllerManager(paths: StatePaths, options: HostOptions): string[] {
  const file = (name: string) => join(paths.certificates, name);
  return [
    'kube-controller-manager',
    ...clientFlags(paths, 'kube-controller-manager'),
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${file('service-account.key')}`,
    `--root-ca-file=${file('ca.crt')}`,
    `--cluster-signing-cert-file=${file('ca.crt')}`,
    `--cluster-signing-key-file=${file('ca.key')}`,
    `--cluster-cidr=${podsCidrs(options)}`,
    `--service-cluster-ip-range=${servicesCidrs(options)}`,
    '--allocate-node-cidrs=false',
    // A lost node shows in a test's time, still four missed heartbeats of the kubelets (node.ts).
    '--node-monitor-grace-period=16s',
  ];
}

export function scheduler(paths: StatePaths): string[] {
  return ['kube-scheduler', ...clientFlags(paths, 'kube-scheduler')];
}

function clientFlags(paths: StatePaths, name: string): string[] {
  const kubeconfig = join(paths.root, `${name}.kubeconfig`);
  return [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    '--bind-address=127.0.0.1',
    '--leader-elect=false',
    // By default 20 requests a second: controllers would take seconds to start.
    '--kube-api-qps=1000',
    '--kube-api-burst=1000',
    `--cert-dir=${paths.certificates}`,
  ];
}

/**
 * Services as seen from the control plane, which is not a node (a DaemonSet would want a pod there): it looks through the
 * eyes of n1, so for traffic policy Local the endpoints of n1 are local.
 */
export function controlPlaneProxy(paths: StatePaths, options: HostOptions): string[] {
  const config = proxyConfig({ paths, options, folder: paths.root });
  return ['kube-proxy', `--config=${config}`, `--hostname-override=${nodeName(1)}`];
}
