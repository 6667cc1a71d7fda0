import { applyNullInsertThreshold, type DataFrame, FieldType } from '@grafana/data';
import { TimeSeries, TooltipDisplayMode, UPlotConfigBuilder } from '@grafana/ui';
import { useLayoutEffect } from 'react';
import type { Mark } from '../annotations';
import type { Draw, Drawing } from './drawing';

/** Values over time, with the annotations of the board on top. */
export const Graph: Draw = ({ panel, frames, width, height, range, zone, marks, theme }) => (
  <TimeSeries
    frames={frames.filter(isGraphable).map((frame) => withGaps(frame, range))}
    width={width}
    height={height}
    timeRange={range}
    timeZone={zone}
    legend={{ displayMode: 'list', placement: 'bottom', calcs: [], showLegend: true, ...panel.options?.legend }}
    options={{ tooltip: { mode: TooltipDisplayMode.None } }}
  >
    {(builder) => <Marks builder={builder} marks={marks} theme={theme} />}
  </TimeSeries>
);

/** Insert nulls where a series has no value, up to the end of the range: as Grafana's panel, which is not in the library. */
function withGaps(frame: DataFrame, { from, to }: Drawing['range']): DataFrame {
  return applyNullInsertThreshold({ frame, refFieldPseudoMin: from.valueOf(), refFieldPseudoMax: to.valueOf() });
}

function isGraphable(frame: DataFrame): boolean {
  return [FieldType.time, FieldType.number].every((type) => frame.fields.some((field) => field.type === type));
}

interface MarksProps extends Pick<Drawing, 'theme' | 'marks'> {
  builder: UPlotConfigBuilder;
}

function Marks({ builder, marks, theme }: MarksProps) {
  useLayoutEffect(() => {
    builder.addHook('draw', (plot) => marks.forEach((mark) => drawMark(plot, mark, theme.visualization)));
  }, [builder, marks, theme]);
  return null;
}

/** Draw a dashed line at the time of an event, or a shade from its start to its end. */
function drawMark(plot: uPlot, mark: Mark, colors: Drawing['theme']['visualization']) {
  const { ctx, bbox } = plot;
  const color = colors.getColorByName(mark.color);
  const [left, right] = [mark.from, mark.to].map((time) => clamp(plot.valToPos(time, 'x', true), bbox));
  ctx.save();
  ctx.fillStyle = ctx.strokeStyle = color;
  ctx.lineWidth = devicePixelRatio;
  ctx.globalAlpha = 0.1;
  ctx.fillRect(left, bbox.top, right - left, bbox.height);
  ctx.globalAlpha = 0.8;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const x of new Set([left, right])) {
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.globalAlpha = 1;
  ctx.fillRect(left, bbox.top + bbox.height, Math.max(right - left, 3 * devicePixelRatio), 3 * devicePixelRatio);
  ctx.restore();
}

function clamp(x: number, bbox: { left: number; width: number }): number {
  return Math.min(Math.max(x, bbox.left), bbox.left + bbox.width);
}
