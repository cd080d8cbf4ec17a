// The list of events with the diagram at its left. Only the rows in the window are
// in the document.

class Timeline {
  constructor(app) {
    this.app = app;
    this.run = app.run;
    this.box = $('timeline');
    this.list = $('rows');
    this.diagram = new Diagram(app.run, $('diagram'));
    this.elements = new Map();
    this.box.addEventListener('scroll', () => this.app.later());
    this.box.addEventListener('click', (event) => this.click(event));
    this.box.addEventListener('pointermove', (event) => this.hover(event));
    this.makeHeads();
  }

  // makeHeads names the lanes; each head hides the events of its member.
  makeHeads() {
    this.heads = this.run.members().map((member) => h('button', {
      class: 'head', type: 'button', 'aria-pressed': 'true', onclick: () => this.app.toggleMember(member),
    }));
    $('heads').replaceChildren(...this.heads);
  }

  setRows(rows) {
    this.rows = rows;
    // Below the last row there is room for messages that did not arrive.
    this.list.style.height = `${rows.height + 3 * rows.rowHeight}px`;
    this.list.setAttribute('aria-setsize', rows.length);
    this.clear();
  }

  clear() {
    for (const element of this.elements.values()) element.remove();
    this.elements.clear();
  }

  resize() {
    const style = getComputedStyle(this.box);
    this.diagram.resize(parseFloat(style.getPropertyValue('--lanes-width')), this.box.clientHeight);
  }

  // reveal scrolls so that an event is in the window, with some of what is around.
  reveal(place) {
    const y = this.rows.lineOf(this.rows.rowUpTo(place));
    const room = Math.min(this.box.clientHeight / 4, 5 * this.rows.rowHeight);
    const [top, bottom] = [this.box.scrollTop + room, this.box.scrollTop + this.box.clientHeight - room];
    if (y >= top && y + this.rows.rowHeight <= bottom) return;
    const far = Math.abs(y - this.box.scrollTop) > 2 * this.box.clientHeight;
    if (far) this.box.scrollTop = y - this.box.clientHeight / 2;
    else this.box.scrollTop += y < top ? y - top : y + this.rows.rowHeight - bottom;
  }

  draw(view) {
    const top = this.box.scrollTop;
    this.drawHeads(view);
    this.drawRows(top, view);
    this.diagram.draw(this.rows, top, view);
    if (this.rows.length > 0) {
      this.box.setAttribute('aria-activedescendant', `row-${this.rows.places[this.rows.rowUpTo(view.cursor)]}`);
    }
  }

  drawHeads(view) {
    this.heads.forEach((head, i) => {
      const state = this.run.stateAt(i + 1, view.cursor);
      const role = state ? roleOf(state) : 'not there';
      const shown = !view.hiddenMembers.has(i + 1);
      head.setAttribute('aria-pressed', shown);
      head.dataset.role = role;
      head.setAttribute('aria-label', `member ${this.run.name(i + 1)}, ${role}: show its events`);
      head.title = `${this.run.name(i + 1)} ${role === 'not there' ? 'is not there' : roleTexts[role] || `is ${role}`}; press to hide or show its events`;
      head.replaceChildren(...[h('b', {}, this.run.name(i + 1)), h('span', {}, shortRole(role)),
        state && state.up ? h('span', {class: 'term', style: `--hue:${termHue(state.term)}`}, `${state.term}`) : null,
      ].filter(Boolean));
    });
  }

  drawRows(top, view) {
    const {rows} = this;
    if (rows.length === 0) {
      this.list.replaceChildren(h('p', {class: 'empty'}, 'No event passes the filter.'));
      return;
    }
    const first = Math.max(0, rows.rowAt(top) - 4);
    const last = Math.min(rows.length - 1, rows.rowAt(top + this.box.clientHeight) + 4);
    for (const [row, element] of this.elements) {
      if (row < first || row > last) {
        element.remove();
        this.elements.delete(row);
      }
    }
    const current = rows.rowUpTo(view.cursor);
    for (let row = first; row <= last; row++) {
      if (!this.elements.has(row)) this.addRow(row);
      this.markRow(row, current, view);
    }
  }

