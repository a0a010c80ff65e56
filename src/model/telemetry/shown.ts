/** Settings as admin answers show them: the values of a collector's headers are often tokens. */
import type { ScopedTelemetry, TelemetrySettings } from './settings.ts';

export function shownTelemetry({ services, ...scoped }: ScopedTelemetry): ScopedTelemetry {
  return {
    ...scoped,
    server: shownSettings(scoped.server),
    client: shownSettings(scoped.client),
    ...(services && {
      services: Object.fromEntries(
        Object.entries(services).map(([key, settings]) => [key, shownSettings(settings)]),
      ),
    }),
  };
}

function shownSettings(settings: TelemetrySettings): TelemetrySettings {
  const { tracing } = settings;
  const { provider } = tracing;
  if (provider === undefined) return settings;
  const headers = provider.headers.map(({ name }) => ({ name, value: '[redacted]' }));
  return { ...settings, tracing: { ...tracing, provider: { ...provider, headers } } };
}
