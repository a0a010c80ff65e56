/** The image's bill of materials, SPDX 2.3 as JSON: the npm packages in the program, Bun, and Debian's packages below it. */
import { createHash } from 'node:crypto';

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Its paragraph of dpkg's database. */
  readonly status: string;
}

/** An entry of package-lock.json, version 3. */
export interface LockedPackage {
  readonly version: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  /** Base64 after the name of the algorithm. */
  readonly integrity?: string;
}

export interface Materials {
  readonly version: string;
  readonly license: string;
  readonly bunVersion: string;
  /** By path in the tree of modules. */
  readonly locked: Readonly<Record<string, LockedPackage>>;
  readonly debian: readonly DebianPackage[];
  /** Seconds since 1970. */
  readonly created: number;
}

interface SpdxPackage {
  name: string;
  SPDXID: string;
  versionInfo: string;
  downloadLocation: string;
  licenseConcluded: string;
  licenseDeclared: string;
  copyrightText: string;
  checksums?: { algorithm: string; checksumValue: string }[];
  externalRefs?: { referenceCategory: string; referenceType: string; referenceLocator: string }[];
}

const PROGRAM = 'SPDXRef-tulle';

export function sbomOf(materials: Materials): string {
  const { version, license, bunVersion, debian } = materials;
  const parts = [
    spdxPackage({
      name: 'bun',
      version: bunVersion,
      license: 'MIT',
      purl: `pkg:npm/bun@${bunVersion}`,
    }),
    ...npmPackages(materials.locked),
    ...debian.map(({ name, version: of, architecture }) =>
      spdxPackage({
        name,
        version: of,
        purl: `pkg:deb/debian/${name}@${encodeURIComponent(of)}?arch=${architecture}`,
      }),
    ),
  ];
  const packages = [
    { ...spdxPackage({ name: 'tulle', version, license }), SPDXID: PROGRAM },
    ...parts,
  ];
  const hash = createHash('sha256').update(JSON.stringify(packages)).digest('hex');
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `tulle-${version}`,
    // Unique to the content, as SPDX asks (6.5).
    documentNamespace: `urn:tulle:sbom:${hash}`,
    creationInfo: {
      created: new Date(materials.created * 1000).toISOString().replace('.000', ''),
      creators: ['Tool: tulle-image'],
    },
    packages,
    relationships: [
      relation('SPDXRef-DOCUMENT', 'DESCRIBES', PROGRAM),
      ...parts.map(({ SPDXID }) => relation(PROGRAM, 'DEPENDS_ON', SPDXID)),
    ],
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}

function npmPackages(locked: Materials['locked']): SpdxPackage[] {
  const found = new Map<string, SpdxPackage>();
  for (const [path, { version, license, dev, optional, integrity }] of Object.entries(locked)) {
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    // Bun is named by itself; its builds for other machines are the optional ones.
    if (path === '' || dev === true || optional === true || name === 'bun') continue;
    const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
    found.set(purl, spdxPackage({ name, version, license, purl, integrity }));
  }
  return [...found.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
}

function spdxPackage(of: {
  name: string;
  version: string;
  license?: string;
  purl?: string;
  integrity?: string;
}): SpdxPackage {
  const { name, version, license = 'NOASSERTION', purl, integrity } = of;
  const [algorithm, value] = integrity?.split('-') ?? [];
  return {
    name,
    SPDXID: `SPDXRef-${name.replace(/[^A-Za-z0-9.]+/g, '-')}-${version.replace(/[^A-Za-z0-9.]+/g, '-')}`,
    versionInfo: version,
    downloadLocation: 'NOASSERTION',
    licenseConcluded: 'NOASSERTION',
    licenseDeclared: license,
    copyrightText: 'NOASSERTION',
    ...(value !== undefined && {
      checksums: [
        {
          algorithm: algorithm.toUpperCase(),
          checksumValue: Buffer.from(value, 'base64').toString('hex'),
        },
      ],
    }),
    ...(purl !== undefined && {
      externalRefs: [
        { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl },
      ],
    }),
  };
}

const relation = (spdxElementId: string, relationshipType: string, relatedSpdxElement: string) => ({
  spdxElementId,
  relationshipType,
  relatedSpdxElement,
});
