/** Runs every query of a board, and transforms and configures the frames as Grafana would. */
import { type DataFrame, type GrafanaTheme2, cacheFieldDisplayNames, rangeUtil, standardTransformers, standardTransformersRegistry, transformDataFrame } from '@grafana/data';
import { lastValueFrom } from 'rxjs';
import { type Mark, marksOf } from './annotations';
import { withFields } from './fields';
import type { Job, Panel } from './job';
import { framesOf, nameTables } from './prometheus';
import { type Chosen, type Fill, chooseValues, filler, queryInterval } from './variables';

export interface Answer {
  frames: DataFrame[];
  from: number;
  error?: string;
}

export interface Loaded {
  chosen: Chosen[];
  fill: Fill;
  marks: Mark[];
  /** By the id of the panel. */
  answers: Map<number, Answer>;
}

export async function load(job: Job, theme: GrafanaTheme2, width: number): Promise<Loaded> {
  registerTransformers();
  const chosen = await chooseValues(job);
  const fill = filler(chosen, job);
  const panels = job.board.panels.filter((panel) => panel.type !== 'row');
  const answers = await Promise.all(panels.map((panel) => answerOf(panel, job, fill, theme, width)));
  const marks = await marksOf(job, fill);
  return { chosen, fill, marks, answers: new Map(panels.map((panel, index) => [panel.id, answers[index]])) };
}

/** Return the panel's frames; an error becomes part of the answer, because Grafana shows it on the panel. */
async function answerOf(panel: Panel, job: Job, fill: Fill, theme: GrafanaTheme2, width: number): Promise<Answer> {
  const from = panel.timeFrom ? job.to - rangeUtil.intervalToMs(panel.timeFrom) : job.from;
  try {
    const raw = await framesOfAll(panel, job, fill, from, width);
    const moved = await transformed(panel, raw, fill);
    const frames = withFields(panel, moved, theme, job.board.timezone || 'utc', fill);
    cacheFieldDisplayNames(frames);
    return { frames, from };
  } catch (error) {
    return { frames: [], from, error: String(error) };
  }
}

async function framesOfAll(panel: Panel, job: Job, fill: Fill, from: number, width: number): Promise<DataFrame[]> {
  const targets = (panel.targets ?? []).filter((target) => !target.hide);
  const points = panel.maxDataPoints ?? Math.round((width * panel.gridPos.w) / 24);
  const frames = targets.map((target) => {
    const { step, extra } = queryInterval(job, { from, to: job.to }, points, target.interval ?? panel.interval);
    return framesOf(job, { target, expr: fill(target.expr, extra), from, to: job.to, step });
  });
  return nameTables((await Promise.all(frames)).flat(), targets);
}

async function transformed(panel: Panel, frames: DataFrame[], fill: Fill): Promise<DataFrame[]> {
  const configurations = panel.transformations ?? [];
  if (configurations.length === 0) {
    return frames;
  }
  return lastValueFrom(transformDataFrame(configurations, frames, { interpolate: (text) => fill(text) }));
}

function registerTransformers() {
  standardTransformersRegistry.setInit(() =>
    [...new Set(Object.values(standardTransformers))].map((each) => ({
      id: each.id,
      name: each.name,
      transformation: () => Promise.resolve(each),
      editor: () => null,
      imageDark: '',
      imageLight: '',
    }))
  );
}
