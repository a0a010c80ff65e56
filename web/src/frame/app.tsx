/** The frame: rail, top bar, the page, and the time bar. Keys that work everywhere are taken here. */
import { Component, type ReactNode, Suspense, useEffect, useState } from 'react';
import { ApiError } from '../store/api.ts';
import { useSession } from '../store/session.ts';
import { hrefOf, navigate, useUrl } from '../store/url.ts';
import { Empty, Failure, Loading } from '../ui/states.tsx';
import styles from './app.module.css';
import { KeysSheet } from './keys-sheet.tsx';
import { Login } from './login.tsx';
import { Palette } from './palette.tsx';
import { Rail } from './rail.tsx';
import { ROUTES, routeOf } from './routes.ts';
import { TimeBar } from './time-bar.tsx';
import { TopBar } from './top-bar.tsx';

type Overlay = 'palette' | 'keys' | undefined;

export function App() {
  const session = useSession();
  if (session.data === undefined) {
    return session.error === undefined ? (
      <Loading what="the console" />
    ) : (
      <Failure error={session.error} onRetry={session.reload} />
    );
  }
  if (session.data.needsToken && !session.data.isAuthenticated)
    return <Login onDone={session.reload} />;
  return <Frame />;
}

function Frame() {
  const { path } = useUrl();
  const { route, segments } = routeOf(path);
  const [overlay, setOverlay] = useState<Overlay>();
  useGlobalKeys(setOverlay);
  const Shown = route?.page;
  return (
    <div className={styles.frame}>
      <a className={styles.skip} href="#page">
        Skip to the page
      </a>
      <Rail current={route?.under ?? route?.name} />
      <TopBar onSearch={() => setOverlay('palette')} onKeys={() => setOverlay('keys')} />
      <main id="page" className={styles.page} tabIndex={-1}>
        <PageErrors key={path}>
          {Shown === undefined ? (
            <Empty title={`There is no page at ${path}`}>
              <p>The rail at the left leads to those that there are.</p>
            </Empty>
          ) : (
            <Suspense fallback={<Loading what={route?.title.toLowerCase() ?? ''} />}>
              <Shown segments={segments} />
            </Suspense>
          )}
        </PageErrors>
      </main>
      {route?.hasTime && <TimeBar />}
      {overlay === 'palette' && <Palette onClose={() => setOverlay(undefined)} />}
      {overlay === 'keys' && <KeysSheet onClose={() => setOverlay(undefined)} />}
    </div>
  );
}

/** How long `g` waits for the letter of a page. */
const CHORD_MS = 1200;

function useGlobalKeys(setOverlay: (overlay: Overlay) => void): void {
  useEffect(() => {
    let chordUntil = 0;
    const take = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        setOverlay('palette');
        return;
      }
      if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === '?') setOverlay('keys');
      else if (event.key === '/') {
        event.preventDefault();
        setOverlay('palette');
      } else if (event.timeStamp < chordUntil) {
        chordUntil = 0;
        const route = ROUTES.find((each) => each.key === event.key);
        if (route !== undefined) navigate(hrefOf(`/${route.name}`));
      } else if (event.key === 'g') chordUntil = event.timeStamp + CHORD_MS;
    };
    addEventListener('keydown', take);
    return () => removeEventListener('keydown', take);
  }, [setOverlay]);
}

export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  return (
    target.isContentEditable ||
    /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) ||
    document.querySelector('dialog[open]') !== null
  );
}

/** A page that breaks says so in its place; the frame and the other pages go on. */
class PageErrors extends Component<{ children: ReactNode }, { error?: Error }> {
  override state: { error?: Error } = {};

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    const shown = new ApiError(`This page broke: ${error.message}`, {
      status: 0,
      hint: 'The other pages work. A new load may help; if not, it is worth a bug report.',
      cause: error,
    });
    return <Failure error={shown} onRetry={() => this.setState({ error: undefined })} />;
  }
}
