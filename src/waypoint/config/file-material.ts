/**
 * TLS material from files of this proxy's own file system (DestinationRule.tls with paths). Looked at when a connection is opened and
 * read again when a file changed, so that a mount that rotates counts from the next connection on.
 */
import { readFileSync, statSync } from 'node:fs';
import { messageOf } from '#base/errors.ts';
import type { UpstreamTls } from '#model/route/route-table.ts';
import { type Material, readMaterial } from './materials.ts';

type Files = NonNullable<UpstreamTls['files']>;

interface Read {
  /** When the files were last written. */
  readonly stamp: string;
  readonly material: Material | string;
}

/** By the settings themselves: they live as long as the configuration that names the files. */
const known = new WeakMap<Files, Read>();

/** The material, or what is wrong with it. */
export function readFiles(files: Files): Material | string {
  const { certificate, privateKey, roots, revocationList } = files;
  try {
    const paths = [certificate, privateKey, roots, revocationList];
    const stamp = paths.map((path) => path && statSync(path).mtimeMs).join(' ');
    const before = known.get(files);
    if (before?.stamp === stamp) return before.material;
    const text = (path: string | undefined) => path && readFileSync(path, 'utf8');
    const material = readMaterial({
      name: 'files',
      certificateChain: text(certificate),
      privateKey: text(privateKey),
      roots: text(roots),
      revocationList: text(revocationList),
    });
    known.set(files, { stamp, material });
    return material;
  } catch (error) {
    return messageOf(error);
  }
}
