/** A row per series, coloured by its value while it lasts. Grafana's own is not on npm, so this one is ours. */
import { type DataFrame, type Field, FieldType, type GrafanaTheme2, dateTimeFormat, getFieldDisplayName } from '@grafana/data';
import { VizLegend, VizLayout, getTextColorForAlphaBackground } from '@grafana/ui';
import type { Draw, Drawing } from './drawing';

const AXIS = 24;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080].map((minutes) => minutes * 60_000);

interface Span {
  from: number;
  to: number;
  text: string;
  color: string;
}

export const Timeline: Draw = (drawing) => {
  const rows = rowsOf(drawing.frames, drawing);
  const legend = drawing.panel.options?.legend?.showLegend === false ? null : legendOf(rows);
  return (
    <VizLayout width={drawing.width} height={drawing.height} legend={legend}>
      {(width, height) => <Rows {...drawing} rows={rows} width={width} height={height} />}
    </VizLayout>
  );
};

interface Row {
  name: string;
  spans: Span[];
}

function rowsOf(frames: DataFrame[], drawing: Drawing): Row[] {
  return frames.flatMap((frame) => {
    const time = frame.fields.find((field) => field.type === FieldType.time);
    const values = frame.fields.filter((field) => field !== time);
    return time ? values.map((field) => ({ name: getFieldDisplayName(field, frame, frames), spans: spansOf(time, field, drawing) })) : [];
  });
}

/** Merge neighbours of one look; a gap longer than the step of the query ends a span. */
function spansOf(time: Field, field: Field, { panel, range }: Drawing): Span[] {
  const step: number = time.config.interval ?? 0;
  const merges = panel.options?.mergeValues !== false;
  const spans: Span[] = [];
  time.values.forEach((from: number, index: number) => {
    const value = field.values[index];
    if (value === null || value === undefined) {
      return;
    }
    const { text, color = 'gray' } = field.display!(value);
    const to = Math.min(from + step, range.to.valueOf());
    const last = spans.at(-1);
    if (last && merges && last.to >= from && last.text === text && last.color === color) {
      last.to = to;
    } else {
      spans.push({ from, to, text, color });
    }
  });
  return spans;
}

function legendOf(rows: Row[]) {
  const looks = new Map(rows.flatMap((row) => row.spans.map((span) => [span.text, span.color])));
  const items = [...looks].map(([label, color]) => ({ label, color, yAxis: 1 }));
  return (
    <VizLayout.Legend placement="bottom">
      <VizLegend placement="bottom" displayMode={'list' as never} items={items} />
    </VizLayout.Legend>
  );
}

function Rows({ rows, width, height, theme, range, zone, panel }: Drawing & { rows: Row[] }) {
  const label = Math.min(Math.max(...rows.map((row) => textWidth(row.name))) + 12, width * 0.45);
  const band = (height - AXIS) / rows.length;
  const bar = band * (panel.options?.rowHeight ?? 0.9);
  const [start, end] = [range.from.valueOf(), range.to.valueOf()];
  const x = (time: number) => label + ((Math.max(time, start) - start) / (end - start)) * (width - label);
  return (
    <svg width={width} height={height} fontFamily={theme.typography.fontFamily} fontSize={12}>
      {ticksOf(start, end, width - label).map((tick) => (
        <g key={tick} fill={theme.colors.text.primary}>
          <line x1={x(tick)} x2={x(tick)} y1={0} y2={height - AXIS} stroke={gridColor(theme)} />
          <text x={x(tick)} y={height - 6} textAnchor="middle">
            {dateTimeFormat(tick, { format: 'HH:mm', timeZone: zone })}
          </text>
        </g>
      ))}
      {rows.map((row, index) => (
        <g key={row.name} transform={`translate(0, ${index * band + (band - bar) / 2})`}>
          <Name text={row.name} width={label - 8} y={bar / 2} color={theme.colors.text.primary} />
          {row.spans.map((span) => (
            <Bar key={span.from} span={span} x={x(span.from)} to={x(span.to)} height={bar} theme={theme} panel={panel} />
          ))}
        </g>
      ))}
    </svg>
  );
}

function Name({ text, width, y, color }: { text: string; width: number; y: number; color: string }) {
  return (
    <text x={width} y={y} textAnchor="end" dominantBaseline="central" fill={color}>
      {shortened(text, width)}
    </text>
  );
}

interface BarProps extends Pick<Drawing, 'theme' | 'panel'> {
  span: Span;
  x: number;
  to: number;
  height: number;
}

function Bar({ span, x, to, height, theme, panel }: BarProps) {
  const color = theme.visualization.getColorByName(span.color);
  const opacity = (panel.fieldConfig?.defaults.custom?.fillOpacity ?? 70) / 100;
  const shows = panel.options?.showValue === 'always' || (panel.options?.showValue !== 'never' && to - x > textWidth(span.text) + 8);
  return (
    <g>
      <rect x={x} width={Math.max(to - x, 1)} height={height} fill={color} fillOpacity={opacity} />
      {shows && (
        <text
          x={(x + to) / 2}
          y={height / 2}
          textAnchor="middle"
          dominantBaseline="central"
          fill={getTextColorForAlphaBackground(color, theme.isDark)}
        >
          {span.text}
        </text>
      )}
    </g>
  );
}

function ticksOf(from: number, to: number, width: number): number[] {
  const step = STEPS.find((each) => ((to - from) / each) * 60 < width) ?? STEPS.at(-1)!;
  const first = Math.ceil(from / step) * step;
  const margin = ((to - from) / width) * 20;
  const ticks = Array.from({ length: Math.floor((to - first) / step) + 1 }, (_, index) => first + index * step);
  return ticks.filter((tick) => tick < to - margin);
}

function gridColor(theme: GrafanaTheme2): string {
  return theme.isDark ? 'rgba(240, 250, 255, 0.09)' : 'rgba(0, 10, 23, 0.09)';
}

function textWidth(text: string): number {
  return text.length * 6.4;
}

function shortened(text: string, width: number): string {
  const fits = Math.floor(width / 6.4);
  return text.length > fits ? `${text.slice(0, fits - 1)}…` : text;
}
