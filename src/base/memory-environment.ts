/**
 * What Bun and the C library are told about memory before they start, by role (docs/decisions/013 and 010 say why and what each costs).
 * They read it before any of our code, so it is set by whoever starts the process: the launcher `tulle`, which is a shell script and
 * holds the same values (memory-environment.test.ts compares them), and every manifest.
 */

const MIB = 1024 * 1024;

/**
 * Of proxies, which copy bytes: never by `rep movsb`. AMD's Zen 3 and 4 copy seventeen times slower by it when the target is a few bytes
 * more than a multiple of a page after the source; later versions of glibc know (bug 30994), Debian's 2.36 does not.
 */
const PROXY = { GLIBC_TUNABLES: `glibc.cpu.x86_rep_movsb_threshold=${1024 * MIB}` } as const;

const WAYPOINT = {
  ...PROXY,
  BUN_JSC_forceRAMSize: 96 * MIB,
  /** What garbage may take: some two thirds of what is live, not as much. */
  BUN_JSC_smallHeapGrowthFactor: 1.6,
  /** Above half of the size: the default of a quarter has large route tables marked again and again. */
  BUN_JSC_largeHeapGrowthFactor: 1.65,
  /** Without the last of the compilers, whose work is most of what a young process has: a tenth of the memory against a tenth of the CPU. */
  BUN_JSC_useFTLJIT: 0,
} as const;

/** Sizes in bytes. */
const SETTINGS = {
  /** 500 MiB are to do for 10,000 pods, and 150 MiB for a quiet small cluster (docs/decisions/019). */
  control: {
    BUN_JSC_forceRAMSize: 256 * MIB,
    /** Above half of the size: of 200 MiB that are live in a large mesh garbage may be an eighth, not a quarter. */
    BUN_JSC_largeHeapGrowthFactor: 1.12,
    /** As for waypoints; after its start a control plane has no code that would be worth the last compiler. */
    BUN_JSC_useFTLJIT: 0,
  },
  node: {
    ...PROXY,
    /** Garbage is collected as on a machine of this memory. */
    BUN_JSC_forceRAMSize: 128 * MIB,
    /** A heap below it is not collected for its buffers. */
    BUN_JSC_largeHeapSize: 32 * MIB,
    /** The last compiler's threads hold the cores of a small node for milliseconds, and its code is no faster here: the path waits for memory. */
    BUN_JSC_useFTLJIT: 0,
  },
  waypoint: WAYPOINT,
  gateway: WAYPOINT,
} as const;

export type RoleWithMemory = keyof typeof SETTINGS;
export const ROLES_WITH_MEMORY = Object.keys(SETTINGS) as RoleWithMemory[];

/** Environment variables of a container that runs `tulle role ROLE`. */
export function memoryEnvironment(role: RoleWithMemory): { name: string; value: string }[] {
  return Object.entries(SETTINGS[role]).map(([name, value]) => ({ name, value: String(value) }));
}
