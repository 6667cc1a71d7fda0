/** Events of a board: a time, or a region with an end, from the samples of a query. */
import { rangeUtil } from '@grafana/data';
import type { Annotation, Job } from './job';
import { range } from './prometheus';
import { type Fill, queryInterval } from './variables';

export interface Mark {
  from: number;
  to: number;
  color: string;
}

/** Return the marks of every annotation that is switched on. */
export async function marksOf(job: Job, fill: Fill): Promise<Mark[]> {
  const shown = job.board.annotations.list.filter((each) => each.enable && each.expr);
  return (await Promise.all(shown.map((each) => marksOfOne(job, each, fill)))).flat();
}

async function marksOfOne(job: Job, annotation: Annotation, fill: Fill): Promise<Mark[]> {
  const step = rangeUtil.intervalToMs(annotation.step || '60s');
  const { extra } = queryInterval(job, job, (job.to - job.from) / step);
  const found = await range(job, { expr: fill(annotation.expr!, extra), from: job.from, to: job.to, step });
  return found.flatMap(({ values }) => {
    const active = values.filter(([, value]) => Number(value) > 0);
    const times = active.map(([time, value]) => (annotation.useValueForTime ? Math.floor(Number(value)) : time * 1000));
    return regions([...new Set(times)].sort(), step, annotation.iconColor);
  });
}

/** Join times that are at most a step apart, as Grafana does. */
function regions(times: number[], step: number, color: string): Mark[] {
  const marks: Mark[] = [];
  for (const time of times) {
    const last = marks.at(-1);
    if (last && last.to + step >= time) {
      last.to = time;
    } else {
      marks.push({ from: time, to: time, color });
    }
  }
  return marks;
}
