import { describeInBrowser } from './chromium.ts';
import { testEveryPage } from './every-page.ts';

describeInBrowser('every page, dark and 360 px wide', () => testEveryPage({ scheme: 'dark', width: 360 }));
