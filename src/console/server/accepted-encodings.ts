/** Which packings of an answer its reader takes, as Accept-Encoding says. Pure. */

/** RFC 9110 §12.5.3; a weight of zero is a no. */
export function acceptedEncodings(header: string): ReadonlySet<string> {
  const names = header.split(',').flatMap((part) => {
    const [name, ...parameters] = part.trim().toLowerCase().split(';');
    const isRefused = parameters.some((each) => /^\s*q=0(\.0+)?\s*$/.test(each));
    return isRefused ? [] : [name.trim()];
  });
  return new Set(names);
}
