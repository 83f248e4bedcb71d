// Presents saved views, keeps the story in the browser, and leads from view to view for a report.
//
// Streamlit restores a page exactly from its address when the browser's history says so. `go` uses
// that: it writes the address and says that history has moved.

const KEPT = 'sams_core.story';
const TYPING = 'input, textarea, select, [contenteditable=true], [role=dialog], [role=slider], ' +
  '[role=tab], [role=radio], [role=combobox], [role=listbox]';
let heldToken = null;  // of the last address that Python asked for
let state = null;  // what Python said last
let drawn = null;  // the presentation's own elements
let aim = null;  // place in the story that is asked for but not drawn yet
let visited = null;  // step of the report that is done
let waitsForStory = false;  // the browser keeps one that Python has not taken up yet
let running = null;

const html = document.documentElement;
const parameter = name => new URLSearchParams(location.search).get(name);
const script = () => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState;

function go(path, isEntry = false) {
  const [page, query = ''] = path.split('?');
  const base = location.pathname.slice(0, location.pathname.length - state.here.length);
  const address = base + page + (query ? `?${query}` : '');
  // A step on the stage is an entry for the back button, whatever history.js makes of a push.
  if (isEntry) History.prototype.pushState.call(history, {}, '', address);
  else history.pushState({}, '', address);
  window.dispatchEvent(new PopStateEvent('popstate', { state: {} }));
}

function place() {
  const number = Number.parseInt(parameter('present') ?? '', 10);
  if (Number.isNaN(number)) return null;
  return Math.min(Math.max(number, 1), Math.max(state.views.length, 1)) - 1;
}

function show(at) {
  if (at < 0 || at >= state.views.length || at === (aim ?? place())) return;
  aim = at;
  html.removeAttribute('data-stage-controls');
  go(state.views[at].path, true);
  draw();
}

function leave() {
  const query = new URLSearchParams(location.search);
  query.delete('present');
  go(state.here + (query.size ? `?${query}` : ''), true);
  aim = null;
  erase();
}

function onKey(event) {
  if (!drawn || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.(TYPING)) return;
  const at = aim ?? place();
  const step = {
    ArrowRight: () => show(at + 1), PageDown: () => show(at + 1), ' ': () => show(at + 1),
    ArrowLeft: () => show(at - 1), PageUp: () => show(at - 1),
    Home: () => show(0), End: () => show(state.views.length - 1), Escape: leave,
  }[event.key];
  if (!step || (event.key === ' ' && event.target.closest?.('button, a'))) return;
  event.preventDefault();
  event.stopPropagation();
  step();
}

