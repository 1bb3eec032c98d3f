// The list of classes: select, add, rename, recolour, delete.

import { ask, button, element } from "./elements.js";

export function makeClasses(app) {
  const group = element("fieldset", { className: "classes" }, element("legend", { textContent: "class" }));
  const rows = element("div");
  const name = element("input", { type: "text", size: 10, placeholder: "new class", maxLength: 60 });
  name.setAttribute("aria-label", "new class");
  name.onkeydown = (event) => event.key === "Enter" && add();
  const box = element("section", {}, element("h3", { textContent: "Classes" }), group, element("div", { className: "row add" }, name, button("Add class", () => add())));
  group.append(rows);
  let shown = "", count = 0, added = "", selected = ""; // names, but for the count

  function add() {
    added = name.value.trim().replace(/\s+/g, " ");
    app.link.post({ do: "class", name: name.value });
    name.value = "";
  }
  function select(number) {
    if (number >= app.state.classes.length) return;
    app.tools.class = number;
    selected = app.state.classes[number].name;
    if (app.tools.tool === "eraser") app.tools.choose("brush");
    mark();
  }
  function mark() {
    rows.querySelectorAll("input[type=radio]").forEach((input, k) => (input.checked = k === app.tools.class));
    app.pen.draw();
  }
  function rename(row, old) {
    const field = element("input", { type: "text", value: old, maxLength: 60 });
    field.setAttribute("aria-label", `new name of ${old}`);
    let open = true;
    const close = (keep) => {
      if (!open) return;
      open = false;
      shown = "";
      if (keep && field.value.trim() && field.value.trim() !== old) app.link.post({ do: "rename", name: old, to: field.value });
      else show();
    };
    field.onkeydown = (event) => { if (event.key === "Enter") close(true); if (event.key === "Escape") close(false); };
    field.onblur = () => close(true);
    row.querySelector("label").replaceWith(field);
    field.focus();
    field.select();
  }
  async function remove(old) {
    const question = `Delete the class "${old}" and its strokes on this photo?` + (app.state.folder ? " In a folder this cannot be undone." : "");
    if ((await ask(app.root, question, ["Delete", "Cancel"])) === "Delete") app.link.post({ do: "remove", name: old });
  }
  function line({ name: called, color }, k) {
    const radio = element("input", { type: "radio", name: `${app.id}-class`, value: k, onchange: () => select(k) });
    const picker = element("input", { type: "color", value: color, title: `colour of ${called}` });
    picker.setAttribute("aria-label", `colour of ${called}`);
    picker.onchange = () => app.link.post({ do: "recolor", name: called, color: picker.value });
    const tool = (text, what, act) => {
      const made = button(text, act, `${what} ${called}`);
      made.setAttribute("aria-label", `${what} ${called}`);
      made.className = "small";
      return made;
    };
    const key = element("kbd", { textContent: k < 9 ? k + 1 : "" });
    key.setAttribute("aria-hidden", "true");
    const row = element("div", { className: "class" }, picker, element("label", {}, radio, element("span", { textContent: called }), key));
    row.append(tool("✎", "rename", () => rename(row, called)), tool("×", "delete", () => remove(called)));
    return row;
  }
  function show() {
    const { classes } = app.state, key = JSON.stringify(classes);
    const fresh = classes.findIndex((one) => one.name === added);
    const same = classes.findIndex((one) => one.name === selected);
    if (same >= 0) app.tools.class = same; // its number may have changed
    if (added && fresh >= 0 && classes.length > count) { app.tools.class = fresh; added = ""; } // a new class is selected
    count = classes.length;
    app.tools.class = Math.min(app.tools.class, classes.length - 1);
    selected = classes[app.tools.class].name;
    if (key !== shown) rows.replaceChildren(...classes.map(line));
    shown = key;
    mark();
  }
  return { box, show, select };
}
