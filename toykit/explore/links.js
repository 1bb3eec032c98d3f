// An explorer's state as text in a link. A page that keeps links, such as the dashboard, listens for "toykit-state", and
// sends "toykit-restore" with what a link contains. Links may be damaged: what does not fit is left out.

/** Kinds of values: functions of a text that return the value, or undefined where the text does not fit. */
export const number = (low, high) => (text) => (text.trim() && text >= low && text <= high ? Number(text) : undefined);
export const oneOf = (names) => (text) => (names.includes(text) ? text : undefined);
export const distribution = (text) => {
  const shares = text.split(",").map(number(0, 1)), all = shares.reduce((sum, share) => sum + share, 0);
  return shares.length === 3 && Math.abs(all - 1) < 0.01 ? shares.map((share) => share / all) : undefined;
};

const written = (value) => [value].flat().map((part) => (typeof part === "number" ? Number(part.toFixed(4)) : part)).join(",");

/** Let links set a state: `write` gets the values that fit. Return a function that announces what `read` returns. */
export function shareable(root, kinds, read, write) {
  root.addEventListener("toykit-restore", ({ detail }) => {
    const values = Object.entries(kinds).map(([name, kind]) => [name, kind(detail[name] ?? "")]);
    write(Object.fromEntries(values.filter(([, value]) => value !== undefined)));
  });
  return function announce(tries = 300) {
    if (!root.isConnected && tries) return requestAnimationFrame(() => announce(tries - 1)); // a widget starts outside the page
    const state = read(), detail = Object.fromEntries(Object.keys(kinds).map((name) => [name, written(state[name])]));
    root.dispatchEvent(new CustomEvent("toykit-state", { bubbles: true, detail }));
  };
}
