/** `/workloads` and `/workloads/{namespace}/{name}`. */
import type { PageProps } from '../../frame/routes.ts';
import { WorkloadsPage } from '../lists/lists.tsx';
import { WorkloadPage } from './workload-page.tsx';

export default function WorkloadRoute({ segments: [namespace, name] }: PageProps) {
  if (namespace === undefined || name === undefined) return <WorkloadsPage />;
  return <WorkloadPage namespace={namespace} name={name} />;
}
