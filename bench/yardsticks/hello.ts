/** Yardstick "hello": an empty Koa app, the least a request through Koa can cost. */
import Koa from 'koa';
import { readSettings } from './provider.ts';

const app = new Koa();
app.use((ctx) => {
  ctx.body = { hello: 'world' };
});
app.listen(readSettings().port, '127.0.0.1', () => console.log('ready'));
