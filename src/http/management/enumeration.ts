/** Enumerations as protobuf JSON has them: the name is sent, the name and its integer are accepted. */
import { z } from 'zod';
import { AppError } from '../../errors.ts';

/** Names and their integers; the integers are what the domain knows. */
export type Numbers = Readonly<Record<string, number>>;

export interface Enumeration<Names extends Numbers> {
  /** Accepts a name or an integer, gives the integer. */
  input: z.ZodType<Names[keyof Names], keyof Names | Names[keyof Names]>;
  /** Names only. */
  output: z.ZodType<keyof Names & string, keyof Names & string>;
  nameOf(value: number): keyof Names & string;
  /** The integer a text means, a name or an integer; undefined for any other text. */
  parse(text: string): number | undefined;
}

export function enumeration<const Names extends Numbers>(names: Names): Enumeration<Names> {
  const words = Object.keys(names) as [keyof Names & string, ...(keyof Names & string)[]];
  const complaint = `must be ${words.join(', ')} or its number`;
  const wordOf = new Map(Object.entries(names).map(([word, value]) => [value, word]));
  return {
    input: z
      .union([z.enum(words), z.union([...wordOf.keys()].map((value) => z.literal(value)))], { error: complaint })
      .transform((given) => (typeof given === 'number' ? given : names[given]!)) as never,
    output: z.enum(words) as never,
    nameOf(value) {
      const word = wordOf.get(value);
      if (word === undefined) throw new AppError('internal', `no name for ${value}`);
      return word as keyof Names & string;
    },
    parse(text) {
      if (Object.hasOwn(names, text)) return names[text];
      const value = Number(text);
      return /^\d+$/.test(text) && wordOf.has(value) ? value : undefined;
    },
  };
}
