/**
 * Stacked bars by day, drawn on the server: numbers become shapes here, and `views/partials/plot.eta` writes them down. Who
 * cannot see it has the same numbers as a table, and no kind is told from another by its colour alone.
 */

export interface PlotInput {
  title: string;
  /** As the table is to be called. */
  unit: string;
  /** `2030-01-31`, in UTC, the earliest first. */
  days: readonly string[];
  /** One value for each day. */
  series: readonly { name: string; values: readonly number[] }[];
}

export interface Plot {
  title: string;
  /** All of it in a sentence. */
  summary: string;
  /** Named in each day's tooltip and in the table. */
  unit: string;
  width: number;
  height: number;
  left: number;
  right: number;
  bottom: number;
  /** `pattern` is the place of the series, from 1, which its pattern and colour are called after. */
  bars: readonly {
    tip: string;
    x: number;
    width: number;
    parts: readonly { y: number; height: number; pattern: number }[];
  }[];
  ticks: readonly { y: number; label: string }[];
  labels: readonly { x: number; label: string }[];
  legend: readonly { name: string; total: string; pattern: number }[];
  /** The newest first. */
  rows: readonly { day: string; values: readonly string[]; total: string }[];
  isEmpty: boolean;
}

const WIDTH = 720;
const HEIGHT = 240;
const LEFT = 52;
const RIGHT = 20;
const TOP = 12;
const BOTTOM = 28;
/** Days from one label to the next. */
const LABEL_EVERY = 7;
const MOST_TICKS = 4;
/** Of the room a day has, how much its bar fills. */
const FILL = 0.72;

export function plot({ title, unit, days, series }: PlotInput): Plot {
  const totals = days.map((_, place) => series.reduce((sum, { values }) => sum + (values[place] ?? 0), 0));
  const { top, step } = scaleFor(Math.max(0, ...totals));
  const floor = HEIGHT - BOTTOM;
  const heightOf = (value: number) => (value / top) * (floor - TOP);
  const room = (WIDTH - LEFT - RIGHT) / Math.max(1, days.length);
  const all = totals.reduce((sum, one) => sum + one, 0);
  return {
    title,
    summary: summarize({ unit, days, totals, all }),
    unit,
    width: WIDTH,
    height: HEIGHT,
    left: LEFT,
    right: WIDTH - RIGHT,
    bottom: floor,
    bars: days.flatMap((day, place) => {
      if (totals[place] === 0) return [];
      let y = floor;
      const parts = series.flatMap(({ values }, index) => {
        const height = heightOf(values[place] ?? 0);
        y -= height;
        return height > 0 ? [{ y: round(y), height: round(height), pattern: index + 1 }] : [];
      });
      const tip = `${nameOf(day)}: ${exact(totals[place]!)} ${unit}`;
      return [{ tip, x: round(LEFT + room * (place + (1 - FILL) / 2)), width: round(room * FILL), parts }];
    }),
    ticks: Array.from({ length: Math.round(top / step) + 1 }, (_, place) => ({
      y: round(floor - heightOf(place * step)),
      label: short(place * step),
    })),
    // Counted from the last day, which is today.
    labels: days
      .map((day, place) => ({ x: round(LEFT + room * (place + 0.5)), label: nameOf(day) }))
      .filter((_, place) => (days.length - 1 - place) % LABEL_EVERY === 0),
    legend: series.map(({ name, values }, index) => ({
      name,
      total: exact(values.reduce((sum, one) => sum + one, 0)),
      pattern: index + 1,
    })),
    rows: days
      .map((day, place) => ({
        day,
        values: series.map(({ values }) => exact(values[place] ?? 0)),
        total: exact(totals[place]!),
      }))
      .reverse(),
    isEmpty: all === 0,
  };
}

/** A round number that is not below the highest value, and what it is divided into. */
function scaleFor(highest: number): { top: number; step: number } {
  if (highest <= MOST_TICKS) return { top: MOST_TICKS, step: 1 };
  const rough = highest / MOST_TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step =
    [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough && Number.isInteger(one)) ?? power * 10;
  return { top: Math.ceil(highest / step) * step, step };
}

function summarize({
  unit,
  days,
  totals,
  all,
}: {
  unit: string;
  days: readonly string[];
  totals: readonly number[];
  all: number;
}): string {
  if (all === 0) return `No ${unit} in these ${days.length} days.`;
  const most = totals.indexOf(Math.max(...totals));
  return `${exact(all)} ${unit} in ${days.length} days, most of them on ${nameOf(days[most]!)}: ${exact(totals[most]!)}.`;
}

const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
const EXACT = new Intl.NumberFormat('en-US');
const SHORT = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });

function nameOf(day: string): string {
  return DAY.format(new Date(`${day}T00:00:00Z`));
}

function exact(value: number): string {
  return EXACT.format(value);
}

function short(value: number): string {
  return SHORT.format(value);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
