import { renderTextPanelMarkdown } from '@grafana/data';
import type { Draw } from './drawing';

/** Markdown or HTML of the board itself, without data. */
export const Words: Draw = ({ panel, fill }) => {
  const content = fill(panel.options?.content ?? '');
  const html = panel.options?.mode === 'html' ? content : renderTextPanelMarkdown(content);
  return <div className="markdown-html" dangerouslySetInnerHTML={{ __html: html }} />;
};
