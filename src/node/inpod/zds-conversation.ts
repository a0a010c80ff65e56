/**
 * One conversation with a CNI agent, as the node proxy follows it (ztunnel src/inpod/protocol.rs): first everything that
 * exists, message by message, then `SnapshotSent`, then changes. Pure: bytes in, what is to be done out.
 *
 *   hello ──▶ add | keep … ──▶ snapshot ──▶ add | del …        each message is answered before the next comes
 */
import { WorkloadRequest } from '#wire/protobuf/zds.ts';

/** What a pod runs as that names none. */
const DEFAULT_SERVICE_ACCOUNT = 'default';

export interface PodInfo {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
}

export type ZdsStep =
  /** The one descriptor that came with it is the pod's network namespace. */
  | { readonly kind: 'add'; readonly pod: PodInfo }
  /** Known from before; its namespace is not sent again. */
  | { readonly kind: 'keep'; readonly uid: string }
  | { readonly kind: 'del'; readonly uid: string }
  /** Pods that are not in it are gone. */
  | { readonly kind: 'snapshot'; readonly uids: ReadonlySet<string> }
  /** The other end does not follow the protocol: nothing it says can be relied on. */
  | { readonly kind: 'violation'; readonly reason: string };

export class ZdsConversation {
  readonly #named = new Set<string>();
  #snapshotReceived = false;

  get snapshotReceived(): boolean {
    return this.#snapshotReceived;
  }

  next(bytes: Uint8Array, descriptors: number): ZdsStep {
    const request = WorkloadRequest.decode(bytes);
    if (typeof request === 'string') return violation(`malformed message: ${request}`);
    const { add, keep, del, snapshot_sent } = request;
    const wanted = add === undefined ? 0 : 1;
    if (descriptors !== wanted) return violation(`${descriptors} descriptors, not ${wanted}`);
    if (add !== undefined) return this.#add(add);
    if (keep !== undefined) return this.#keep(keep.uid);
    if (del !== undefined) return this.#del(del.uid);
    if (snapshot_sent !== undefined) return this.#snapshot();
    return violation('a message without content, or of a kind that is not known');
  }

  #add({ uid, workload_info: info }: NonNullable<WorkloadRequest['add']>): ZdsStep {
    if (info === undefined) return violation(`workload ${uid} without workload_info`);
    const { name, namespace } = info;
    const serviceAccount = info.service_account || DEFAULT_SERVICE_ACCOUNT;
    if (uid === '' || name === '' || namespace === '') return violation('a workload without name');
    this.#named.add(uid);
    return { kind: 'add', pod: { uid, name, namespace, serviceAccount } };
  }

  #keep(uid: string): ZdsStep {
    if (this.#snapshotReceived) return violation('KeepWorkload after the snapshot');
    this.#named.add(uid);
    return { kind: 'keep', uid };
  }

  #del(uid: string): ZdsStep {
    this.#named.delete(uid);
    return { kind: 'del', uid };
  }

  #snapshot(): ZdsStep {
    if (this.#snapshotReceived) return violation('a second SnapshotSent');
    this.#snapshotReceived = true;
    return { kind: 'snapshot', uids: new Set(this.#named) };
  }
}

function violation(reason: string): ZdsStep {
  return { kind: 'violation', reason };
}
