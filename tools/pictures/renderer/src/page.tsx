/** The page that the browser opens; its two functions are the whole interface to the program outside. */
import { ThemeContext, createTheme } from '@grafana/data';
import { GlobalStyles, PortalContainer } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { Board } from './board';
import type { Job, Outcome, Panel } from './job';
import { type Loaded, load } from './load';
import { vocabulary } from './vocabulary';

declare global {
  interface Window {
    draw: (job: Job) => Promise<Outcome[]>;
    vocabulary: typeof vocabulary;
    __grafana_public_path__: string;
  }
}

window.__grafana_public_path__ = '/public/';
document.body.style.margin = '0';
window.vocabulary = vocabulary;
window.draw = async (job) => {
  const theme = createTheme({ colors: { mode: job.theme } });
  const width = window.innerWidth;
  const loaded = await load(job, theme, width);
  const failed = new Map<number, string>();
  const root = document.createElement('div');
  document.body.replaceChildren(root);
  createRoot(root).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Board job={job} loaded={loaded} width={width} onError={(panel, error) => failed.set(panel.id, String(error))} />
      <PortalContainer />
    </ThemeContext.Provider>
  );
  await settled();
  return job.board.panels
    .filter((panel) => panel.type !== 'row')
    .map((panel) => outcomeOf(panel, loaded, failed.get(panel.id)));
};

function outcomeOf(panel: Panel, loaded: Loaded, failure?: string): Outcome {
  const { frames, error } = loaded.answers.get(panel.id)!;
  const rows = frames.reduce((total, frame) => total + frame.length, 0);
  return { title: panel.title, type: panel.type, frames: frames.length, rows, error: error ?? failure };
}

/** Wait for fonts, icons and the second drawing of plots whose legend took some of their height. */
async function settled() {
  await document.fonts.ready;
  await new Promise((resolve) => setTimeout(resolve, 1500));
}
