/** Finds the values of a board's variables and fills them into queries and titles. */
import { rangeUtil } from '@grafana/data';
import type { Job, Variable } from './job';
import { instantLabels, labelValues } from './prometheus';

const ALL = '$__all';

export interface Chosen {
  variable: Variable;
  values: string[];
  isAll: boolean;
}

export type Fill = (text: string, extra?: Record<string, string>) => string;

/** Return the chosen values in the order of the variables, because later ones may depend on earlier ones. */
export async function chooseValues(job: Job): Promise<Chosen[]> {
  const chosen: Chosen[] = [];
  for (const variable of job.board.templating.list) {
    const options = await optionsOf(variable, job, filler(chosen, job));
    chosen.push(choose(variable, options, job.variables[variable.name]));
  }
  return chosen;
}

/** Replace `$name`, `${name}` and `${name:format}`. Throws for a variable that neither the board nor Grafana has. */
export function filler(chosen: Chosen[], job: Job): Fill {
  const values = new Map(chosen.map((each) => [each.variable.name, each]));
  const constants = builtIns(job);
  return (text, extra = {}) =>
    text.replace(/\$\{(\w+)(?::(\w+))?\}|\$(\w+)/g, (whole, braced, format, bare) => {
      const name: string = braced ?? bare;
      const constant = extra[name] ?? constants[name];
      if (constant !== undefined) {
        return constant;
      }
      const found = values.get(name);
      if (!found) {
        // $1 is a group of label_replace; links are filled when they are clicked, from the series under the pointer.
        if (/^(\d|__)/.test(name)) {
          return whole;
        }
        throw new Error(`unknown variable $${name} in ${text}`);
      }
      return formatValues(found, format);
    });
}

/** Return the step of a query and the variables that follow from it, as Grafana's Prometheus data source does. */
export function queryInterval(job: Job, range: { from: number; to: number }, points: number, least?: string) {
  const scrape = job.scrapeSeconds * 1000;
  const floor = least ? rangeUtil.intervalToMs(least) : scrape;
  const step = Math.max(rangeUtil.roundInterval((range.to - range.from) / points), floor);
  const rate = Math.max(step + scrape, 4 * scrape);
  return {
    step,
    extra: {
      __interval: rangeUtil.msRangeToTimeString(step),
      __interval_ms: String(step),
      __rate_interval: `${Math.round(rate / 1000)}s`,
    },
  };
}

async function optionsOf(variable: Variable, job: Job, fill: Fill): Promise<string[]> {
  const query = fill(typeof variable.query === 'string' ? variable.query : (variable.query?.query ?? ''));
  switch (variable.type) {
    case 'query':
      return filtered(await queryValues(query, job), variable);
    case 'datasource':
      return ['Prometheus'];
    case 'custom':
    case 'interval':
      return query.split(',').map((each) => each.trim());
    case 'constant':
    case 'textbox':
      return [query];
  }
  throw new Error(`variable ${variable.name} has the unknown type ${variable.type}`);
}

async function queryValues(query: string, job: Job): Promise<string[]> {
  const labels = /^label_values\((?:(.+),)?\s*(\w+)\)$/.exec(query);
  if (labels) {
    return labelValues(job, labels[2], labels[1]?.trim());
  }
  const result = /^query_result\((.+)\)$/.exec(query);
  if (result) {
    return instantLabels(job, result[1]);
  }
  throw new Error(`no label_values(…) or query_result(…): ${query}`);
}

function filtered(values: string[], variable: Variable): string[] {
  const pattern = variable.regex ? new RegExp(variable.regex.replace(/^\/|\/$/g, '')) : undefined;
  const kept = values.map((value) => (pattern ? (pattern.exec(value)?.[1] ?? pattern.exec(value)?.[0]) : value));
  const unique = [...new Set(kept.filter((value) => value !== undefined))] as string[];
  return variable.sort === 0 ? unique : unique.sort();
}

function choose(variable: Variable, options: string[], wanted?: string[]): Chosen {
  const current = variable.current?.value;
  const values = wanted ?? (current === undefined || current === '' ? [] : [current].flat());
  if (variable.includeAll && (values.includes(ALL) || values.length === 0)) {
    return { variable, values: options, isAll: true };
  }
  const known = variable.type === 'query' ? values.filter((value) => options.includes(value)) : values;
  return { variable, values: known.length > 0 ? known : options.slice(0, 1), isAll: false };
}

function formatValues({ variable, values, isAll }: Chosen, format?: string): string {
  if (isAll && variable.allValue && format !== 'text') {
    return variable.allValue;
  }
  if (isAll && format === 'text') {
    return 'All';
  }
  if (format === 'csv' || format === 'text') {
    return values.join(', ');
  }
  if (format === 'raw' || !(variable.multi || variable.includeAll)) {
    return values.join(',');
  }
  const escaped = values.map((value) => value.replace(/[\\^$*+?.()|[\]{}]/g, '\\\\$&'));
  return escaped.length === 1 ? escaped[0] : `(${escaped.join('|')})`;
}

function builtIns(job: Job): Record<string, string> {
  const milliseconds = job.to - job.from;
  return {
    __from: String(job.from),
    __to: String(job.to),
    __range: `${Math.round(milliseconds / 1000)}s`,
    __range_s: String(Math.round(milliseconds / 1000)),
    __range_ms: String(milliseconds),
  };
}
