/** Configuration: the list, one object in its editor, or a new one. */
import type { PageProps } from '../../frame/routes.ts';
import { ConfigList } from './config-list.tsx';
import { NewObjectPage, ObjectPage } from './object-page.tsx';

export default function ConfigRoute({ segments }: PageProps) {
  const [kind, namespace, name] = segments;
  if (kind === 'new') return <NewObjectPage />;
  if (kind !== undefined && namespace !== undefined && name !== undefined)
    return <ObjectPage key={segments.join('/')} address={{ kind, namespace, name }} />;
  return <ConfigList />;
}
