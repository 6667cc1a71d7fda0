import { type FieldDisplay, VizOrientation, getDisplayValueAlignmentFactors, getFieldDisplayValues } from '@grafana/data';
import {
  BarGauge,
  BarGaugeDisplayMode,
  BigValue,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueJustifyMode,
  BigValueTextMode,
  VizRepeater,
  type VizRepeaterRenderValueProps,
} from '@grafana/ui';
import type { ReactElement } from 'react';
import { fieldConfigOf } from '../fields';
import type { Draw, Drawing } from './drawing';

type Factors = ReturnType<typeof getDisplayValueAlignmentFactors>;
type One = VizRepeaterRenderValueProps<FieldDisplay, Factors>;

/** The newest value of each series in large letters. */
export const Stat: Draw = (drawing) => {
  const options = {
    colorMode: BigValueColorMode.Value,
    graphMode: BigValueGraphMode.Area,
    justifyMode: BigValueJustifyMode.Auto,
    textMode: BigValueTextMode.Auto,
    ...drawing.panel.options,
  };
  const draw = ({ value, width, height, count, alignmentFactors }: One) => (
    <BigValue
      value={value.display}
      sparkline={value.sparkline}
      colorMode={options.colorMode}
      graphMode={options.graphMode}
      justifyMode={options.justifyMode}
      textMode={options.textMode}
      text={drawing.panel.options?.text}
      alignmentFactors={alignmentFactors}
      count={count}
      width={width}
      height={height}
      theme={drawing.theme}
      disableWideLayout={drawing.panel.options?.wideLayout === false}
    />
  );
  return repeat(drawing, draw, { autoGrid: true, sparkline: options.graphMode !== BigValueGraphMode.None });
};

/** The newest value of each series as a bar. */
export const Bars: Draw = (drawing) => {
  const options = { displayMode: BarGaugeDisplayMode.Gradient, showUnfilled: true, ...drawing.panel.options };
  const draw = ({ value, width, height, orientation, alignmentFactors }: One) => (
    <BarGauge
      value={value.display}
      field={value.field}
      display={value.view?.getFieldDisplayProcessor(value.colIndex ?? 0)}
      displayMode={options.displayMode}
      valueDisplayMode={drawing.panel.options?.valueMode}
      namePlacement={drawing.panel.options?.namePlacement}
      showUnfilled={options.showUnfilled}
      text={drawing.panel.options?.text}
      alignmentFactors={alignmentFactors}
      orientation={orientation}
      width={width}
      height={height}
      itemSpacing={8}
      lcdCellWidth={12}
      theme={drawing.theme}
    />
  );
  const { sizing, minVizWidth = 8, minVizHeight = 16, maxVizHeight = 300 } = options as Record<string, any>;
  const manual = { minVizWidth, minVizHeight, maxVizHeight };
  return repeat(drawing, draw, sizing === 'manual' ? manual : { minVizWidth: 8, minVizHeight: 16, maxVizHeight: 300 });
};

interface Layout {
  autoGrid?: boolean;
  sparkline?: boolean;
  minVizWidth?: number;
  minVizHeight?: number;
  maxVizHeight?: number;
}

function repeat(drawing: Drawing, draw: (one: One) => ReactElement, { sparkline, ...layout }: Layout) {
  return (
    <VizRepeater
      {...layout}
      getValues={() => valuesOf(drawing, sparkline)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={draw}
      orientation={drawing.panel.options?.orientation ?? VizOrientation.Auto}
      source={drawing.frames}
      renderCounter={0}
      width={drawing.width}
      height={drawing.height}
      itemSpacing={8}
    />
  );
}

function valuesOf({ panel, frames, fill, theme, zone }: Drawing, sparkline?: boolean): FieldDisplay[] {
  return getFieldDisplayValues({
    data: frames,
    fieldConfig: fieldConfigOf(panel) as never,
    reduceOptions: { calcs: ['lastNotNull'], values: false, ...panel.options?.reduceOptions },
    replaceVariables: (text) => fill(text),
    sparkline,
    theme,
    timeZone: zone,
  });
}
