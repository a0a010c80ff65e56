/** How sure one can be of a share that was seen: Wilson's interval, which holds for few samples and for shares near 0 and 1. Pure. */

/** 95 %: of twenty judgements at the limit one is wrong. */
const Z = 1.96;

/** The true share is at least this, at 95 %. */
export function lowerBound(count: number, samples: number): number {
  return samples === 0 ? 0 : Math.max(0, centre(count, samples) - half(count, samples));
}

/** The true share is at most this, at 95 %. */
export function upperBound(count: number, samples: number): number {
  return samples === 0 ? 1 : Math.min(1, centre(count, samples) + half(count, samples));
}

function centre(count: number, samples: number): number {
  return (count / samples + (Z * Z) / (2 * samples)) / (1 + (Z * Z) / samples);
}

function half(count: number, samples: number): number {
  const share = count / samples;
  const spread = (share * (1 - share)) / samples + (Z * Z) / (4 * samples * samples);
  return (Z * Math.sqrt(spread)) / (1 + (Z * Z) / samples);
}
