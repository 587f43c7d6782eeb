import { expect, test } from '@jest/globals';
import { describeDestination } from '../../../src/http/interaction/destination.ts';

test.each([
  ['https://app.example.com/callback?x=1', 'app.example.com'],
  ['https://app.example.com:8443/', 'app.example.com:8443'],
  ['https://аpp.example.com/', 'xn--pp-6kc.example.com'],
  ['https://bank.example@evil.example/', 'evil.example'],
  ['http://127.0.0.1:51004/cb', 'a program on this device (127.0.0.1:51004)'],
  ['http://[::1]:51004/cb', 'a program on this device ([::1]:51004)'],
  ['com.example.app:/callback', 'an application on this device (com.example.app)'],
  ['', 'the app'],
])('row 29: %s leads to %s', (redirectUri, said) => {
  expect(describeDestination(redirectUri)).toBe(said);
});
