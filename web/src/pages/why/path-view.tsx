/** The path of a request as a line with stations: what each hop decided and by which rule; what did not match is folded. */
import type { WhyPolicy } from '#cli/why/contract.ts';
import type { Station, WhyLeg, WhyPath } from '../../marks/why-path.ts';
import { Link } from '../../ui/link.tsx';
import { resourceHref } from '../parts/ids.ts';
import css from './why.module.css';

export function PathView({ path }: { path: WhyPath }) {
  const last = path.stations.length - 1;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
    <ol className={css.path} tabIndex={0} aria-label="The path of the request">
      {path.stations.map((station, index) => (
        <li key={station.title} className={css.station}>
          <Track
            station={station}
            leg={path.legs[index]}
            isEnd={index === last}
            arrives={path.isArriving && index === last}
          />
          <h3>{station.title}</h3>
          <Rules station={station} />
        </li>
      ))}
    </ol>
  );
}

function Track({
  station,
  leg,
  isEnd,
  arrives,
}: {
  station: Station;
  leg: WhyLeg | undefined;
  isEnd: boolean;
  arrives: boolean;
}) {
  return (
    <div className={css.track}>
      <svg aria-hidden="true">
        <line
          className={css.rail}
          data-transport={leg?.transport}
          data-end={isEnd}
          x1="8"
          x2="100%"
          y1="28"
          y2="28"
        />
        <circle
          className={css.dot}
          data-stop={station.isStop}
          data-arrives={arrives}
          cx="10"
          cy="28"
          r="7"
        />
        {station.isStop && <path className={css.cross} d="M7,25l6,6m0,-6l-6,6" />}
      </svg>
      {leg !== undefined && <span className={css.leg}>{leg.label}</span>}
    </div>
  );
}

function Rules({ station: { steps, assumed, deciding, rejected, route } }: { station: Station }) {
  return (
    <ul className={css.rules}>
      {deciding.map((policy) => (
        <Rule key={`${policy.kind} ${policy.name} ${policy.rule}`} policy={policy} />
      ))}
      {route !== undefined && (
        <li>
          <ResourceLink kind={route.kind} namespace={route.namespace} name={route.name} />
          {route.rule !== undefined && ` rule ${route.rule}`}
          <small>{route.reason}</small>
        </li>
      )}
      <Steps steps={steps} isFolded={deciding.length > 0 || route !== undefined} />
      {assumed.map((each) => (
        <li key={each}>
          <p className={css.assumed}>assumed: {each}</p>
        </li>
      ))}
      {rejected.length > 0 && (
        <li>
          <details>
            <summary>
              {rejected.length === 1
                ? '1 rule did not match'
                : `${rejected.length} rules did not match`}
            </summary>
            <ul className={css.rules}>
              {rejected.map((policy) => (
                <Rule key={`${policy.kind} ${policy.name} ${policy.rule}`} policy={policy} />
              ))}
            </ul>
          </details>
        </li>
      )}
    </ul>
  );
}

/** Words of a hop; beside the rules that decided they would say the same again. */
function Steps({ steps, isFolded }: { steps: readonly string[]; isFolded: boolean }) {
  const all = steps.map((step) => (
    <li key={step}>
      <p>{step}</p>
    </li>
  ));
  if (!isFolded) return all;
  return (
    <li>
      <details>
        <summary>{steps.length === 1 ? '1 step' : `${steps.length} steps`}</summary>
        <ul className={css.rules}>{all}</ul>
      </details>
    </li>
  );
}

function Rule({ policy }: { policy: WhyPolicy }) {
  return (
    <li>
      <ResourceLink {...policy} /> {policy.action}
      {policy.rule !== undefined && ` rule ${policy.rule}`}
      <small>{policy.reason}</small>
    </li>
  );
}

function ResourceLink({
  kind,
  namespace,
  name,
}: {
  kind: string;
  namespace: string;
  name: string;
}) {
  const text = `${kind} ${namespace}/${name}`;
  const href = resourceHref(text);
  return href === undefined ? (
    text
  ) : (
    <Link href={href}>{`${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`}</Link>
  );
}
