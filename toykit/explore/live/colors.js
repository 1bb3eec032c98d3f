// Matplotlib's colour map Cividis, in ten steps.

export const CIVIDIS = ["00224e", "123570", "3b496c", "575d6d", "707173", "8a8678", "a59c74", "c3b369", "e1cc55", "fee838"]
  .map((hex) => [0, 2, 4].map((k) => parseInt(hex.slice(k, k + 2), 16)));

/** The colour of a value in [0, 1], for a style. */
export function cividis(value) {
  const at = Math.min(Math.max(value, 0), 1) * (CIVIDIS.length - 1.001), low = CIVIDIS[Math.floor(at)], high = CIVIDIS[Math.floor(at) + 1];
  return `rgb(${low.map((from, k) => Math.round(from + (at % 1) * (high[k] - from)))})`;
}
