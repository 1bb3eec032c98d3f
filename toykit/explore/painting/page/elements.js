// Elements of the page, and the question that the page asks before something is lost.

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

let labels = 0;

// A control with its label, and perhaps an element after it.
export function labelled(text, control, ...after) {
  control.id = control.id || `toykit-painter-${labels++}`;
  return element("label", { className: "field", htmlFor: control.id }, element("span", { textContent: text }), control, ...after);
}

export function slider(text, min, max, step, { change, input = () => {}, unit = "" }) {
  const control = element("input", { type: "range", min, max, step });
  const number = element("output");
  const print = () => (number.textContent = control.value + unit);
  control.oninput = () => { print(); input(Number(control.value)); };
  control.onchange = () => change(Number(control.value));
  control.show = (value) => { control.value = value; print(); };
  return { control, field: labelled(text, control, number) };
}

export function list(text, change) {
  const control = element("select", { onchange: () => change(control.value) });
  control.show = (pairs, value) => {
    const key = JSON.stringify(pairs);
    if (control.dataset.key !== key) {
      control.replaceChildren(...pairs.map(([v, t]) => element("option", { value: v, textContent: t })));
      control.dataset.key = key;
    }
    control.value = value;
  };
  return { control, field: labelled(text, control) };
}

// Radio buttons: choices are [value, text, title].
export function radios(name, choices, change) {
  const group = element("fieldset", { className: "choices" }, element("legend", { textContent: name }));
  const own = `toykit-painter-${labels++}`;
  group.show = (pairs, value) => {
    const key = JSON.stringify(pairs);
    if (group.dataset.key !== key) {
      group.replaceChildren(group.firstChild, ...pairs.map(([v, text, title = ""]) => {
        const input = element("input", { type: "radio", name: own, value: v, onchange: () => change(v) });
        return element("label", { title }, input, element("span", { textContent: text }));
      }));
      group.dataset.key = key;
    }
    for (const input of group.querySelectorAll("input")) input.checked = input.value === String(value);
  };
  if (choices.length) group.show(choices, choices[0][0]);
  return group;
}

export function button(text, click, title = "") {
  return element("button", { type: "button", textContent: text, onclick: click, title });
}

// Enable a control, or disable it with a reason.
export function able(control, why) {
  const holder = control.closest("label") || control;
  if (control.dataset.title === undefined) control.dataset.title = holder.title;
  control.disabled = Boolean(why);
  holder.title = why || control.dataset.title;
  holder.classList.toggle("idle", Boolean(why));
}

// Show a dialog; the promise holds the chosen answer, or "" if it was closed with Escape.
export function ask(root, content, answers) {
  return new Promise((resolve) => {
    const dialog = element("dialog", {}, ...(typeof content === "string" ? [element("p", { textContent: content })] : content));
    const row = element("div", { className: "row" });
    for (const answer of answers) row.append(button(answer, () => dialog.close(answer)));
    dialog.append(row);
    dialog.onclose = () => { resolve(dialog.returnValue); dialog.remove(); };
    root.append(dialog);
    dialog.showModal();
  });
}
