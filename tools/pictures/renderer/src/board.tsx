/** A board on Grafana's grid: 24 columns, lines of 30 pixels, gaps of 8. */
import { type GrafanaTheme2, dateTime, rangeUtil } from '@grafana/data';
import { Icon, PanelChrome, useTheme2 } from '@grafana/ui';
import { Component, type ErrorInfo, type ReactNode } from 'react';
import { Header } from './header';
import type { Job, Panel } from './job';
import { PANELS, SHOW_NO_DATA } from './panels';
import type { Answer, Loaded } from './load';

const GAP = 8;
const LINE = 30;
const MARGIN = 16;

interface BoardProps {
  job: Job;
  loaded: Loaded;
  width: number;
  onError: (panel: Panel, error: Error) => void;
}

export function Board({ job, loaded, width, onError }: BoardProps) {
  const theme = useTheme2();
  const bottom = Math.max(...job.board.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  return (
    <div id="board" style={{ width, padding: MARGIN, boxSizing: 'border-box', background: theme.colors.background.canvas }}>
      <Header job={job} loaded={loaded} />
      <div style={{ position: 'relative', height: bottom * (LINE + GAP) - GAP }}>
        {job.board.panels.map((panel) => (
          <div key={panel.id} style={{ position: 'absolute', ...placeOf(panel, width - 2 * MARGIN) }}>
            <Caught onError={(error) => onError(panel, error)}>
              {panel.type === 'row' ? (
                <Row title={loaded.fill(panel.title)} theme={theme} />
              ) : (
                <Framed job={job} loaded={loaded} panel={panel} place={placeOf(panel, width - 2 * MARGIN)} />
              )}
            </Caught>
          </div>
        ))}
      </div>
    </div>
  );
}

function placeOf({ gridPos: { x, y, w, h } }: Panel, width: number) {
  const column = (width + GAP) / 24;
  return { left: x * column, top: y * (LINE + GAP), width: w * column - GAP, height: h * (LINE + GAP) - GAP };
}

function Row({ title, theme }: { title: string; theme: GrafanaTheme2 }) {
  return (
    <div style={{ ...theme.typography.h5, display: 'flex', alignItems: 'center', gap: 6, height: LINE }}>
      <Icon name="angle-down" size="lg" />
      {title}
    </div>
  );
}

interface FramedProps extends Pick<BoardProps, 'job' | 'loaded'> {
  panel: Panel;
  place: { width: number; height: number };
}

function Framed({ job, loaded, panel, place }: FramedProps) {
  const answer = loaded.answers.get(panel.id)!;
  return (
    <PanelChrome
      title={loaded.fill(panel.title)}
      description={panel.description && loaded.fill(panel.description)}
      displayMode={panel.transparent ? 'transparent' : 'default'}
      padding={panel.type === 'table' ? 'none' : 'md'}
      titleItems={<TitleItems panel={panel} />}
      statusMessage={answer.error}
      width={place.width}
      height={place.height}
    >
      {(width, height) => <Content job={job} loaded={loaded} panel={panel} answer={answer} width={width} height={height} />}
    </PanelChrome>
  );
}

function TitleItems({ panel }: { panel: Panel }) {
  const theme = useTheme2();
  return (
    <span style={{ display: 'flex', gap: 6, alignItems: 'center', color: theme.colors.text.secondary }}>
      {panel.links?.length ? <Icon name="external-link-alt" size="sm" /> : null}
      {panel.timeFrom ? (
        <span style={{ ...theme.typography.bodySmall, color: theme.colors.text.link }}>
          <Icon name="clock-nine" size="sm" /> {rangeUtil.describeTimeRange({ from: `now-${panel.timeFrom}`, to: 'now' })}
        </span>
      ) : null}
    </span>
  );
}

interface ContentProps extends Omit<FramedProps, 'place'> {
  answer: Answer;
  width: number;
  height: number;
}

function Content({ job, loaded, panel, answer, width, height }: ContentProps) {
  const theme = useTheme2();
  const Draw = PANELS[panel.type];
  if (!Draw) {
    throw new Error(`no renderer for panels of type ${panel.type}`);
  }
  if (answer.frames.length === 0 && !SHOW_NO_DATA.includes(panel.type)) {
    return <NoData text={panel.fieldConfig?.defaults.noValue ?? 'No data'} />;
  }
  const range = { from: dateTime(answer.from), to: dateTime(job.to), raw: { from: 'now-1h', to: 'now' } };
  return (
    <Draw
      panel={panel}
      frames={answer.frames}
      marks={loaded.marks}
      fill={loaded.fill}
      theme={theme}
      range={range}
      zone={job.board.timezone || 'utc'}
      width={width}
      height={height}
    />
  );
}

function NoData({ text }: { text: string }) {
  const { colors } = useTheme2();
  return (
    <div style={{ display: 'grid', placeItems: 'center', height: '100%', color: colors.text.secondary }}>{text}</div>
  );
}

class Caught extends Component<{ onError: (error: Error) => void; children: ReactNode }, { failed: boolean }> {
  state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  componentDidCatch(error: Error, _: ErrorInfo) {
    this.props.onError(error);
  }

  render() {
    return this.state.failed ? 'An unexpected error happened' : this.props.children;
  }
}
