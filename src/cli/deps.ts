/** What a command is given. */
import type { Output } from './output.ts';
import type { Session } from './session.ts';

export interface Deps {
  output: Output;
  /** Opens the database for `work` and closes it again, whatever happens. */
  withSession<T>(work: (session: Session) => Promise<T>): Promise<T>;
}
