/** Tables as CSV (RFC 4180), safe to open in a spreadsheet. */

/** What spreadsheets take for a formula when a cell begins with it, also behind spaces; some read wide forms as the plain ones. */
const FORMULA = /^(?:[\t\r\n]|\s*[=+\-@|＝＋－＠])/;
const TO_BE_QUOTED = /[",\r\n]|^\s|\s$/;

/** One line with its end. A cell that would be taken for a formula is given an apostrophe, which makes it text. */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

function csvCell(value: string): string {
  const text = FORMULA.test(value) ? `'${value}` : value;
  return TO_BE_QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
