/** What the owner of a pod is told of its capture, as an Event on the pod. Pure. */
import { isMeshError, messageOf } from '#base/errors.ts';
import type { EventNote, EventTarget } from '#kube/events/event-note.ts';
import type { CaptureRequest } from './captured-pod.ts';

type TheirPod = Pick<CaptureRequest, 'namespace' | 'name' | 'uid'>;

export function captureFailed(
  { namespace, name, uid }: TheirPod,
  error: unknown,
): [EventTarget, EventNote] {
  const hint = isMeshError(error) && error.hint !== '' ? `; ${error.hint}` : '';
  return [
    { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
    {
      type: 'Warning',
      reason: 'CaptureFailed',
      message: `not in the mesh yet, its traffic is plain: ${messageOf(error)}${hint}`,
    },
  ];
}
