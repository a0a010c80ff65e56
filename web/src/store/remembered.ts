/** What a reader's browser remembers: theme, saved views, positions of nodes. A browser that forbids storage only forgets. */

export function remembered<T>(name: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(`tulle.${name}`);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

/** False when the browser would not keep it. */
export function remember(name: string, value: unknown): boolean {
  try {
    if (value === undefined) localStorage.removeItem(`tulle.${name}`);
    else localStorage.setItem(`tulle.${name}`, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}
