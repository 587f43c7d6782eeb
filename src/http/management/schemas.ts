/** Schemas that several nouns share. */
import { z } from 'zod';
import { parseTime } from './filter.ts';

/** A point in time: RFC 3339; sent in UTC with a fraction and `Z`. */
export const time = z
  .string()
  .refine((text) => parseTime(text) !== undefined, { error: 'must be a time such as 2030-01-31T00:00:00Z' })
  .meta({ format: 'date-time', example: '2030-01-31T00:00:00.000Z' });
