// The dashboard's bar: its title, full screen, large type, dark colours, and the picture as a file.
import { makeLink } from "./link.js";
import { file, picture } from "./picture.js";

function render({ model, el }) {
  const tabs = model.get("tabs"), names = tabs.map(({ name }) => name), body = document.body;
  const system = matchMedia("(prefers-color-scheme: dark)");
  let look = {};
  el.classList.add("toykit-bar");
  const title = el.appendChild(document.createElement("h1"));
  title.textContent = "toykit: from a few scribbles to soft labels";
  const group = el.appendChild(document.createElement("div"));
  const full = button("full screen", () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()));
  full.hidden = !document.fullscreenEnabled;
  const large = button("large type", () => change({ type: look.type ? undefined : "large" }));
  const dark = button("dark", () => change({ scheme: isDark() ? "light" : "dark" }));
  const saves = ["png", "svg"].map((kind) => button(`save picture (${kind.toUpperCase()})`, () => save(kind)));

  function button(words, press) {
    const made = group.appendChild(document.createElement("button"));
    made.textContent = words;
    made.addEventListener("click", press);
    return made;
  }
  function isDark() { return (look.scheme ?? (system.matches ? "dark" : "light")) === "dark"; }
  function change(values) {
    look = Object.fromEntries(Object.entries({ ...look, ...values }).filter(([, value]) => value));
    wear();
    link.looks(look);
  }
  function wear() {
    body.classList.toggle("toykit-large", look.type === "large");
    body.dataset.jpThemeLight = !isDark();
    large.setAttribute("aria-pressed", look.type === "large");
    dark.setAttribute("aria-pressed", isDark());
    window.dispatchEvent(new Event("resize")); // the painter measures its room anew
  }
  function showFull() { full.setAttribute("aria-pressed", Boolean(document.fullscreenElement)); }
  async function save(kind) {
    const root = [...document.querySelectorAll(".toykit-live, .toykit-explorer")].find((one) => one.checkVisibility());
    const made = root && picture(root);
    if (!made) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await file(made, kind));
    link.download = `toykit_${names[model.get("selected")]}.${kind}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
  function show() {
    const { name, title, saves: may } = tabs[model.get("selected")];
    document.title = `${title} - toykit`;
    for (const one of saves) one.hidden = !may;
    link.opened(name);
  }
  const link = makeLink(names, (name, asked) => {
    look = asked;
    wear();
    model.set("selected", names.indexOf(name));
    model.save_changes();
  });
  model.on("change:selected", show);
  system.addEventListener("change", wear);
  document.addEventListener("fullscreenchange", showFull);
  showFull();
  wear();
  show();
  return () => {
    link.stop();
    model.off("change:selected", show);
    system.removeEventListener("change", wear);
    document.removeEventListener("fullscreenchange", showFull);
  };
}

export default { render };
