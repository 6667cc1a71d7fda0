/** Asks Prometheus, and turns its answers into the frames that Grafana's Prometheus data source would build. */
import { type DataFrame, FieldType, createDataFrame, type Labels } from '@grafana/data';
import type { Job, Target } from './job';

interface Series {
  metric: Labels;
  values: Array<[number, string]>;
}

export interface Question {
  target: Target;
  expr: string;
  from: number;
  to: number;
  step: number;
}

/** Return the frames of one query: one per series, or one table. */
export async function framesOf(job: Job, question: Question): Promise<DataFrame[]> {
  const series = question.target.instant ? await instant(job, question) : await range(job, question);
  return question.target.format === 'table'
    ? tableOf(series, question.target)
    : series.map((each) => seriesFrame(each, question));
}

/** Return the values over time of an expression. */
export async function range(job: Job, { expr, from, to, step }: Omit<Question, 'target'>): Promise<Series[]> {
  const end = Math.floor(to / step) * step;
  const start = Math.floor(from / step) * step;
  const answer = await ask(job, 'query_range', {
    query: expr,
    start: start / 1000,
    end: end / 1000,
    step: step / 1000,
  });
  return answer.result;
}

async function instant(job: Job, { expr, to }: Question): Promise<Series[]> {
  const answer = await ask(job, 'query', { query: expr, time: to / 1000 });
  if (answer.resultType === 'scalar') {
    return [{ metric: {}, values: [answer.result] }];
  }
  return answer.result.map((each: { metric: Labels; value: [number, string] }) => ({
    metric: each.metric,
    values: [each.value],
  }));
}

/** Return the values of a label, of all series or of those that a selector finds. */
export async function labelValues(job: Job, label: string, selector?: string): Promise<string[]> {
  const selected: Record<string, string> = selector ? { 'match[]': selector } : {};
  const times = { start: job.from / 1000, end: job.to / 1000 };
  return ask(job, `label/${label}/values`, { ...selected, ...times });
}

/** Return each series of an expression as text, as Grafana's `query_result` does. */
export async function instantLabels(job: Job, expr: string): Promise<string[]> {
  const answer = await ask(job, 'query', { query: expr, time: job.to / 1000 });
  return answer.result.map((each: { metric: Labels; value: [number, string] }) => {
    const { __name__: name = '', ...labels } = each.metric;
    return `${name}{${labelText(labels)}} ${each.value[1]} ${each.value[0] * 1000}`;
  });
}

async function ask(job: Job, path: string, parameters: Record<string, string | number>): Promise<any> {
  const query = new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]));
  const response = await fetch(`${job.prometheus}/api/v1/${path}?${query}`);
  const answer = await response.json();
  if (answer.status !== 'success') {
    throw new Error(`Prometheus refused a query: ${answer.error}; ${parameters.query ?? path}`);
  }
  return answer.data;
}

function seriesFrame({ metric, values }: Series, { target, step }: Question): DataFrame {
  const legend = legendOf(target, metric);
  const { __name__, ...labels } = metric;
  return createDataFrame({
    refId: target.refId,
    name: legend,
    fields: [
      {
        name: 'Time',
        type: FieldType.time,
        config: target.instant ? {} : { interval: step },
        values: values.map(([time]) => Math.round(time * 1000)),
      },
      {
        name: 'Value',
        type: FieldType.number,
        labels,
        config: { displayNameFromDS: legend },
        values: values.map(([, value]) => numberOf(value)),
      },
    ],
  });
}

function tableOf(series: Series[], target: Target): DataFrame[] {
  if (series.length === 0) {
    return [];
  }
  const rows = series.flatMap(({ metric, values }) => values.map(([time, value]) => ({ metric, time, value })));
  const names = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const labels = names.map((name) => ({
    name,
    type: FieldType.string,
    config: { filterable: true },
    values: rows.map(({ metric }) => metric[name] ?? ''),
  }));
  return [
    createDataFrame({
      refId: target.refId,
      fields: [
        { name: 'Time', type: FieldType.time, config: {}, values: rows.map(({ time }) => Math.round(time * 1000)) },
        ...labels,
        { name: 'Value', type: FieldType.number, config: {}, values: rows.map(({ value }) => numberOf(value)) },
      ],
    }),
  ];
}

/** Name the value columns of several tables by their query, as Grafana does. */
export function nameTables(frames: DataFrame[], targets: Target[]): DataFrame[] {
  const tables = targets.filter((target) => target.format === 'table').map((target) => target.refId);
  return frames.map((frame) =>
    tables.length > 1 && tables.includes(frame.refId ?? '')
      ? { ...frame, fields: frame.fields.map((field) => renamed(field, `Value #${frame.refId}`)) }
      : frame
  );
}

function renamed(field: DataFrame['fields'][number], name: string) {
  return field.name === 'Value' ? { ...field, name } : field;
}

function legendOf({ legendFormat, expr }: Target, metric: Labels): string {
  if (legendFormat && legendFormat !== '__auto') {
    return legendFormat.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => metric[label] ?? '');
  }
  const { __name__: name = '', ...labels } = metric;
  return Object.keys(labels).length > 0 ? `${name}{${labelText(labels)}}` : name || expr;
}

function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${value}"`)
    .join(', ');
}

function numberOf(text: string): number | null {
  if (text === '+Inf' || text === '-Inf') {
    return text === '+Inf' ? Infinity : -Infinity;
  }
  return text === 'NaN' ? NaN : Number(text);
}
