/** The words that Grafana's code knows. A board with any other word would lose a unit, a rule or a colour in silence. */
import {
  createTheme,
  fieldColorModeRegistry,
  fieldMatchers,
  fieldReducers,
  getValueFormats,
  standardTransformers,
  valueMatchers,
} from '@grafana/data';
import { PANELS } from './panels';

export function vocabulary(): Record<string, string[]> {
  const hues: Array<{ shades: Array<{ name: string; aliases?: string[] }> }> = createTheme().visualization.hues;
  const shades = hues.flatMap((hue) => hue.shades);
  return {
    colors: sorted(shades.flatMap((shade) => [shade.name, ...(shade.aliases ?? [])])),
    color_modes: sorted(fieldColorModeRegistry.list().map((mode) => mode.id)),
    matchers: sorted(fieldMatchers.list().map((matcher) => matcher.id)),
    panels: sorted([...Object.keys(PANELS), 'row']),
    reducers: sorted(fieldReducers.list().map((reducer) => reducer.id)),
    transformations: sorted(Object.values(standardTransformers).map((transformer) => transformer.id)),
    units: sorted(getValueFormats().flatMap((group) => group.submenu.map((unit) => String(unit.value)))),
    value_matchers: sorted(valueMatchers.list().map((matcher) => matcher.id)),
  };
}

function sorted(words: string[]): string[] {
  return [...new Set(words)].sort();
}
