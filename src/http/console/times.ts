/** Moments in words: in the person's time zone, with the exact value for whoever needs it. */

export interface ShownTime {
  /** RFC 3339, for programs. */
  iso: string;
  /** To the minute. */
  shown: string;
  /** To the second, with the zone. */
  exact: string;
}

const formats = new Map<string, { shown: Intl.DateTimeFormat; exact: Intl.DateTimeFormat }>();

/** @param zone an IANA name; undefined: UTC */
export function shownTime(at: Date, zone: string | undefined): ShownTime {
  const { shown, exact } = formatsOf(zone ?? 'UTC');
  // A narrow column breaks between day and hour, and nowhere else.
  const words = shown.format(at).replaceAll(' ', '\u00a0').replace(',\u00a0', ', ');
  return { iso: at.toISOString(), shown: words, exact: exact.format(at) };
}

function formatsOf(zone: string) {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  const day = { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' } as const;
  const common = { timeZone: zone, hourCycle: 'h23' } as const;
  const made = {
    shown: new Intl.DateTimeFormat('en-GB', { ...day, ...common }),
    exact: new Intl.DateTimeFormat('en-GB', { ...day, second: '2-digit', timeZoneName: 'longOffset', ...common }),
  };
  formats.set(zone, made);
  return made;
}
