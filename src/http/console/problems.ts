/** What is wrong with a form, at the field it is wrong with. */
import type { AppError } from '../../errors.ts';

export interface Problems {
  /** What concerns no field of the form, or the whole of it; empty when nothing does. */
  form: string;
  /** By field: each ends the sentence that begins with the field's label. */
  fields: ReadonlyMap<string, string>;
}

export const NO_PROBLEMS: Problems = { form: '', fields: new Map() };

/** Of a list (`redirect_uris.3`) all are told at the field of the list. */
export function problemsIn(error: AppError): Problems {
  const fields = new Map<string, string>();
  for (const { field, description } of error.fields) {
    const [name = '', place] = field.split('.');
    const text = /^\d+$/.test(place ?? '') ? `${Number(place) + 1}: ${description}` : description;
    fields.set(name, fields.has(name) ? `${fields.get(name)};\n${text}` : text);
  }
  return { form: fields.size === 0 ? error.message : '', fields };
}
