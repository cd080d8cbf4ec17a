// The page: which moment is looked at, what is selected, and who shows it.

// narrow is the width up to which one view at a time is shown.
const narrow = window.matchMedia('(max-width: 860px)');
const dark = window.matchMedia('(prefers-color-scheme: dark)');
const coarse = window.matchMedia('(pointer: coarse)');

class App {
  constructor(run) {
    this.run = run;
    this.filter = new Filter();
    this.cursor = 0;
    this.message = 0;
    this.cell = null;
    this.causes = null;
    this.causesOf = run.violation ? run.violation.event : -1;
    this.palette = colours();
    this.showHeader();
    this.timeline = new Timeline(this);
    this.overview = new Overview(this);
    this.logs = new Logs(this);
    this.details = new Details(this);
    this.controls = new Controls(this);
    this.resize();
    this.refilter();
    this.follow();
    window.addEventListener('hashchange', () => this.follow());
    window.addEventListener('resize', () => this.resized());
    dark.addEventListener('change', () => { this.palette = colours(); this.resized(); });
  }

  // view is what those who draw have to know.
  get view() {
    return {
      cursor: this.cursor, message: this.message, cell: this.cell, causes: this.causes, palette: this.palette,
      hiddenMembers: this.filter.hiddenMembers, hidesQuiet: this.filter.hideQuiet,
    };
  }

  showHeader() {
    const {run} = this;
    const sizes = [plural(run.lanes, 'member'), plural(run.events.length, 'event'), plural(run.messages.length, 'message')];
    $('size').append(h('span', {class: 'only-wide'}, sizes.join(' · ')), h('span', {class: 'only-narrow'}, 'About'));
    $('info').append(facts([['size', sizes.join(', ')], ...run.info.map(({name, value}) => [name, value])]));
    document.documentElement.dataset.result = run.violation ? 'broken' : 'passed';
    if (!run.violation) return;
    const v = run.violation;
    $('banner').hidden = false;
    $('banner').append(icon('broken'), h('strong', {}, v.rule), h('span', {class: 'detail'}, v.detail),
      h('button', {type: 'button', id: 'jump', onclick: () => this.showViolation()}, `Show event ${v.event}`));
  }

  resize() {
    const room = narrow.matches ? clamp(150 / this.run.lanes, 17, 40) : clamp(330 / this.run.lanes, 38, 78);
    document.documentElement.style.setProperty('--lanes-width', `${Math.round(room * this.run.lanes)}px`);
    document.documentElement.style.setProperty('--lane', `${room}px`);
    this.rowHeight = coarse.matches || narrow.matches ? 30 : 24;
    document.documentElement.style.setProperty('--row', `${this.rowHeight}px`);
    document.body.classList.toggle('tight', room < 54);
    document.body.classList.toggle('many', this.run.lanes > 6);
    this.timeline.resize();
  }

  resized() {
    this.resize();
    this.refilter();
  }

  // refilter lays the rows out anew, and stays where it is.
  refilter() {
    this.rows = new Rows(this.run, this.filter, this.rowHeight, $('by-time').checked);
    this.controls.showFilter();
    $('shown').textContent = this.rows.length === this.run.events.length
      ? '' : `${this.rows.length.toLocaleString('en')} of ${this.run.events.length.toLocaleString('en')} events`;
    this.timeline.setRows(this.rows);
    if (this.rows.length > 0) this.timeline.reveal(this.cursor);
    this.overview.draw(this.rows, this.view);
    this.draw();
  }

  // draw shows everything; later does so once before the screen is painted again,
  // for what comes in bursts.
  draw() {
    const {view} = this;
    this.timeline.draw(view);
    this.overview.move(this.cursor);
    this.logs.draw(view);
    this.details.draw(view);
    const event = this.run.events[this.cursor];
    $('number').value = this.cursor;
    $('of').textContent = `of ${Math.max(0, this.run.events.length - 1).toLocaleString('en')}`;
    // A run that plays is not read out event by event.
    if (event && !this.controls.playing) $('said').textContent = `event ${this.cursor}, ${summary(this.run, this.cursor)}`;
    $('clock').textContent = `${formatTime(event ? event.at : 0)} ms`;
    $('causes').setAttribute('aria-pressed', this.causes !== null);
    $('causes').disabled = this.causesOf < 0;
  }

