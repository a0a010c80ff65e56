/** The overview at `/`: one page without dependencies, refreshed from the JSON. Values enter as text, never as HTML. */
import overview from './overview.html' with { type: 'text' };

/** Bun's types take every .html import for a bundle; as `text` it is the file itself. */
export const OVERVIEW_PAGE = overview as unknown as string;
