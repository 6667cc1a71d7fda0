import type { Draw } from './drawing';
import { Graph } from './graph';
import { Table } from './table';
import { Words } from './text';
import { Timeline } from './timeline';
import { Bars, Stat } from './values';

/** What draws each type of panel. A type that is not here fails the pictures. */
export const PANELS: Record<string, Draw> = {
  bargauge: Bars,
  stat: Stat,
  'state-timeline': Timeline,
  table: Table,
  text: Words,
  timeseries: Graph,
};

/** Panels that say themselves that they have no data. */
export const SHOW_NO_DATA = ['bargauge', 'stat', 'text'];
