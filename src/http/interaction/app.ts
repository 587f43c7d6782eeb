/** The app that sent the person here, as the pages name it. */
import { AppError } from '../../errors.ts';
import type { PendingInteraction } from './engine.ts';

/** What these pages look at of a registered app. */
export interface AppRecord {
  clientId: string;
  name: string;
  baseUrl: string;
  allowedScopes: readonly string[];
  enabled: boolean;
}

export interface Registrations {
  findForProtocol(clientId: string): Promise<{ kind: 'app'; record: AppRecord } | { kind: 'client' } | undefined>;
}

/** @throws AppError `failed_precondition` when the app was deleted meanwhile */
export async function appOf(registrations: Registrations, pending: PendingInteraction): Promise<AppRecord> {
  const found = await registrations.findForProtocol(String(pending.params.client_id ?? ''));
  if (found?.kind === 'app' && found.record.enabled) return found.record;
  throw new AppError('failed_precondition', 'The app that sent you here is no longer registered.');
}

/** Its host, the part of an address that nobody can choose freely; ASCII, so that look-alike letters show. */
export function hostOf(address: string): string {
  return URL.canParse(address) ? new URL(address).host : '';
}
