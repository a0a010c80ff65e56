/** `/services` and `/services/{namespace}/{name}`. */
import type { PageProps } from '../../frame/routes.ts';
import { ServicesPage } from '../lists/lists.tsx';
import { ServicePage } from './service-page.tsx';

export default function ServiceRoute({ segments: [namespace, name] }: PageProps) {
  if (namespace === undefined || name === undefined) return <ServicesPage />;
  return <ServicePage namespace={namespace} name={name} />;
}
