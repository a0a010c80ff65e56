/**
 * The Gateway API's own conformance suite against a test cluster: the test program, the images of its servers under every
 * name that its manifests use, and the CRDs, all from the Go modules that go.mod names.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cached, fill, goBuild } from '#test/kube/build-cache.ts';
import type { KubeCluster } from '#test/kube/cluster.ts';
import { must } from '#test/kube/command.ts';
import { packSuiteImage, suiteImages } from './images.ts';

const module = import.meta.dir;
const API = 'sigs.k8s.io/gateway-api';
const SUITE = `${API}/conformance`;
const images = suiteImages(SUITE);

export type Channel = 'standard' | 'experimental';

export interface Suite {
  /** A Go test program; its flags are the suite's (`-help`). */
  program: string;
  /** Archives of the images that its manifests name. */
  images: string[];
  crds: Record<Channel, string>;
}

/** Builds what is not built yet; `progress` is told before. */
export async function buildSuite(progress: (text: string) => void): Promise<Suite> {
  const folder = cached({
    name: 'gateway-api',
    base: module,
    files: ['go.mod', 'go.sum', 'suite_test.go', 'images.ts', 'dns', 'echo-advanced'],
    salt: {},
  });
  if (!existsSync(folder))
    progress(`building the conformance suite (once; some minutes) into ${folder}`);
  await fill(folder, async (target) => {
    await goBuild({ module, output: join(target, 'suite.test'), tests: true });
    for (const image of images)
      await packSuiteImage(image, { target, tags: await namesOf(image.name) });
  });
  const api = await moduleFolder(API);
  return {
    program: join(folder, 'suite.test'),
    images: images.map(({ name }) => join(folder, `${name}.tar`)),
    crds: {
      standard: join(api, 'config/crd/standard'),
      experimental: join(api, 'config/crd/experimental'),
    },
  };
}

/** How the suite's manifests name an image: the same in several versions. */
async function namesOf(image: string): Promise<string[]> {
  const pattern = `image: *[^ ]+/${image}:[^ ]+`;
  const lines = (await must(['grep', '-rhoE', pattern, await moduleFolder(SUITE)])).trim();
  return [...new Set(lines.split('\n').map((line) => line.replace(/^image: */, '')))];
}

/** Where Go keeps the sources of a module that go.mod names. */
async function moduleFolder(path: string): Promise<string> {
  return (await must(['go', '-C', module, 'list', '-m', '-f', '{{.Dir}}', path])).trim();
}

/** CRDs and image, after which the mesh can be installed and the suite be run. */
export async function prepareCluster(
  cluster: KubeCluster,
  suite: Suite,
  channel: Channel,
): Promise<void> {
  for (const image of suite.images) await cluster.loadImage(image);
  const folder = suite.crds[channel];
  const files = readdirSync(folder).filter((file) => file !== 'kustomization.yaml');
  const named = files.flatMap((file) => ['-f', join(folder, file)]);
  const { code, stderr } = await cluster.kubectl(['apply', '--server-side', ...named]);
  if (code !== 0) throw new Error(`CRDs of the Gateway API: ${stderr}`);
}

/** The words that run the suite where load balancers can be reached. */
export function suiteCommand(
  cluster: KubeCluster,
  suite: Suite,
  flags: readonly string[],
): string[] {
  const environment = ['env', `KUBECONFIG=${cluster.insideKubeconfig}`];
  return cluster.controlPlaneCommand([
    ...environment,
    ...[suite.program, '-test.v', '-test.timeout=60m', ...flags],
  ]);
}
