// The page's address contains the open tab, the page's look and the state of the tab's explorer: a link reopens them.

const REST = 250; // ms without a change after which the address changes; browsers limit how often it may

/** Keep links. `show(tab, look)` opens what a link names. Return functions that report another tab or look. */
export function makeLink(names, show) {
  const states = new Map(), roots = new Map();
  let tab = names[0], look = {}, wanted = null, due = 0;

  function write() {
    clearTimeout(due);
    due = setTimeout(() => {
      if (wanted) return; // its explorer is not there yet
      const text = new URLSearchParams({ tab, ...look, ...states.get(tab) }).toString().replaceAll("%2C", ",");
      history.replaceState(history.state, "", `#${text}`);
    }, REST);
  }
  function read() {
    const { tab: name, type, scheme, ...state } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    if (!names.includes(name)) return; // not one of ours
    look = { ...(type === "large" && { type }), ...(["dark", "light"].includes(scheme) && { scheme }) };
    tab = name;
    wanted = Object.keys(state).length ? { tab, state } : null;
    show(tab, look);
    if (wanted && roots.get(tab)?.isConnected) restore(roots.get(tab));
  }
  function restore(root) {
    const { state } = wanted;
    wanted = null;
    root.dispatchEvent(new CustomEvent("toykit-restore", { detail: state }));
  }
  function heard({ target, detail }) {
    const name = target.dataset.kind;
    roots.set(name, target);
    states.set(name, detail);
    if (wanted?.tab === name) restore(target);
    else if (name === tab) write();
  }
  document.addEventListener("toykit-state", heard);
  window.addEventListener("hashchange", read);
  read();
  return {
    opened(name) {
      if (name === tab) return;
      [tab, wanted] = [name, null];
      write();
    },
    looks(values) { look = values; write(); },
    stop() {
      clearTimeout(due);
      document.removeEventListener("toykit-state", heard);
      window.removeEventListener("hashchange", read);
    },
  };
}
