/**
 * The programs and images of a test cluster, built once: `kube` (every component), `app` (the test program) and the image
 * archives. The first build takes minutes and says so.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cached, fill, goBuild } from './build-cache.ts';
import { writeImages } from './images.ts';

const KUBERNETES = 'v1.34.4';
/** Without the version kubectl cannot compare it and nodes report none. */
const STAMPS = { gitVersion: KUBERNETES, gitMajor: '1', gitMinor: '34' };
const base = import.meta.dir;

export interface Programs {
  kube: string;
  app: string;
  /** Archives that every node loads. */
  images: string[];
}

/** `progress` is told of a build before it begins. */
export async function buildPrograms(progress: (text: string) => void): Promise<Programs> {
  const kube = cached({ name: 'kube', base, files: ['program'], salt: STAMPS });
  if (!existsSync(kube)) {
    progress(`building Kubernetes ${KUBERNETES} (once; 4 to 8 minutes on two cores) into ${kube}`);
    const variables = Object.fromEntries(
      Object.entries(STAMPS).map(([name, value]) => [
        `k8s.io/component-base/version.${name}`,
        value,
      ]),
    );
    await fill(kube, (folder) =>
      goBuild({ module: join(base, 'program'), output: join(folder, 'kube'), variables }),
    );
    progress('built');
  }
  const app = cached({ name: 'app', base, files: ['app', 'images.ts'], salt: {} });
  await fill(app, async (folder) => {
    const output = join(folder, 'app');
    await goBuild({ module: join(base, 'app'), output, isStatic: true });
    await writeImages(folder, output);
  });
  return {
    kube: join(kube, 'kube'),
    app: join(app, 'app'),
    images: ['pause', 'app'].map((name) => join(app, `${name}.tar`)),
  };
}