  later() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.timeline.draw(this.view);
    });
  }

  // moveTo looks at the moment after an event. One that the filter hides turns the
  // filter off.
  moveTo(place) {
    if (this.run.events.length === 0 || Number.isNaN(place)) return;
    this.cursor = clamp(Math.round(place), 0, this.run.events.length - 1);
    this.message = 0;
    this.cell = null;
    this.remember(`#event=${this.cursor}`);
    this.showCursor();
  }

  showCursor() {
    if (!this.rows.shown[this.cursor]) this.clearFilter();
    this.timeline.reveal(this.cursor);
    this.draw();
  }

  clearFilter() {
    const {hiddenMembers, hiddenKinds} = this.filter;
    hiddenMembers.clear();
    hiddenKinds.clear();
    this.filter.text = '';
    this.filter.hideQuiet = false;
    this.refilter();
  }

  moveToRow(row) {
    if (this.rows.length > 0) this.moveTo(this.rows.places[clamp(row, 0, this.rows.length - 1)]);
  }

  atEnd() { return this.rows.length === 0 || this.cursor >= this.rows.places[this.rows.length - 1]; }

  // step goes on by rows, or where causes are shown, from cause to cause.
  step(n) {
    if (this.causes) this.stepTo(n, (place) => this.causes.has(place));
    else this.moveToRow(this.rows.rowUpTo(this.cursor) + n);
  }

  // stepMember goes to the next event of the same member.
  stepMember(direction) {
    const member = this.run.events[this.cursor]?.member;
    this.stepTo(direction, (place) => this.run.events[place].member === member);
  }

  stepTo(direction, wanted) {
    let row = this.rows.rowUpTo(this.cursor) + Math.sign(direction);
    while (row >= 0 && row < this.rows.length && !wanted(this.rows.places[row])) row += Math.sign(direction);
    if (row >= 0 && row < this.rows.length) this.moveToRow(row);
  }

  selectMessage(number) {
    this.message = clamp(number, 1, this.run.messages.length);
    this.cell = null;
    const m = this.run.message(this.message);
    if (this.cursor < m.sentAt || (m.endAt >= 0 && this.cursor > m.endAt)) {
      this.cursor = m.endAt >= 0 ? m.endAt : m.sentAt;
    }
    this.remember(`#message=${this.message}`);
    this.showCursor();
    this.showView('details', true);
  }

  selectCell(member, index) {
    this.cell = {member, index};
    this.message = 0;
    this.draw();
    this.showView('details', true);
  }

  showViolation() {
    if (this.run.violation) this.moveTo(this.run.violation.event);
  }

  toggleMember(member) {
    const {hiddenMembers} = this.filter;
    if (!hiddenMembers.delete(member)) hiddenMembers.add(member);
    this.refilter();
  }

  toggleCauses() {
    this.setCauses(this.causes === null && this.causesOf >= 0 ? this.causesOf : -1);
  }

  showCauses(place) {
    this.setCauses(place);
    this.showView('run', true);
  }

  // setCauses dims what did not lead to an event, or nothing for -1.
  setCauses(place) {
    this.causes = place >= 0 ? this.run.causes(place) : null;
    if (place >= 0) this.causesOf = place;
    document.documentElement.dataset.causes = this.causes ? this.causes.size : '';
    $('causes-note').textContent = this.causes ? `${plural(this.causes.size, 'event')} led to event ${place}` : '';
    this.overview.draw(this.rows, this.view);
    this.draw();
  }

  // showView picks what is seen on a narrow screen. There, details that somebody
  // asked for come to the front; on a wide one all is in sight.
  showView(name, onlyNarrow = false) {
    if (onlyNarrow && !narrow.matches) return;
    document.documentElement.dataset.view = name;
    for (const button of document.querySelectorAll('#views button')) {
      button.setAttribute('aria-pressed', button.dataset.view === name);
    }
    this.draw();
  }

  // remember puts what is selected into the address, for others to follow.
  remember(hash) {
    this.hash = hash;
    try {
      history.replaceState(null, '', hash);
    } catch {
      // Some browsers forbid it to files, and some allow it only so often.
    }
  }

  // follow goes where the address points; without a word there, to the violation.
  follow() {
    if (location.hash === this.hash) return;
    const wanted = /^#(event|message)=(\d+)$/.exec(location.hash);
    if (wanted && wanted[1] === 'message' && this.run.messages.length > 0) this.selectMessage(Number(wanted[2]));
    else if (wanted) this.moveTo(Number(wanted[2]));
    else if (this.run.violation) this.showViolation();
  }
}

new App(new Run(JSON.parse($('trace').textContent)));
document.documentElement.dataset.ready = 'true';
