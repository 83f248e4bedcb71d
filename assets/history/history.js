// One entry in the browser's history for each page that was opened and each thing that was clicked.
//
// When a page opens, Streamlit takes from its address what is the default anyway; when one is left,
// it first empties its address; and when a click chooses two things at once, it writes them one
// after the other. It pushes each of these as an entry of its own, so that the first press of the
// back button would seem to do nothing. Here, an address becomes an entry if something was pressed
// or typed since the last one; else it replaces the last one.

export default function () {
  if (window.samsCoreHistory) return;
  window.samsCoreHistory = true;
  let asked = false;
  for (const event of ["pointerdown", "keydown"]) {
    addEventListener(event, () => (asked = true), { capture: true, passive: true });
  }
  addEventListener("popstate", () => (asked = false), true);
  const push = history.pushState;
  history.pushState = function (state, title, url) {
    if (!asked) return history.replaceState(state, title, url);
    asked = false;
    return push.call(history, state, title, url);
  };
  mergeFirst();
}

// What was pushed before this code came: step back on to the first entry and write it there.
function mergeFirst() {
  const [opened] = performance.getEntriesByType("navigation");
  const entries = window.navigation?.entries() ?? [];
  const before = entries[(window.navigation?.currentEntry?.index ?? 0) - 1];
  const completed = location.href;
  if (!opened || before?.url !== opened.name || completed === opened.name) return;
  if (new URL(opened.name).pathname !== location.pathname) return;
  addEventListener(
    "popstate",
    (event) => {
      event.stopImmediatePropagation(); // nobody moved: Streamlit must not run the page again
      history.replaceState({}, "", completed);
    },
    { capture: true, once: true },
  );
  history.back();
}
