// A folder's photos: small pictures, previous and next, and how many are painted.

import { able, button, element } from "./elements.js";

export function makeFilmstrip(app) {
  const previous = button("◀ Previous", () => step(-1), "previous photo (Shift+N)"), next = button("Next ▶", () => step(1), "next photo (N)");
  const progress = element("span", { className: "count" }), meter = element("progress");
  const strip = element("div", { className: "strip" });
  const box = element("div", { className: "film", hidden: true }, element("div", { className: "row" }, previous, next, meter, progress), strip);
  let items = [], shown = -1;
  const wanted = new Set(); // numbers of the small pictures to request
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      watch.unobserve(target);
      wanted.add(Number(target.dataset.number));
    }
    request();
  }, { root: strip, rootMargin: "0px 200px" });

  // A few at a time and only in a pause, so that strokes do not wait.
  function request() {
    if (!wanted.size || app.root.dataset.busy === "true") return;
    const numbers = [...wanted].slice(0, 4);
    for (const number of numbers) wanted.delete(number);
    app.link.post({ do: "thumbnails", numbers });
  }
  function go(number) {
    if (number === app.state.folder.number || number < 0 || number >= items.length) return;
    app.link.post({ do: "go", number });
  }
  function step(by) { if (app.state.folder) go(app.state.folder.number + by); }
  function thumbnail(number, file) {
    const picture = items[number]?.querySelector("img");
    if (picture) picture.src = URL.createObjectURL(new Blob([file], { type: "image/jpeg" }));
  }
  function show() {
    const { folder } = app.state;
    box.hidden = !folder;
    if (!folder) return;
    if (items.length !== folder.photos.length) {
      items = folder.photos.map(({ name }, number) => {
        const item = element("button", { type: "button", title: name, onclick: () => go(number) },
          element("img", { alt: "", draggable: false }), element("span", { textContent: name }));
        item.dataset.number = number;
        watch.observe(item);
        return item;
      });
      strip.replaceChildren(...items);
    }
    folder.photos.forEach(({ name, done }, number) => {
      items[number].classList.toggle("done", done);
      items[number].setAttribute("aria-label", `${name}${done ? ", painted" : ""}`);
      items[number].setAttribute("aria-current", number === folder.number ? "true" : "false");
    });
    const done = folder.photos.filter((one) => one.done).length;
    [meter.max, meter.value] = [folder.photos.length, done];
    progress.textContent = `${done} of ${folder.photos.length} painted; photo ${folder.number + 1}: ${folder.photos[folder.number].name}. Saved as ${folder.file}`;
    able(previous, folder.number > 0 ? "" : "this is the first photo");
    able(next, folder.number < folder.photos.length - 1 ? "" : "this is the last photo");
    if (shown !== folder.number) strip.scrollLeft = items[folder.number].offsetLeft - strip.clientWidth / 2 + 50;
    shown = folder.number;
  }
  return { box, show, step, thumbnail, request };
}
