/** Log-in with a token of Kubernetes. The token is sent once and not kept here. */
import { type FormEvent, useState } from 'react';
import { ApiError } from '../store/api.ts';
import { login } from '../store/session.ts';
import { CommandLine } from '../ui/code.tsx';
import { Button, Field } from '../ui/controls.tsx';
import styles from './login.module.css';

export function Login({ onDone }: { onDone: () => void }) {
  const [token, setToken] = useState('');
  const [error, setError] = useState<ApiError>();
  const [isBusy, setBusy] = useState(false);
  const send = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await login(token.trim());
      onDone();
    } catch (failure) {
      setError(
        failure instanceof ApiError ? failure : new ApiError(String(failure), { status: 0 }),
      );
    } finally {
      setBusy(false);
    }
  };
  return (
    <main className={styles.login}>
      <form onSubmit={(event) => void send(event)} aria-label="Log in">
        <h1>Tulle</h1>
        <p>
          Log in with a token of a service account or a user of this cluster. You see the namespaces
          that it may see.
        </p>
        <Field
          label="Token"
          type="password"
          autoComplete="off"
          autoFocus
          value={token}
          onChange={(event) => setToken(event.target.value)}
          problem={
            error === undefined
              ? undefined
              : [error.message, error.hint].filter((part) => part !== '').join('. ')
          }
        />
        <Button look="main" type="submit" disabled={isBusy || token.trim() === ''}>
          {isBusy ? 'Logging in' : 'Log in'}
        </Button>
        <p className={styles.hint}>A token for an hour:</p>
        <CommandLine text="kubectl create token NAME -n NAMESPACE" />
      </form>
    </main>
  );
}
