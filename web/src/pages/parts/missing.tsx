/** A page of something that is not there: what is missing, why that may be, and where to look for it. */
import { CommandLine } from '../../ui/code.tsx';
import { Link } from '../../ui/link.tsx';
import { Empty } from '../../ui/states.tsx';

interface MissingProps {
  /** `There is no workload cart in shop`. */
  readonly title: string;
  readonly why?: string;
  readonly lists: readonly (readonly [words: string, href: string])[];
  readonly command: string;
}

const WHY =
  'It was deleted, or it has another name, or it is in another namespace or in one that you may not read.';

export function Missing({ title, why = WHY, lists, command }: MissingProps) {
  return (
    <Empty title={title} isAlert>
      <p>{why} Look in:</p>
      <ul>
        {lists.map(([words, href]) => (
          <li key={href}>
            <Link href={href}>{words}</Link>
          </li>
        ))}
      </ul>
      <CommandLine text={command} />
    </Empty>
  );
}
