// The logs of all members at the moment that is looked at: an index stands in the
// same column for all of them. Only the columns in the window are in the document.

const cellWidth = 30;

class Logs {
  constructor(app) {
    this.app = app;
    this.run = app.run;
    this.box = $('grid');
    this.lines = this.run.members().map((member) => this.makeLine(member));
    this.ruler = h('div', {class: 'cells ruler', 'aria-hidden': 'true'});
    this.box.replaceChildren(h('div', {class: 'line'}, h('div', {class: 'who corner'}, 'index'), this.ruler),
      ...this.lines.map((line) => line.element));
    this.box.addEventListener('scroll', () => this.drawCells());
    this.box.addEventListener('click', (event) => this.click(event));
    this.box.addEventListener('keydown', (event) => this.key(event));
  }

  makeLine(member) {
    const who = h('div', {class: 'who', role: 'rowheader'});
    const cells = h('div', {class: 'cells'});
    return {member, who, cells, element: h('div', {class: 'line', role: 'row'}, who, cells)};
  }

  // draw shows the logs after the event at the cursor.
  draw(view) {
    this.view = view;
    this.states = this.run.members().map((member) => this.run.stateAt(member, view.cursor));
    this.logs = this.run.members().map((member) => this.run.logAt(member, view.cursor));
    const last = Math.max(1, ...this.states.map((state) => (state ? state.last : 0)));
    for (const line of [this.ruler, ...this.lines.map((l) => l.cells)]) line.style.width = `${(last + 1) * cellWidth}px`;
    this.lines.forEach((line, i) => this.drawWho(line, this.states[i]));
    this.reveal(last);
    this.drawCells();
  }

  // reveal brings into sight what breaks the rule, once it is broken, a cell that was
  // picked, or else the end.
  reveal(last) {
    const v = this.run.violation;
    const broken = v && v.cells && v.cells.length > 0 && this.view.cursor >= v.event;
    const index = this.view.cell ? this.view.cell.index : broken ? v.cells[0].index : last;
    const room = this.box.clientWidth - (this.lines.length > 0 ? this.lines[0].who.offsetWidth : 0);
    const x = (index - 0.5) * cellWidth - this.box.scrollLeft;
    if (x > cellWidth && x < room - cellWidth) return;
    const margin = index === last ? cellWidth : room / 2;
    this.box.scrollLeft += x < room / 2 ? x - room / 2 : x - room + margin;
  }

  drawWho(line, state) {
    const broken = this.run.violation !== null && this.view.cursor >= this.run.violation.event &&
      (this.run.violation.members || []).includes(line.member);
    line.who.classList.toggle('broken', broken);
    line.who.replaceChildren(...memberWords(this.run, line.member, state));
  }

  // drawCells puts the cells of the window into the document.
  drawCells() {
    if (!this.logs) return;
    const room = this.box.clientWidth;
    const first = Math.max(1, Math.floor(this.box.scrollLeft / cellWidth) - 2);
    const end = first + Math.ceil(room / cellWidth) + 4;
    this.lines.forEach((line, i) => {
      line.cells.replaceChildren(...this.cellsOf(line.member, this.states[i], this.logs[i], first, end));
    });
    const last = Math.max(1, ...this.states.map((state) => (state ? state.last : 0)));
    const numbers = [];
    for (let index = first; index < end && index <= last; index++) {
      numbers.push(h('span', {class: index % 5 === 0 ? 'five' : '', style: `left:${(index - 1) * cellWidth}px`}, index));
    }
    this.ruler.replaceChildren(...numbers);
  }

  cellsOf(member, state, log, first, end) {
    const cells = [];
    if (!state) return cells;
    for (let index = first; index < end && index <= state.last; index++) {
      cells.push(this.cell(member, state, log.at(index), index));
    }
    return cells;
  }

  cell(member, state, entry, index) {
    const {cell, cursor} = this.view;
    const facts = cellFacts(state, index);
    const classes = ['cell', ...facts.filter((fact) => fact.is).map((fact) => fact.class)];
    if (entry && entry.c) classes.push('config');
    if (this.run.isBroken(member, index, cursor)) classes.push('broken');
    const picked = cell !== null && cell.member === member && cell.index === index;
    const label = `entry ${index} on ${this.run.name(member)}: term ${entry ? entry.t : 'unknown'}, ${entryText(entry)}, ` +
      facts.map((fact) => fact.text).join(', ');
    return h('span', {
      class: classes.join(' '), role: 'gridcell', 'aria-selected': picked ? 'true' : undefined, title: label, 'aria-label': label,
      style: `left:${(index - 1) * cellWidth}px;--hue:${entry ? termHue(entry.t) : 0}`,
      'data-member': member, 'data-index': index,
    }, entry ? entry.t : '·');
  }

  click(event) {
    const cell = event.target.closest('.cell');
    if (cell) this.app.selectCell(Number(cell.dataset.member), Number(cell.dataset.index));
  }

  // key moves the picked cell while the grid has the focus.
  key(event) {
    const move = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key];
    if (!move || this.lines.length === 0) return;
    event.preventDefault();
    event.stopPropagation();
    const last = Math.max(1, ...this.states.map((state) => (state ? state.last : 0)));
    const from = this.view.cell || {member: 1, index: last + 1};
    this.app.selectCell(clamp(from.member + move[0], 1, this.lines.length), clamp(from.index + move[1], 1, last));
  }
}

// cellFacts says how far an entry has come at a member.
function cellFacts(state, index) {
  const gone = index < state.first;
  const fact = (is, name, yes, no) => ({is, class: name, text: is ? yes : no});
  if (gone) return [{is: true, class: 'compacted', text: 'compacted away, part of the snapshot'}];
  return [
    fact(index <= state.durable, 'durable', 'durable', 'not durable yet'),
    fact(state.up && index <= state.commit, 'committed', 'known as committed', 'not known as committed'),
    fact(state.up && index <= state.applied, 'applied', 'applied', 'not applied'),
  ];
}

// memberWords is what is to be said of a member next to its log.
function memberWords(run, member, state) {
  const role = state ? roleOf(state) : 'not there';
  return [
    h('b', {class: 'chip', 'data-role': role}, run.name(member)),
    h('span', {class: 'role'}, state && state.paused ? `${role}, paused` : role),
    state && state.up ? h('span', {class: 'term', style: `--hue:${termHue(state.term)}`},
      h('span', {class: 'word'}, 'term '), `${state.term}`) : null,
    state && state.up
      ? h('span', {class: 'facts'}, `commit ${state.commit} · applied ${state.applied}` + (state.vote ? ` · vote ${run.name(state.vote)}` : ''))
      : h('span', {class: 'facts'}, state ? `on disk up to ${state.durable}` : ''),
  ].filter(Boolean);
}
