/** Kubernetes resource quantities (`100m`, `1.5Gi`, `2e3`) as numbers; exact enough to compare. */

const SUFFIX: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};
const QUANTITY = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkKMGTPE]i?|))$/;

export function parseQuantity(text: string): number | undefined {
  const match = QUANTITY.exec(text);
  if (match === null) return undefined;
  const [, mantissa, exponent, suffix] = match;
  if (exponent !== undefined) return Number(mantissa + exponent);
  const factor = SUFFIX[suffix ?? ''];
  return factor === undefined ? undefined : Number(mantissa) * factor;
}
