/** Applies a panel's field configuration with Grafana's code; only the defaults of its panel plugins are ours. */
import {
  type DataFrame,
  FieldConfigOptionsRegistry,
  type FieldConfigPropertyItem,
  type GrafanaTheme2,
  applyFieldOverrides,
} from '@grafana/data';
import type { Panel } from './job';
import type { Fill } from './variables';

const THRESHOLDS = {
  mode: 'absolute',
  steps: [
    { value: -Infinity, color: 'green' },
    { value: 80, color: 'red' },
  ],
};
const GRAPH = {
  axisPlacement: 'auto',
  drawStyle: 'line',
  fillOpacity: 0,
  gradientMode: 'none',
  hideFrom: { legend: false, tooltip: false, viz: false },
  lineInterpolation: 'linear',
  lineStyle: { fill: 'solid' },
  lineWidth: 1,
  pointSize: 5,
  scaleDistribution: { type: 'linear' },
  showPoints: 'auto',
  spanNulls: false,
  stacking: { group: 'A', mode: 'none' },
  thresholdsStyle: { mode: 'off' },
};
const TIMELINE = { fillOpacity: 70, lineWidth: 0, spanNulls: false };
const TABLE = { align: 'auto', cellOptions: { type: 'auto' }, filterable: false };

/** The defaults that Grafana's panel plugins register for their fields. */
const DEFAULTS: Record<string, { color: string; custom: Record<string, unknown> }> = {
  timeseries: { color: 'palette-classic', custom: GRAPH },
  'state-timeline': { color: 'continuous-GrYlRd', custom: TIMELINE },
  table: { color: 'thresholds', custom: TABLE },
  stat: { color: 'thresholds', custom: {} },
  bargauge: { color: 'thresholds', custom: {} },
};

const STANDARD = [
  ...['unit', 'min', 'max', 'fieldMinMax', 'decimals', 'displayName', 'noValue', 'thresholds', 'mappings', 'links'],
  ...['color', 'filterable'],
];

/** Return the panel's field configuration with the defaults of its plugin. */
export function fieldConfigOf(panel: Panel) {
  const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
  const { color, custom } = DEFAULTS[panel.type] ?? DEFAULTS.stat;
  return {
    defaults: {
      mappings: [],
      ...defaults,
      color: defaults.color ?? { mode: color },
      thresholds: finite(defaults.thresholds ?? THRESHOLDS),
      custom: { ...custom, ...defaults.custom },
    },
    overrides,
  };
}

/** Return copies of the frames with units, colours, names and overrides applied. */
export function withFields(panel: Panel, frames: DataFrame[], theme: GrafanaTheme2, zone: string, fill: Fill) {
  const fieldConfig = fieldConfigOf(panel);
  return applyFieldOverrides({
    data: frames,
    fieldConfig: fieldConfig as never,
    fieldConfigRegistry: registryOf(fieldConfig),
    replaceVariables: (text) => fill(text),
    theme,
    timeZone: zone,
  });
}

function registryOf({ defaults, overrides }: ReturnType<typeof fieldConfigOf>): FieldConfigOptionsRegistry {
  const overridden: string[] = overrides.flatMap((rule) => rule.properties.map((each: { id: string }) => each.id));
  const custom = [...Object.keys(defaults.custom), ...overridden.flatMap((id) => /^custom\.(.+)/.exec(id)?.[1] ?? [])];
  return new FieldConfigOptionsRegistry(() => [
    ...STANDARD.map((id) => item(id, id, false)),
    ...[...new Set(custom)].map((path) => item(`custom.${path}`, path, true)),
  ]);
}

function item(id: string, path: string, isCustom: boolean): FieldConfigPropertyItem {
  const process = (value: unknown) => (id === 'thresholds' && value ? finite(value as typeof THRESHOLDS) : value);
  return { id, path, isCustom, name: id, process, shouldApply: () => true } as never;
}

/** JSON has no -Infinity: the first step of thresholds is null there. */
function finite(thresholds: typeof THRESHOLDS): typeof THRESHOLDS {
  return {
    ...thresholds,
    steps: thresholds.steps.map((step) => ({ ...step, value: step.value ?? -Infinity })),
  };
}
