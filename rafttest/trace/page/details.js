// All there is to know about what is selected: an event, a message or an entry.

class Details {
  constructor(app) {
    this.app = app;
    this.run = app.run;
    this.box = $('details');
  }

  draw(view) {
    if (this.run.events.length === 0) {
      this.box.replaceChildren(h('p', {class: 'empty'}, 'Nothing happened in this run.'));
      return;
    }
    const parts = [];
    if (view.cell) parts.push(this.cell(view.cell, view.cursor));
    if (view.message) parts.push(this.message(view.message));
    parts.push(this.event(view.cursor));
    this.box.replaceChildren(...parts);
  }

  link(place, text) {
    return h('button', {type: 'button', class: 'link', onclick: () => this.app.moveTo(place)},
      text || `event ${place}`);
  }

  messageLink(number) {
    const m = this.run.message(number);
    return h('button', {type: 'button', class: 'link', onclick: () => this.app.selectMessage(number)},
      h('span', {class: `type of-${messageClass(m.type)}`}, m.type), ` ${this.run.name(m.from)}→${this.run.name(m.to)}`);
  }

  event(place) {
    const event = this.run.events[place];
    const at = event.member ? `at member ${this.run.name(event.member)}` : 'in the cluster';
    const sent = event.sent || [];
    return h('article', {'data-event': place},
      h('h3', {}, `Event ${place}: `, h('span', {class: 'kind'}, event.kind), ` ${at}`),
      h('p', {class: 'explain'}, kindTexts[event.kind] || ''),
      facts([
        ['time', `${formatTime(event.at)} ms`],
        ['what', event.text],
        ['message', event.msg ? this.messageLink(event.msg) : null],
        ['', event.msg ? this.messageNote(event.msg, place) : null],
        ['sent', sent.length > 0 ? sent.map((number) => h('div', {}, this.messageLink(number), ' ',
          h('span', {class: 'note'}, fateText(this.run, this.run.message(number))))) : null],
      ]),
      this.run.violation && this.run.violation.event === place ? this.violation(this.run.violation) : null,
      event.state ? this.changes(place, event.state) : null,
      this.buttons(place));
  }

  // violation says which rule was broken, and leads to what breaks it.
  violation(v) {
    const {run} = this;
    return facts([
      ['rule', h('strong', {class: 'broken-rule'}, v.rule)],
      ['broken by', v.detail],
      ['members', (v.members || []).map((member) => run.name(member)).join(', ')],
      ['entries', (v.cells || []).length > 0 ? v.cells.map((c) => h('div', {}, h('button', {
        type: 'button', class: 'link', onclick: () => this.app.selectCell(c.member, c.index),
      }, `entry ${c.index} on member ${run.name(c.member)}`))) : null],
      ['messages', (v.messages || []).length > 0
        ? v.messages.map((number) => h('div', {}, this.messageLink(number))) : null],
    ]);
  }

  // messageNote says where the message of an event comes from.
  messageNote(number, place) {
    const m = this.run.message(number);
    return [
      h('div', {class: 'code'}, m.text || ''),
      m.sentAt !== place ? h('div', {}, 'sent by ', this.link(m.sentAt), `, ${fateText(this.run, m)}`) : null,
    ];
  }

  changes(place, state) {
    const rows = changes(this.run, this.run.before(place), state).filter((c) => c.name !== 'log');
    return [
      rows.length > 0 && h('table', {class: 'changes'},
        h('caption', {}, 'What changed'),
        h('tbody', {}, rows.map((c) => h('tr', {}, h('th', {scope: 'row'}, c.name), h('td', {}, `${c.from}`),
          h('td', {}, '→'), h('td', {}, `${c.to}`))))),
      state.logFrom ? this.logChange(place, state) : null,
    ];
  }

  // logChange lists what was added to a log, and says what it took the place of.
  logChange(place, state) {
    const maxLines = 12;
    const entries = state.log || [];
    const event = this.run.events[place];
    const before = this.run.before(place);
    const replaced = before ? Math.max(0, before.last - state.logFrom + 1) : 0;
    return h('div', {class: 'log-change'},
      h('h4', {}, entries.length > 0 ? `Log from index ${state.logFrom} on` : `The log ends at ${state.logFrom - 1}`),
      replaced > 0 ? h('p', {class: 'note'}, `in place of ${plural(replaced, 'entry').replace('entrys', 'entries')}`) : null,
      h('ol', {start: state.logFrom}, entries.slice(0, maxLines).map((entry, i) => h('li', {},
        h('button', {type: 'button', class: 'link', onclick: () => this.app.selectCell(event.member, state.logFrom + i)},
          h('span', {class: 'term', style: `--hue:${termHue(entry.t)}`}, entry.t), ' ', entryText(entry))))),
      entries.length > maxLines ? h('p', {class: 'note'}, `and ${entries.length - maxLines} more`) : null);
  }

  buttons(place) {
    return h('p', {class: 'buttons'},
      h('button', {type: 'button', onclick: () => this.app.showCauses(place)}, 'What led to this event'));
  }

  message(number) {
    const m = this.run.message(number);
    const copies = this.run.copies.get(number) || [];
    return h('article', {'data-message': number},
      h('h3', {}, `Message ${number}: `, h('span', {class: `type of-${messageClass(m.type)}`}, m.type),
        ` from ${this.run.name(m.from)} to ${this.run.name(m.to)}`),
      h('p', {class: 'explain'}, messageTexts[m.type] || ''),
      facts([
        ['holds', m.text ? h('span', {class: 'code'}, m.text) : null],
        ['term', m.term ? `${m.term}` : null],
        ['sent', this.link(m.sentAt)],
        ['fate', [`${m.fate}: ${fateText(this.run, m)} `, m.endAt >= 0 ? this.link(m.endAt) : null]],
        ['copy of', m.copyOf ? this.messageLink(m.copyOf) : null],
        ['copies', copies.length > 0 ? copies.map((copy) => h('div', {}, this.messageLink(copy))) : null],
      ]));
  }

  cell({member, index}, cursor) {
    const state = this.run.stateAt(member, cursor);
    const entry = state && index <= state.last ? this.run.logAt(member, cursor).at(index) : undefined;
    const holds = this.run.members().filter((other) => {
      const theirs = this.run.stateAt(other, cursor);
      return entry && theirs && index <= theirs.last && this.run.logAt(other, cursor).at(index)?.t === entry.t;
    });
    return h('article', {'data-cell': `${member}/${index}`},
      h('h3', {}, `Entry ${index} on member ${this.run.name(member)}`),
      entry ? facts([
        ['term', h('span', {class: 'term', style: `--hue:${termHue(entry.t)}`}, entry.t)],
        ['holds', h('span', {class: 'code'}, (entry.c ? 'configuration change: ' : '') + entryText(entry))],
        ['state', cellFacts(state, index).map((fact) => fact.text).join(', ')],
        ['same term at', holds.map((other) => this.run.name(other)).join(', ')],
      ]) : h('p', {class: 'note'}, 'It holds no such entry now, or none that this trace knows.'));
  }
}

// facts is a list of names and values, without those that have none.
function facts(pairs) {
  return h('dl', {}, pairs.filter(([, value]) => value)
    .map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}
