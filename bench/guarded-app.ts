/** The app of W4: Koa, Latchkey's middleware as it comes, and an answer that says whom it let in. */
import Koa from 'koa';
import { authenticate } from '../src/resource/koa.ts';

const { PORT, ISSUER = '', AUDIENCE = '', CLIENT_ID = '', CLIENT_SECRET = '' } = process.env;
const app = new Koa();
app.use(
  authenticate({
    issuer: ISSUER,
    audience: AUDIENCE,
    introspection: { clientId: CLIENT_ID, clientSecret: CLIENT_SECRET },
    onError: (error) => console.error(error),
  }) as Koa.Middleware,
);
app.use((ctx) => {
  ctx.body = { hello: ctx.state.principal.subject };
});
app.listen(Number(PORT), '127.0.0.1', () => console.log('ready'));
