/** Who reads: GET /api/v1/session, POST /api/v1/login, POST /api/v1/logout. */
import type { Access } from '../access/access.ts';
import { ANONYMOUS } from '../access/reader.ts';
import { jsonAnswer } from '../headers.ts';
import { LOGIN_BODY_BYTES_MAX } from '../limits.ts';
import { textMember } from '../read-body.ts';
import type { Route } from '../router.ts';

export function sessionRoutes(access: Access): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/session',
      access: 'anyone',
      handle: ({ reader }) => access.session(reader),
    },
    {
      method: 'POST',
      path: '/api/v1/login',
      access: 'anyone',
      bodyBytesMax: LOGIN_BODY_BYTES_MAX,
      async handle({ body, client, request }) {
        const token = textMember(body, 'token', 'eyJhbGciOi…').trim();
        const { reader, cookie } = await access.login(token, {
          client,
          isSecure: isSecure(request),
        });
        return jsonAnswer(await access.session(reader), 200, { 'set-cookie': cookie });
      },
    },
    {
      method: 'POST',
      path: '/api/v1/logout',
      access: 'change',
      async handle({ request }) {
        const cookie = access.logoutCookie(isSecure(request));
        return jsonAnswer(await access.session(ANONYMOUS), 200, { 'set-cookie': cookie });
      },
    },
  ];
}

/** Behind something that ends TLS the browser's page is https; it says so in Origin. */
function isSecure({ headers }: Request): boolean {
  return headers.get('origin')?.startsWith('https:') === true;
}
