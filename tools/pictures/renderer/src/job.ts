/** One picture: a board, the Prometheus that has its series, and how to draw it. */
export interface Job {
  board: Board;
  prometheus: string;
  /** Both in milliseconds. */
  from: number;
  to: number;
  scrapeSeconds: number;
  theme: 'dark' | 'light';
  /** Chosen values of the board's variables; others keep their default. */
  variables: Record<string, string[]>;
}

export interface Board {
  uid: string;
  title: string;
  timezone?: string;
  refresh?: string;
  panels: Panel[];
  links?: Array<{ title: string; asDropdown?: boolean }>;
  templating: { list: Variable[] };
  annotations: { list: Annotation[] };
}

export interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: Target[];
  fieldConfig?: { defaults: Record<string, any>; overrides: any[] };
  options?: Record<string, any>;
  transformations?: Array<{ id: string; options: any }>;
  links?: Array<{ title: string; url: string }>;
  transparent?: boolean;
  timeFrom?: string;
  interval?: string;
  maxDataPoints?: number;
  repeat?: string;
  collapsed?: boolean;
  panels?: Panel[];
}

export interface Target {
  refId: string;
  expr: string;
  legendFormat?: string;
  format?: string;
  instant?: boolean;
  range?: boolean;
  interval?: string;
  hide?: boolean;
}

export interface Variable {
  name: string;
  label?: string;
  type: string;
  query?: string | { query: string };
  regex?: string;
  current?: { text?: string | string[]; value?: string | string[] };
  options?: Array<{ value: string }>;
  multi?: boolean;
  includeAll?: boolean;
  allValue?: string;
  hide?: number;
  sort?: number;
}

export interface Annotation {
  name: string;
  expr?: string;
  enable: boolean;
  hide?: boolean;
  iconColor: string;
  step?: string;
  useValueForTime?: boolean;
}

/** What became of one panel; the pictures fail if it has an error, or no frames without a reason. */
export interface Outcome {
  title: string;
  type: string;
  frames: number;
  rows: number;
  error?: string;
}
