/** The passwords everybody tries first, of those long enough to be allowed at all. Lower case; compared so. */
export const COMMON_PASSWORDS: ReadonlySet<string> = new Set(
  `00000000 000000000 0000000000 0123456789 01234567 09876543 11111111 111111111 1111111111 11223344 1122334455
  112233445566 12121212 12341234 12344321 123123123 123321123 12345678 123456789 1234567890 12345678910 123456789a
  123456789q 1234567a 1234567q 123456abc 1234qwer 12qwaszx 147258369 147852369 159753456 19841984 19871987 1a2b3c4d
  1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc 1qazxsw2 20202020 21212121 22222222 33333333 44444444
  55555555 66666666 741852963 77777777 87654321 88888888 963852741 987654321 9876543210 99999999 a1b2c3d4 a1234567
  a12345678 aa123456 aaaaaaaa abc12345 abc123456 abcd1234 abcdefgh access14 admin123 admin1234 administrator alexander
  alexandra andromeda asdf1234 asdfasdf asdfghjk asdfghjkl babygirl baseball basketball blink182 butterfly cameron1
  changeme changeme1 charlie1 chocolate computer corvette danielle dragon123 einstein elephant engineer facebook
  football football1 garfield iloveyou iloveyou1 internet iwantyou jennifer jordan23 letmein1 letmein123 liverpool
  login123 marlboro maverick mercedes metallica michael1 michelle midnight monkey123 mustang1 mypassword nicholas
  p@ssw0rd p@ssword pa$$w0rd pass1234 passw0rd password password! password01 password1 password1! password12
  password123 password1234 passwort pokemon1 princess princess1 q1w2e3r4 q1w2e3r4t5 qazwsx123 qazwsxedc qwer1234
  qwerty12 qwerty123 qwerty1234 qwertyui qwertyuiop rootroot samantha secret123 spiderman starwars steelers sunshine
  sunshine1 superman superman1 superuser temp1234 test1234 testtest trustno1 undertaker victoria welcome1 welcome123
  whatever william1 zaq12wsx zaq1zaq1 zxcvbnm1 zxcvbnm123`.split(/\s+/),
);
