/**
 * Header names and values as VirtualServices write them: what Istio's validation says of them, and what they mean
 * (Istio: pkg/config/validation/validation.go, header_value_validator.go; pkg/jwt/routingclaim.go).
 */

/** RFC 9110 §5.6.2: a token. */
const TOKEN = /^[!#$%&'*+\-.^_`|~A-Za-z0-9]+$/;
const PSEUDO_HEADERS = [':method', ':scheme', ':authority', ':path', ':status'];
// biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are what is looked for
const CONTROL_CHARACTERS = /[\u0000-\u0008\u000a-\u001f\u007f]/;
const VALUE = /^(?:[^%]|%%|%[^%(]+(?:\((?:[^)\\]|\\.)*\) *)?%)*$/s;
const CLAIM_PREFIX = '@request.auth.claims';

export function isAuthority(name: string): boolean {
  return /^(host|:authority)$/i.test(name);
}

/** Pseudo-headers and Host cannot be changed as headers. */
export function isInternal(name: string): boolean {
  return name.startsWith(':') || isAuthority(name);
}

/** Of a header that is matched. */
export function matchNameProblem(name: string): string | undefined {
  if (name === '') return 'a header name is required';
  if (claimPath(name) !== undefined || PSEUDO_HEADERS.includes(name) || TOKEN.test(name))
    return undefined;
  return `${JSON.stringify(name)} is no header name`;
}

/** Of a header in CORS lists. */
export function corsNameProblem(name: string): string | undefined {
  return TOKEN.test(name) ? undefined : `${JSON.stringify(name)} is no header name`;
}

/** Of a header that is set, added or removed; `authority` where Host stands for the authority. */
export function changeNameProblem(name: string, host: 'authority' | 'refused'): string | undefined {
  if (name === '') return 'a header name is required';
  if (host === 'authority' && isAuthority(name)) return undefined;
  if (isInternal(name)) return `${JSON.stringify(name)} cannot be changed as a header`;
  return TOKEN.test(name) ? undefined : `${JSON.stringify(name)} is no header name`;
}

/** Envoy's grammar of values: text, `%%`, `%NAME%`, `%NAME(argument)%`. Which names there are is another matter. */
export function valueProblem(value: string): string | undefined {
  if (CONTROL_CHARACTERS.test(value)) return 'the value holds control characters';
  return VALUE.test(value) ? undefined : 'a % is not escaped as %%, and begins no %VARIABLE%';
}

/**
 * The claim that a header name stands for: `@request.auth.claims.a.b` or `@request.auth.claims[a][b]`; undefined when
 * it is a plain header.
 */
export function claimPath(name: string): readonly string[] | undefined {
  if (name.slice(0, CLAIM_PREFIX.length).toLowerCase() !== CLAIM_PREFIX) return undefined;
  const rest = name.slice(CLAIM_PREFIX.length);
  if (rest.startsWith('.') && rest.length > 1) return rest.slice(1).split('.');
  if (!/^(\[[^[\]]+\])+$/.test(rest)) return undefined;
  return rest.slice(1, -1).split('][');
}
