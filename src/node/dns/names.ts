/**
 * What a name may mean to a client: as asked, as a short form of a Kubernetes name, as a name that the client's
 * resolver put a search domain behind. Same forms in the same order as ztunnel (src/dns/server.rs). Pure.
 */

export interface Alias {
  readonly name: string;
  /** The asked name without its search domain, when that is what makes the alias. */
  readonly stripped: string | undefined;
}

export interface AliasContext {
  readonly clientNamespace: string;
  /** `cluster.local`. */
  readonly domain: string;
}

export function aliasesOf(asked: string, context: AliasContext): Alias[] {
  const { clientNamespace, domain } = context;
  const aliases: Alias[] = [];
  const add = (name: string, stripped: string | undefined) => {
    if (!aliases.some((alias) => alias.name === name)) aliases.push({ name, stripped });
  };
  add(asked, undefined);
  for (const name of kubernetesNames(asked, context)) add(name, undefined);
  // The search domains that Kubernetes gives pods; what a pod's own dnsConfig says is not read, as ztunnel.
  for (const search of [`${clientNamespace}.svc.${domain}`, `svc.${domain}`, domain]) {
    if (!isBelow(asked, search)) continue;
    const stripped = asked.slice(0, -search.length - 1);
    add(stripped, stripped);
    for (const name of kubernetesNames(stripped, context)) add(name, stripped);
  }
  return aliases;
}

/** Whole names that a short one can stand for: `service`, `service.namespace`, `host.service.namespace`, with `.svc`. */
function kubernetesNames(name: string, { clientNamespace, domain }: AliasContext): string[] {
  const own = `${clientNamespace}.svc.${domain}`;
  const endsInService = isBelow(name, 'svc');
  switch (labelCount(name)) {
    case 1:
      return [`${name}.${own}`];
    case 2:
      return [`${name}.svc.${domain}`, `${name}.${own}`];
    case 3:
      return [...(endsInService ? [`${name}.${domain}`] : []), `${name}.svc.${domain}`];
    case 4:
      return endsInService ? [`${name}.${domain}`] : [];
    default:
      return [];
  }
}

/** `a.b.c`, `*.b.c`, `*.c`: the name, then wildcards that cover it, the closest first. */
export function wildcardsOf(name: string): string[] {
  const names = [name];
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1))
    names.push(`*${name.slice(dot)}`);
  return names;
}

function isBelow(name: string, domain: string): boolean {
  return name.length > domain.length + 1 && name.toLowerCase().endsWith(`.${domain.toLowerCase()}`);
}

function labelCount(name: string): number {
  return name === '' ? 0 : name.split('.').length;
}
