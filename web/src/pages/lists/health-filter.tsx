/** Above a list: how many are in which state. One click shows only those. */
import type { Health, HealthStatus } from '#console/api/health.ts';
import { setQuery, useUrl } from '../../store/url.ts';
import { Segments } from '../../ui/controls.tsx';
import { HEALTH_WORDS } from '../../ui/health.tsx';

const ORDER: readonly HealthStatus[] = ['failing', 'degraded', 'healthy', 'unknown', 'idle'];

export function HealthFilter({ rows }: { rows: readonly { readonly health: Health }[] }) {
  const text = useUrl().query.get('filter') ?? '';
  const chosen = /(?:^|\s)health:(\w+)/.exec(text)?.[1] ?? '';
  const counts = ORDER.map((status) => ({
    status,
    count: rows.filter((row) => row.health.status === status).length,
  }));
  const options = [
    { value: '', label: `All ${rows.length}` },
    ...counts
      .filter(({ count }) => count > 0)
      .map(({ status, count }) => ({
        value: status as string,
        label: `${HEALTH_WORDS[status]} ${count}`,
      })),
  ];
  const choose = (status: string) => {
    const rest = text.replace(/(^|\s)health:\w+/g, '').trim();
    setQuery({
      filter: [rest, status === '' ? '' : `health:${status}`]
        .filter((part) => part !== '')
        .join(' '),
    });
  };
  return <Segments label="Health" value={chosen} options={options} onChange={choose} />;
}
