/** The lines above the panels: where one is, the time range, the variables, the annotations and the links. */
import { dateTimeFormat } from '@grafana/data';
import { Icon, InlineSwitch, LinkButton, ToolbarButton, useTheme2 } from '@grafana/ui';
import type { ReactNode } from 'react';
import type { Job } from './job';
import type { Loaded } from './load';

export function Header({ job, loaded }: { job: Job; loaded: Loaded }) {
  const { board } = job;
  return (
    <>
      <Line>
        <Crumbs title={board.title} />
        <ToolbarButton icon="clock-nine" variant="canvas" isOpen={false}>
          {`${clock(job.from, board.timezone)} to ${clock(job.to, board.timezone)} UTC`}
        </ToolbarButton>
        <ToolbarButton icon="sync" variant="canvas" isOpen={false}>
          {board.refresh}
        </ToolbarButton>
      </Line>
      <Line>
        {loaded.chosen
          .filter(({ variable }) => !variable.hide)
          .map(({ variable, values, isAll }) => (
            <Labelled key={variable.name} label={variable.label ?? variable.name}>
              {isAll ? 'All' : values.join(' + ')}
            </Labelled>
          ))}
        {board.annotations.list
          .filter((annotation) => !annotation.hide)
          .map(({ name, enable }) => (
            <InlineSwitch key={name} label={name} showLabel value={enable} onChange={() => undefined} />
          ))}
        <span style={{ flex: 1 }} />
        {board.links?.map(({ title, asDropdown }) => (
          <LinkButton key={title} size="md" variant="secondary" fill="outline" icon={asDropdown ? 'bars' : 'link'} href="#">
            {title}
          </LinkButton>
        ))}
      </Line>
    </>
  );
}

function Line({ children }: { children: ReactNode }) {
  return <div style={{ display: 'flex', alignItems: 'center', gap: 8, marginBottom: 12 }}>{children}</div>;
}

function Crumbs({ title }: { title: string }) {
  const { colors, typography } = useTheme2();
  return (
    <span style={{ ...typography.body, flex: 1, color: colors.text.secondary }}>
      Dashboards <Icon name="angle-right" /> <b style={{ color: colors.text.primary, fontWeight: 500 }}>{title}</b>
    </span>
  );
}

/** A variable as a closed selector: a picture needs no menu. */
function Labelled({ label, children }: { label: string; children: ReactNode }) {
  const { colors, shape, spacing, typography, components } = useTheme2();
  const box = {
    ...typography.bodySmall,
    display: 'flex',
    alignItems: 'center',
    gap: 6,
    height: components.height.md * 8,
    padding: spacing(0, 1),
    border: `1px solid ${components.input.borderColor}`,
  };
  return (
    <span style={{ display: 'flex' }}>
      <span
        style={{ ...box, background: colors.background.secondary, fontWeight: 500, borderRadius: `${shape.radius.default} 0 0 ${shape.radius.default}` }}
      >
        {label}
      </span>
      <span
        style={{ ...box, background: components.input.background, borderLeft: 0, borderRadius: `0 ${shape.radius.default} ${shape.radius.default} 0` }}
      >
        {children}
        <Icon name="angle-down" />
      </span>
    </span>
  );
}

function clock(time: number, timeZone?: string): string {
  return dateTimeFormat(time, { format: 'YYYY-MM-DD HH:mm', timeZone: timeZone || 'utc' });
}
