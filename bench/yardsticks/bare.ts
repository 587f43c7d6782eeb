/**
 * Yardstick "bare": oidc-provider with its in-memory adapter (which forgets all but the last 1,000 entries) and its
 * clients in the configuration: no lookup, no hashing, nothing written.
 */
import { FLOW_APP, readClients, readSettings, serve, serviceClient } from './provider.ts';

const settings = readSettings();
serve(settings, { clients: [...readClients(settings.clientsFile).map(serviceClient), FLOW_APP] });
