/** Codes of the CRD code's operating failures. */

export const CRD_ERRORS = {
  CRD_MODELS_MISSING: 'Install the packages: npm ci',
} as const;
