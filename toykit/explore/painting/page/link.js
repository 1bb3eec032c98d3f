// Requests to Python. One list of requests is under way at a time; further ones wait for the next list, so that solves never
// queue up. A large file goes in pieces, because the server drops the connection at messages of more than 10 MB.

const SETTLE_AFTER = 250; // ms without input after which the full solution is requested
const SILENT_AFTER = 20000; // ms without an answer after which the page says so
const PIECE = 4e6; // bytes
// Requests that change the painting: those that are repeated when the kernel has died.
const EDITS = new Set(["stroke", "polygon", "fill", "undo", "redo", "clear", "class", "rename", "recolor", "remove", "restore"]);

export function makeLink(app) {
  let busy = false, unsettled = false, waiting = [], sent = [], timer = 0, silence = 0;
  const link = { post, answered, settleSoon, stop, unanswered };

  function post(request, content) {
    // What is drawn now would land on the photo that comes.
    if ((EDITS.has(request.do) || request.do === "load") && changesPhoto()) return app.say("The next photo is being opened; paint when it is here.", true);
    for (let start = 0; content && start + PIECE < content.byteLength; start += PIECE) {
      waiting.push({ request: { do: "piece", first: start === 0 }, content: content.slice(start, start + PIECE) });
    }
    const rest = content && content.byteLength > PIECE ? content.slice(PIECE * (Math.ceil(content.byteLength / PIECE) - 1)) : content;
    const last = waiting[waiting.length - 1];
    if (last && request.do === "set" && last.request.do === "set" && last.request.name === request.name) waiting.pop();
    waiting.push({ request, content: rest });
    if (EDITS.has(request.do)) app.journal.add(request);
    send();
    app.mind();
    return undefined;
  }
  function changesPhoto() { return [...sent, ...waiting].some((item) => ["go", "photo", "upload"].includes(item.request.do)); }
  function send() {
    if (busy || !waiting.length) return;
    const first = waiting.findIndex((item) => item.content);
    const count = first === 0 ? 1 : first < 0 ? waiting.length : first; // a file goes by itself
    sent = waiting.splice(0, count);
    const files = sent.filter((item) => item.content).map((item) => item.content);
    if (files.length) sent[0].request.file = 0;
    busy = true;
    app.root.dataset.busy = "true";
    clearTimeout(timer);
    silence = setTimeout(app.silent, SILENT_AFTER);
    try { app.model.send({ actions: sent.map((item) => item.request) }, undefined, files); } catch { app.silent(); }
  }
  // "settled": whether the pictures are those of the full solution; undefined for an answer without pictures.
  function answered(settled) {
    if (settled !== undefined) unsettled = !settled;
    busy = false;
    sent = [];
    clearTimeout(silence);
    app.root.dataset.busy = "false";
    if (waiting.length) send();
    else if (unsettled) settleSoon();
  }
  function settleSoon() {
    clearTimeout(timer);
    timer = setTimeout(() => (app.tools.drawing() ? settleSoon() : post({ do: "settle" })), SETTLE_AFTER);
  }
  // Edits that Python has not answered yet.
  function unanswered() {
    return [...sent, ...waiting].map((item) => item.request).filter((request) => EDITS.has(request.do));
  }
  function stop() { clearTimeout(timer); clearTimeout(silence); }
  return link;
}
