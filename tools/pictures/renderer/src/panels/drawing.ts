import type { DataFrame, GrafanaTheme2, TimeRange } from '@grafana/data';
import type { FunctionComponent } from 'react';
import type { Mark } from '../annotations';
import type { Panel } from '../job';
import type { Fill } from '../variables';

/** What every panel is drawn from. */
export interface Drawing {
  panel: Panel;
  frames: DataFrame[];
  width: number;
  height: number;
  theme: GrafanaTheme2;
  range: TimeRange;
  zone: string;
  marks: Mark[];
  fill: Fill;
}

export type Draw = FunctionComponent<Drawing>;