  addRow(row) {
    const place = this.rows.places[row];
    const element = eventRow(this.run, place);
    element.style.top = `${this.rows.lineOf(row)}px`;
    element.setAttribute('aria-posinset', row + 1);
    element.setAttribute('aria-setsize', this.rows.length);
    this.elements.set(row, element);
    this.list.append(element);
  }

  markRow(row, current, view) {
    const place = this.rows.places[row];
    const element = this.elements.get(row);
    element.setAttribute('aria-selected', row === current);
    element.classList.toggle('future', place > view.cursor);
    element.classList.toggle('dim', view.causes !== null && !view.causes.has(place));
  }

  // point returns where the pointer is, as the diagram counts.
  point(event) {
    const box = this.diagram.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  click(event) {
    const row = event.target.closest('.row');
    if (row) {
      this.app.moveTo(Number(row.dataset.place));
      return;
    }
    const [x, y] = this.point(event);
    const number = this.diagram.messageAt(x, y);
    if (number) this.app.selectMessage(number);
    else if (this.rows.length > 0) this.app.moveTo(this.rows.places[this.rows.rowAt(y + this.box.scrollTop)]);
  }

  hover(event) {
    const [x, y] = this.point(event);
    const number = x < this.diagram.width ? this.diagram.messageAt(x, y) : 0;
    this.box.classList.toggle('over-message', number > 0);
    const m = number ? this.run.message(number) : null;
    this.box.title = m ? `${m.type} ${this.run.name(m.from)}→${this.run.name(m.to)}, ${fateText(this.run, m)}` : '';
  }
}

// eventRow is the line of an event.
function eventRow(run, place) {
  const event = run.events[place];
  const broken = run.violation !== null && run.violation.event === place;
  return h('div', {
    class: `row kind-${event.kind}${broken ? ' broken' : ''}`, id: `row-${place}`, role: 'option', 'data-place': place,
    'aria-label': `event ${place}, ${formatTime(event.at)} milliseconds, ${summary(run, place)}`,
  },
  h('span', {class: 'place'}, place),
  h('span', {class: 'time'}, formatTime(event.at)),
  h('span', {class: 'member'}, event.member ? run.name(event.member) : 'all'),
  h('span', {class: 'kind'}, event.kind),
  h('span', {class: 'what'}, eventText(run, place)));
}

// eventText is what an event is about: its message, then what changed, which
// matters most, then the rest.
function eventText(run, place) {
  const event = run.events[place];
  const m = event.msg ? run.message(event.msg) : null;
  const changed = event.state ? changes(run, run.before(place), event.state).filter((c) => c.text) : [];
  return [
    m && h('span', {class: `type of-${messageClass(m.type)}`}, shortType(m.type)),
    m && h('span', {class: 'way'}, `${run.name(m.from)}→${run.name(m.to)}`),
    m && m.copyOf ? h('span', {class: 'note'}, 'copy') : null,
    m && m.endAt === place ? h('span', {class: 'note delay'}, formatSpan(event.at - run.events[m.sentAt].at)) : null,
    event.msg || !event.text ? null : h('span', {class: 'text'}, event.text),
    changed.map((c) => h('span', {class: 'change', 'data-role': c.role}, c.text)),
    event.msg && event.text ? h('span', {class: 'text'}, event.text) : null,
    m && h('span', {class: 'rest'}, m.text || ''),
    !m && event.sent ? h('span', {class: 'rest'}, `sends ${sentText(run, event.sent)}`) : null,
  ];
}

// sentText names what an event sent, by type.
function sentText(run, numbers) {
  const byType = new Map();
  for (const number of numbers) {
    const m = run.message(number);
    byType.set(m.type, [...(byType.get(m.type) || []), run.name(m.to)]);
  }
  return [...byType].map(([type, to]) => `${shortType(type)} to ${to.join(', ')}`).join('; ');
}