function element(tag, parent, text = '', attributes = {}) {
  const made = parent.appendChild(document.createElement(tag));
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function button(parent, text, label, action) {
  const made = element('button', parent, '', { type: 'button', title: label, 'aria-label': label });
  element('span', made, text, { class: 'stage-icon', 'aria-hidden': 'true' });
  made.addEventListener('click', () => { action(); made.blur(); });
  return made;
}

function build() {
  // Streamlit gives a component the theme's colours as CSS variables of its own element.
  const themed = element('div', document.body, '', { class: 'stage' });
  const head = element('header', themed, '', { class: 'stage-head' });
  const foot = element('footer', themed, '', { class: 'stage-foot' });
  const what = element('span', foot, '', { class: 'stage-what' });
  element('div', themed, 'One moment…', { class: 'stage-wait', 'aria-hidden': 'true' });
  drawn = {
    themed, head, what,
    title: element('h1', head, '', { 'aria-live': 'polite' }),
    caption: element('p', head),
    notice: element('p', head, '', { class: 'stage-notice', role: 'status' }),
    controls: button(foot, 'tune', 'Show or hide the whole page and its controls', () =>
      html.toggleAttribute('data-stage-controls')),
    full: button(foot, 'fullscreen', 'Full screen', () =>
      document.fullscreenElement ? document.exitFullscreen() : html.requestFullscreen()),
    back: button(foot, 'chevron_left', 'Previous view (← or Page Up)', () => show((aim ?? place()) - 1)),
    count: element('output', foot),
    next: button(foot, 'chevron_right', 'Next view (→ or Page Down)', () => show((aim ?? place()) + 1)),
    leave: button(foot, 'close', 'Leave the presentation (Escape)', leave),
    only: element('style', document.head),
  };
}

function draw() {
  const at = aim ?? place();
  if (at === null) return erase();
  if (!drawn) build();
  const view = state.views[at];
  if (view && aim === null && view.path.split('?')[0] !== state.here) {  // the story has changed
    aim = at;
    go(view.path);
  }
  drawn.title.textContent = view?.name ?? (waitsForStory ? '' : 'No story to present');
  drawn.caption.textContent = view?.caption ?? '';
  drawn.notice.textContent = aim === null && !waitsForStory ? state.notice : '';
  drawn.what.textContent = aim === null ? state.screen : '';
  if (aim === null && state.simulated) element('b', drawn.what, ' · simulated screen');
  drawn.count.textContent = `${view ? at + 1 : 0} / ${state.views.length}`;
  drawn.back.disabled = at <= 0;
  drawn.next.disabled = at >= state.views.length - 1;
  for (const name of ['caption', 'notice']) drawn[name].hidden = !drawn[name].textContent;
  for (const name of state.theme) {
    const value = getComputedStyle(state.element).getPropertyValue(name);
    drawn.themed.style.setProperty(name, value);
  }
  fill(view);
}

// Only the view's figure, where it is drawn; the scale at which it and the heading fill the screen.
function fill(view) {
  const all = !view?.figure || html.hasAttribute('data-stage-controls');
  const key = all ? null : `.st-key-${view.figure}`;
  const chart = key && document.querySelector(`[data-testid=stMain] ${key} .js-plotly-plot`);
  const waits = key && html.querySelector(
    `${key}:is([data-stale=true], :has([data-testid=stSkeleton], [data-stale=true]))`);
  html.toggleAttribute('data-stage-busy', Boolean(
    aim !== null || waitsForStory || waits || script() === 'running'));
  html.dataset.stage = chart ? 'figure' : 'whole';
  const rules = chart ? `html[data-stage=figure] [data-testid=stMain] :is(
      [data-testid=stElementContainer]:not(${key}, .st-key-stage *, :has(
        [data-testid=stAlertContentWarning], [data-testid=stAlertContentError])),
      [data-testid=stLayoutWrapper]:not(:has(${key})), [data-testid=stColumn]:not(:has(${key}))
    ) { display: none !important; }
    html[data-stage=figure] [data-testid=stColumn]:has(${key}) { flex: 1 1 100%; width: 100%; }` : '';
  if (drawn.only.textContent !== rules) drawn.only.textContent = rules;
  const head = drawn.head.offsetHeight + innerHeight * 0.02;
  const scrolled = document.querySelector('[data-testid=stMain]')?.scrollTop ?? 0;
  const top = chart ? chart.getBoundingClientRect().top + scrolled : head;
  const room = innerHeight * 0.95 - top;
  const most = Math.min(innerHeight / (chart ? 540 : 720), innerWidth / (chart ? 960 : 1240));
  const fits = chart ? room / chart.offsetHeight : most;
  html.style.setProperty('--stage-scale', Math.max(1, Math.min(most, fits)).toFixed(3));
  html.style.setProperty('--stage-head', `${head}px`);
  enlarged(Number(html.style.getPropertyValue('--stage-scale')));
}

// Leaves room below charts, which the style sheet enlarges without their boxes.
function enlarged(scale) {
  for (const chart of document.querySelectorAll('[data-testid=stMain] [data-testid=stPlotlyChart]')) {
    chart.style.marginBottom = scale === 1 ? '' : `${chart.offsetHeight * (scale - 1)}px`;
  }
}

function erase() {
  if (!drawn) return;
  drawn.themed.remove();
  drawn.only.remove();
  drawn = null;
  for (const name of ['data-stage', 'data-stage-busy', 'data-stage-controls']) {
    html.removeAttribute(name);
  }
  enlarged(1);
}

// The story outlives a reload in the browser's own store, and nowhere else.
function keep(send) {
  if (state.story === null) {
    const kept = localStorage.getItem(KEPT);
    waitsForStory = Boolean(kept);
    if (kept) send('kept', kept);
    return;
  }
  waitsForStory = false;
  if (state.story === '') localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, state.story);
}

// Once a view is drawn, the report goes on to the next.
function report() {
  const step = Number.parseInt(parameter('report') ?? '', 10);
  if (!state.visits.length || step !== state.visit || visited === state.visits[step]) return;
  if (script() !== 'notRunning') return;
  visited = state.visits[step];
  go(visited);
}

function tick() {
  if (!state) return;
  if (aim !== null && state.present === aim + 1 && script() === 'notRunning') aim = null;
  draw();
  report();
}

export default function ({ data, parentElement, setTriggerValue }) {
  state = { ...data, element: parentElement };
  try {
    keep(setTriggerValue);
  } catch (error) {
    console.warn('The browser keeps no story:', error.message);
  }
  if (!data.visits.length) visited = null;
  if (data.go && data.go.token !== heldToken) {
    heldToken = data.go.token;
    go(data.go.path);
  }
  window.addEventListener('keydown', onKey, true);
  running ??= setInterval(tick, 150);
  tick();
}
