import { TableNG } from '@grafana/ui/unstable';
import { useTheme2 } from '@grafana/ui';
import type { Draw } from './drawing';

/** One table: the first frame, after the transformations. */
export const Table: Draw = ({ panel, frames, width, height, range }) => (
  <TableNG
    data={frames[0]}
    width={width}
    height={height}
    noHeader={panel.options?.showHeader === false}
    sortBy={panel.options?.sortBy}
    cellHeight={panel.options?.cellHeight ?? 'sm'}
    timeRange={range}
    enableVirtualization={false}
    transparent={useTheme2().isDark && panel.transparent}
  />
);
