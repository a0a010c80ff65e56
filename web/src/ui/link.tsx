/** Links within the console: the browser's own address, without loading the page again. */
import type { AnchorHTMLAttributes, MouseEvent } from 'react';
import { hrefOf, navigate } from '../store/url.ts';

export function Link({
  href,
  onClick,
  ...rest
}: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
    if (event.defaultPrevented || !isPlain) return;
    event.preventDefault();
    navigate(href);
  };
  return <a href={href} onClick={follow} {...rest} />;
}

/** Address of a node of the graph: its own page where it has one. */
export function nodeHref(id: string): string {
  const [kind, namespace, name] = id.split('/');
  if (kind === 'workload' || kind === 'waypoint' || kind === 'gateway')
    return hrefOf(`/workloads/${namespace}/${name}`);
  if (kind === 'app') return hrefOf(`/apps/${namespace}/${name}`);
  if (kind === 'service') return hrefOf(`/services/${namespace}/${name}`);
  return hrefOf('/graph', { node: id });
}
