/** Spans of time as people say them: "7 days". In a form a number and its unit, elsewhere whole seconds. */
import type { FormValues } from './registrations/index.ts';
import type { Field } from './view.ts';

const UNITS = { days: 86_400, hours: 3_600, minutes: 60, seconds: 1 } as const;
type Unit = keyof typeof UNITS;

/** @param seconds whole, in the largest unit that says it exactly */
export function inWords(seconds: number): string {
  const [number, unit] = split(seconds);
  return `${number.toLocaleString('en')} ${number === 1 ? unit.slice(0, -1) : unit}`;
}

/** The number is the field of that name; its unit goes with it. */
export function durationFields(field: { name: string; label: string; hint: string }): Field[] {
  return [
    { ...field, type: 'number', min: '1', required: true },
    {
      type: 'select',
      name: unitOf(field.name),
      label: `${field.label}, in`,
      options: Object.keys(UNITS).map((unit) => ({ value: unit, text: unit })),
    },
  ];
}

/** What such fields show. */
export function durationValues(name: string, seconds: number): [string, string][] {
  const [number, unit] = split(seconds);
  return [
    [name, String(number)],
    [unitOf(name), unit],
  ];
}

/** Whole seconds; NaN, which is no span of time anywhere, for what is no whole number of a unit. */
export function durationIn(form: FormValues, name: string): number {
  const [number, unit] = [form.get(name)?.trim() ?? '', form.get(unitOf(name)) ?? ''];
  return /^\d{1,9}$/.test(number) && Object.hasOwn(UNITS, unit) ? Number(number) * UNITS[unit as Unit] : Number.NaN;
}

function unitOf(name: string): string {
  return `${name}_unit`;
}

function split(seconds: number): [number, Unit] {
  const unit = (Object.keys(UNITS) as Unit[]).find((one) => seconds % UNITS[one] === 0) ?? 'seconds';
  return [seconds / UNITS[unit], unit];
}
