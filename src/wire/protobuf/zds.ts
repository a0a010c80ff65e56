/**
 * istio.workload.zds: what a CNI agent tells the node proxy about the pods of its node. One message a packet; the network
 * namespace of an added pod travels beside it as a file descriptor.
 */
import { enumeration, field, type MessageType, message, optional, string } from './message.ts';

const Version = enumeration('Version', ['NOT_USED', 'V1']);

/** First message, from the proxy. */
export const ZdsHello = message('istio.workload.zds.ZdsHello', { version: field(1, Version) });

/** Field 4 is reserved (trust_domain). */
export const WorkloadInfo = message('istio.workload.zds.WorkloadInfo', {
  name: field(1, string),
  namespace: field(2, string),
  service_account: field(3, string),
});

export const AddWorkload = message('istio.workload.zds.AddWorkload', {
  uid: field(1, string),
  workload_info: optional(2, WorkloadInfo),
});

export const KeepWorkload = message('istio.workload.zds.KeepWorkload', { uid: field(1, string) });

/** The number is 2, unlike in its siblings. */
export const DelWorkload = message('istio.workload.zds.DelWorkload', { uid: field(2, string) });

const SnapshotSent = message('istio.workload.zds.SnapshotSent', {});

/** Empty error: done. */
const Ack = message('istio.workload.zds.Ack', { error: field(1, string) });

export const WorkloadRequest = message('istio.workload.zds.WorkloadRequest', {
  add: optional(1, AddWorkload, 'payload'),
  del: optional(2, DelWorkload, 'payload'),
  snapshot_sent: optional(3, SnapshotSent, 'payload'),
  keep: optional(5, KeepWorkload, 'payload'),
});
export type WorkloadRequest = MessageType<typeof WorkloadRequest>;

export const WorkloadResponse = message('istio.workload.zds.WorkloadResponse', {
  ack: optional(1, Ack, 'payload'),
});
