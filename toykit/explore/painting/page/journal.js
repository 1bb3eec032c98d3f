// What was painted, kept in the browser: a photo's marks as Python last described them, and the edits since. So a kernel that
// dies, or a page that is closed, loses no stroke.

const STORE = "toykit-painter/";
const MOST_PHOTOS = 40;

export function makeJournal(app) {
  let key = "", document = "", steps = [], used = false;

  // Begin with a photo; returns an earlier painting of it that differs from the document, or null.
  function open(photo, current) {
    if (used && app.state.folder && key !== STORE + photo) discard(); // saved before the next photo was opened
    key = STORE + photo; document = current; steps = []; used = false;
    const earlier = read(key);
    return earlier && (earlier.document !== current || earlier.steps.length) ? earlier : null;
  }
  function add(step) {
    const { file, ...plain } = step;
    steps.push(plain);
    if (!used) write(`${key}/document`, JSON.stringify({ when: Date.now(), document }));
    used = true;
    write(`${key}/steps`, JSON.stringify(steps));
  }
  // Python has described the painting after all edits but those that it has not answered.
  function confirm(photo, current) {
    if (STORE + photo !== key) return;
    document = current; steps = app.link.unanswered();
    if (!used) return;
    if (app.state.folder && !app.state.unsaved && !steps.length) { discard(); used = false; return; } // it is in its file
    write(`${key}/document`, JSON.stringify({ when: Date.now(), document }));
    write(`${key}/steps`, JSON.stringify(steps));
  }
  function discard() {
    localStorage.removeItem(`${key}/document`);
    localStorage.removeItem(`${key}/steps`);
  }
  function read(name) {
    try {
      const stored = JSON.parse(localStorage.getItem(`${name}/document`));
      return stored && { ...stored, steps: JSON.parse(localStorage.getItem(`${name}/steps`) || "[]") };
    } catch { return null; }
  }
  function write(name, text) {
    try { forgetOldest(MOST_PHOTOS); localStorage.setItem(name, text); } catch {
      try { forgetOldest(1); localStorage.setItem(name, text); } catch { app.say("This browser cannot keep the strokes; save them.", true); }
    }
  }
  // Keep the paintings of the latest photos, and that of this one.
  function forgetOldest(most) {
    const ends = "/document";
    const names = Object.keys(localStorage).filter((name) => name.startsWith(STORE) && name.endsWith(ends));
    if (names.length <= most) return;
    const when = (name) => { try { return JSON.parse(localStorage.getItem(name)).when; } catch { return 0; } };
    const old = names.map((name) => [when(name), name.slice(0, -ends.length)]).sort((a, b) => b[0] - a[0]).slice(most);
    for (const [, name] of old) {
      if (name === key) continue;
      localStorage.removeItem(`${name}/document`);
      localStorage.removeItem(`${name}/steps`);
    }
  }
  return { open, add, confirm, discard };
}
