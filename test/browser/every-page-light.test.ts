import { describeInBrowser } from './chromium.ts';
import { testEveryPage } from './every-page.ts';

describeInBrowser('every page, light and wide', () => testEveryPage({ scheme: 'light', width: 1280 }));
