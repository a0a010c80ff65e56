/** What an image name means in the lab: this program, one of its samples, or a program of the machine. Pure. */
import type { Container } from '#kube/client/kinds.ts';

export type Resolved = { argv: string[] } | { reason: string; message: string };

/** Names of the built-in samples, as `tulle/sample-<name>`. */
export const SAMPLES = ['http', 'load'] as const;

const HELP =
  'the lab runs no container images: use image "tulle", "tulle/sample-http", "tulle/sample-load", or "host" with any command of this machine';

export function resolveImage(
  container: Pick<Container, 'image' | 'command' | 'args'>,
  program: readonly string[],
): Resolved {
  // A tag or digest says nothing here: there is one version of everything.
  const image = container.image.replace(/[:@][^/]*$/, '');
  const { command = [], args = [] } = container;
  const entrypoint = entrypointOf(image, program);
  if (entrypoint === undefined)
    return { reason: 'ErrImagePull', message: `no image "${container.image}": ${HELP}` };
  const argv = command.length > 0 ? [...command, ...args] : [...entrypoint, ...args];
  if (argv.length === 0)
    return {
      reason: 'CreateContainerError',
      message: 'image "host" needs a command: set command: ["sh", "-c", "…"]',
    };
  return { argv };
}

function entrypointOf(image: string, program: readonly string[]): readonly string[] | undefined {
  if (image === 'host') return [];
  if (image === 'tulle') return program;
  const sample = SAMPLES.find((name) => image === `tulle/sample-${name}`);
  return sample === undefined ? undefined : [...program, 'role', 'sample', sample];
}
