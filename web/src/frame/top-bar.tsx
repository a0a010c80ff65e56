/** Namespaces, search, the health of the mesh in one glyph with its sentence, the commands of the page, and the reader. */
import { Keyboard, LogOut, Monitor, Moon, Search, SquareTerminal, Sun } from 'lucide-react';
import type { OverviewAnswer } from '#console/api/lists.ts';
import { address } from '../store/api.ts';
import { usePageFacts } from '../store/page.ts';
import { useQuery } from '../store/query.ts';
import { logout, useSession } from '../store/session.ts';
import { applyTheme, type Theme, useTheme } from '../store/theme.ts';
import { hrefOf } from '../store/url.ts';
import { CommandLine } from '../ui/code.tsx';
import { IconButton, Key } from '../ui/controls.tsx';
import { HealthGlyph } from '../ui/health.tsx';
import { Link } from '../ui/link.tsx';
import { Popover } from '../ui/popover.tsx';
import { NamespacePicker } from './namespace-picker.tsx';
import styles from './top-bar.module.css';

const MESH_REFRESH_MS = 5000;

export function TopBar({ onSearch, onKeys }: { onSearch: () => void; onKeys: () => void }) {
  return (
    <header className={styles.bar}>
      <NamespacePicker />
      <button type="button" className={styles.search} onClick={onSearch}>
        <Search aria-hidden="true" />
        <span>Find or go to</span>
        <Key>Ctrl K</Key>
      </button>
      <MeshGlyph />
      <span className={styles.right}>
        <Commands />
        <ThemeSwitch />
        <span className={styles.wide}>
          <IconButton label="Keys (?)" onClick={onKeys}>
            <Keyboard />
          </IconButton>
        </span>
        <Reader />
      </span>
    </header>
  );
}

function MeshGlyph() {
  const overview = useQuery<OverviewAnswer>(address('overview'), { refreshMs: MESH_REFRESH_MS });
  const isLost = overview.error !== undefined;
  const mesh = overview.data?.mesh;
  if (mesh === undefined && !isLost) return <span className={styles.mesh} />;
  const status = isLost || mesh === undefined ? 'unknown' : mesh.status;
  const sentence = isLost || mesh === undefined ? (overview.error?.message ?? '') : mesh.reason;
  return (
    <Link
      href={hrefOf('/mesh')}
      className={styles.mesh}
      aria-label={`Mesh: ${status}. ${sentence}`}
      title={sentence}
    >
      <HealthGlyph status={status} />
      <span>{sentence}</span>
    </Link>
  );
}

function Commands() {
  const { commands } = usePageFacts();
  if (commands.length === 0) return null;
  return (
    <Popover
      label="Show command"
      look="quiet"
      align="end"
      button={<SquareTerminal aria-hidden="true" />}
    >
      {() => (
        <div className={styles.commands}>
          <p>The same in a terminal</p>
          {commands.map((line) => (
            <CommandLine key={line} text={line} />
          ))}
        </div>
      )}
    </Popover>
  );
}

const NEXT: Readonly<Record<Theme, Theme>> = { system: 'light', light: 'dark', dark: 'system' };
const THEME_ICONS = { system: Monitor, light: Sun, dark: Moon } as const;
const THEME_WORDS = { system: 'as the system', light: 'light', dark: 'dark' } as const;

function ThemeSwitch() {
  const theme = useTheme();
  const Icon = THEME_ICONS[theme];
  return (
    <IconButton label={`Theme: ${THEME_WORDS[theme]}`} onClick={() => applyTheme(NEXT[theme])}>
      <Icon />
    </IconButton>
  );
}

function Reader() {
  const session = useSession();
  if (session.data === undefined || !session.data.needsToken) return null;
  return (
    <IconButton
      label={`Log out ${session.data.user}`}
      onClick={() => void logout().then(session.reload)}
    >
      <LogOut />
    </IconButton>
  );
}
