/** The thin rail of pages; on a phone a bar at the foot. */
import { hrefOf } from '../store/url.ts';
import { Link } from '../ui/link.tsx';
import styles from './rail.module.css';
import { ROUTES } from './routes.ts';

export function Rail({ current }: { current: string | undefined }) {
  return (
    <nav className={styles.rail} aria-label="Pages">
      <Link href={hrefOf('/')} className={styles.mark} aria-label="Tulle, start">
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path
            d="M3 7c6 0 6 10 18 10M3 17c6 0 6-10 18-10"
            fill="none"
            stroke="currentColor"
            strokeWidth="2.2"
            strokeLinecap="round"
          />
          <circle cx="11.4" cy="12" r="2.8" fill="currentColor" />
        </svg>
      </Link>
      {ROUTES.map((route) => (
        <Link
          key={route.name}
          href={hrefOf(`/${route.name}`)}
          className={styles.entry}
          aria-current={route.name === current ? 'page' : undefined}
          title={`${route.title} (g ${route.key})`}
        >
          <route.icon aria-hidden="true" />
          <span>{route.title}</span>
        </Link>
      ))}
    </nav>
  );
}
