/** `/apps` and `/apps/{namespace}/{name}`. */
import type { PageProps } from '../../frame/routes.ts';
import { AppsPage } from '../lists/lists.tsx';
import { AppPage } from './app-page.tsx';

export default function AppRoute({ segments: [namespace, name] }: PageProps) {
  if (namespace === undefined || name === undefined) return <AppsPage />;
  return <AppPage namespace={namespace} name={name} />;
}
