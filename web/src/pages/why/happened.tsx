/** Requests that happened, to be asked about: those that failed first. */
import type { RequestsAnswer } from '#console/api/traffic.ts';
import { address } from '../../store/api.ts';
import { useQuery } from '../../store/query.ts';
import { useScope } from '../../store/scope.ts';
import { hrefOf, navigate } from '../../store/url.ts';
import { Panel } from '../../ui/panel.tsx';
import { Answered, Empty } from '../../ui/states.tsx';
import { DataTable } from '../../ui/table.tsx';
import { isFailed, keyOf, whyQuery } from '../traffic/filter.ts';
import { REQUEST_COLUMNS } from '../traffic/request-columns.tsx';

const ROWS_ASKED = 200;
const ROWS_SHOWN = 12;

export function Happened() {
  const { namespaces } = useScope().query;
  const answer = useQuery<RequestsAnswer>(
    address('requests', { namespaces, limit: `${ROWS_ASKED}` }),
  );
  return (
    <Panel title="Or pick one that happened" note="failed ones first">
      <Answered query={answer} what="requests">
        {({ requests }) => (
          <DataTable
            label="Requests that happened"
            rows={[...requests.filter(isFailed), ...requests.filter((row) => !isFailed(row))].slice(
              0,
              ROWS_SHOWN,
            )}
            columns={REQUEST_COLUMNS}
            keyOf={keyOf}
            sort={{ key: '', isDescending: false }}
            onOpen={(row) => navigate(hrefOf('/why', whyQuery(row)))}
            empty={
              <Empty title="No request was kept">
                <p>
                  Failed requests are kept, of the others a few of each second, the slowest among
                  them, and more while somebody watches, by Live or tulle tap.
                </p>
              </Empty>
            }
          />
        )}
      </Answered>
    </Panel>
  );
}
