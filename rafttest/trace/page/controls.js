// What people press: buttons, boxes and keys.

// rowsPerSecond is how fast a run plays at speed 1.
const rowsPerSecond = 4;

class Controls {
  constructor(app) {
    this.app = app;
    this.run = app.run;
    this.timer = 0;
    this.bindButtons();
    this.bindFilters();
    document.addEventListener('keydown', (event) => this.key(event));
  }

  bindButtons() {
    const {app} = this;
    const press = (id, action) => $(id).addEventListener('click', action);
    press('first', () => app.moveToRow(0));
    press('back', () => app.step(-1));
    press('play', () => this.togglePlay());
    press('forward', () => app.step(1));
    press('last', () => app.moveToRow(app.rows.length - 1));
    press('causes', () => app.toggleCauses());
    press('show-legend', () => $('legend').showModal());
    press('close-legend', () => $('legend').close());
    $('speed').addEventListener('change', () => this.restart());
    $('number').max = Math.max(0, this.run.events.length - 1);
    $('number').addEventListener('change', () => app.moveTo(Number($('number').value)));
    for (const button of document.querySelectorAll('#views button')) {
      button.addEventListener('click', () => app.showView(button.dataset.view));
    }
  }

  bindFilters() {
    const {filter} = this.app;
    const changed = () => this.app.refilter();
    $('search').addEventListener('input', () => { filter.text = $('search').value.trim().toLowerCase(); changed(); });
    $('quiet').addEventListener('change', () => { filter.hideQuiet = $('quiet').checked; changed(); });
    $('by-time').addEventListener('change', changed);
    const counts = new Map();
    for (const event of this.run.events) counts.set(event.kind, (counts.get(event.kind) || 0) + 1);
    $('kinds').replaceChildren(...[...counts].map(([kind, count]) => h('label', {},
      h('input', {type: 'checkbox', checked: true, 'data-kind': kind, onchange: (event) => this.toggleKind(kind, event.target.checked)}),
      ` ${kind} `, h('span', {class: 'note'}, count))));
    document.addEventListener('click', (event) => {
      const menu = $('kinds-menu');
      if (!menu.contains(event.target)) menu.open = false;
    });
  }

  toggleKind(kind, shown) {
    if (shown) this.app.filter.hiddenKinds.delete(kind);
    else this.app.filter.hiddenKinds.add(kind);
    this.app.refilter();
  }

  // showFilter makes the boxes say what the filter is.
  showFilter() {
    const {filter} = this.app;
    $('search').value = filter.text;
    $('quiet').checked = filter.hideQuiet;
    for (const box of $('kinds').querySelectorAll('input')) box.checked = !filter.hiddenKinds.has(box.dataset.kind);
  }

  get playing() { return this.timer !== 0; }

  togglePlay() {
    if (this.playing) this.stop();
    else this.start();
  }

  start() {
    if (this.app.atEnd()) this.app.moveToRow(0);
    const period = 1000 / (rowsPerSecond * Number($('speed').value));
    this.timer = setInterval(() => this.playOn(), period);
    this.showPlaying();
  }

  playOn() {
    this.app.step(1);
    if (this.app.atEnd()) this.stop();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    this.showPlaying();
  }

  restart() {
    if (!this.playing) return;
    this.stop();
    this.start();
  }

  showPlaying() {
    $('play').setAttribute('aria-label', this.playing ? 'pause' : 'play');
    $('play').replaceChildren(icon(this.playing ? 'pause' : 'play'));
  }

  // key handles keys that no field has use for.
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || $('legend').open) return;
    const field = event.target.closest('input:not([type=checkbox]):not([type=range]), select, textarea');
    if (field) {
      if (event.key === 'Escape') field.blur();
      return;
    }
    if (event.key === ' ' && event.target.closest('button, summary, input')) return;
    const action = this.actionOf(event);
    if (!action) return;
    event.preventDefault();
    action();
  }

  actionOf(event) {
    const {app} = this;
    const page = Math.max(1, Math.floor($('timeline').clientHeight / app.rows.rowHeight) - 2);
    switch (event.key) {
      case 'ArrowRight': case 'ArrowDown': case 'j':
        return () => (event.shiftKey ? app.stepMember(1) : app.step(1));
      case 'ArrowLeft': case 'ArrowUp': case 'k':
        return () => (event.shiftKey ? app.stepMember(-1) : app.step(-1));
      case 'PageDown': return () => app.step(page);
      case 'PageUp': return () => app.step(-page);
      case 'Home': return () => app.moveToRow(0);
      case 'End': return () => app.moveToRow(app.rows.length - 1);
      case ' ': return () => this.togglePlay();
      case 'c': return () => app.toggleCauses();
      case 'v': return () => app.showViolation();
      case 'h': return () => $('quiet').click();
      case 't': return () => $('by-time').click();
      case '/': return () => { app.showView('run'); $('search').focus(); };
      case '?': return () => $('legend').showModal();
      default: return null;
    }
  }
}
