// A run, as the page asks for it. Places of events count from 0 and messages from
// 1, as in the trace. Members are numbered from 1, whatever their names; 0 is
// nobody.

// checkpointEvery is how many changes of a log lie between two copies of it.
const checkpointEvery = 64;

// Log is the log of a member: entries[i] has index base + i. Entries that were
// compacted away stay known as long as they connect.
class Log {
  constructor(base = 1, entries = []) {
    this.base = base;
    this.entries = entries;
  }

  copy() { return new Log(this.base, this.entries.slice()); }

  at(index) { return this.entries[index - this.base]; }

  // change does to the log what a state says.
  change(state) {
    if (!state.logFrom) return;
    const kept = state.logFrom - this.base;
    if (kept < 0 || kept > this.entries.length) {
      this.base = state.logFrom;
      this.entries = [];
    } else {
      this.entries.length = kept;
    }
    this.entries.push(...(state.log || []));
  }
}

// History is what became of one member.
class History {
  constructor() {
    this.places = [];
    this.states = [];
    this.checkpoints = [];
    this.tip = new Log();
  }

  add(place, state) {
    this.tip.change(state);
    if (this.places.length % checkpointEvery === 0) this.checkpoints.push(this.tip.copy());
    this.places.push(place);
    this.states.push(state);
  }

  // upTo returns how many changes happened up to a place, that one included.
  upTo(place) { return lowerBound(this.places.length, (i) => this.places[i] <= place); }

  stateAt(place) { return this.states[this.upTo(place) - 1]; }

  logAt(place) {
    const n = this.upTo(place);
    if (n === 0) return new Log();
    const start = Math.floor((n - 1) / checkpointEvery);
    const log = this.checkpoints[start].copy();
    for (let i = start * checkpointEvery + 1; i < n; i++) log.change(this.states[i]);
    return log;
  }

  // changeBefore returns the place of the last change before a place, or -1.
  changeBefore(place) {
    const n = this.upTo(place - 1);
    return n === 0 ? -1 : this.places[n - 1];
  }
}

class Run {
  constructor(data) {
    this.title = data.title;
    this.info = data.info || [];
    this.names = data.names || [];
    this.lanes = (data.members || []).length;
    this.events = data.events || [];
    this.messages = data.messages || [];
    this.violation = data.violation || null;
    this.histories = Array.from({length: this.lanes + 1}, () => new History());
    this.copies = new Map();
    this.events.forEach((event, place) => {
      if (event.state) this.histories[event.member].add(place, event.state);
    });
    this.messages.forEach((message, i) => {
      if (message.copyOf) this.copies.set(message.copyOf, [...(this.copies.get(message.copyOf) || []), i + 1]);
    });
  }

  name(member) { return member ? this.names[member - 1] : 'nobody'; }

  message(number) { return this.messages[number - 1]; }

  stateAt(member, place) { return this.histories[member].stateAt(place); }

  logAt(member, place) { return this.histories[member].logAt(place); }

  members() { return Array.from({length: this.lanes}, (_, i) => i + 1); }

  // before returns the state that an event found at its member.
  before(place) { return this.stateAt(this.events[place].member, place - 1); }

  // changed reports whether an event changed a state, or stands for itself.
  changed(place) {
    const event = this.events[place];
    return Boolean(event.state) || event.kind === 'fail';
  }

  isHeartbeat(number) { return /^MsgHeartbeat(Resp)?$/.test(this.message(number).type); }

  // isQuiet reports whether an event is of the kind that runs are full of: ticks
  // and heartbeats that change nothing, and cause nothing but heartbeats.
  isQuiet(place) {
    const event = this.events[place];
    if (event.state || !(event.sent || []).every((number) => this.isHeartbeat(number))) return false;
    if (event.kind === 'tick') return true;
    return Boolean(event.msg) && this.isHeartbeat(event.msg);
  }

  // isBroken reports whether an entry is among those that break the rule.
  isBroken(member, index, place) {
    const v = this.violation;
    return v !== null && place >= v.event && (v.cells || []).some((c) => c.member === member && c.index === index);
  }

  breaks(number) { return this.violation !== null && (this.violation.messages || []).includes(number); }

  // roots are the events from which the causes of an event are looked for: for the
  // violation, whatever last touched what it names.
  roots(place) {
    const v = this.violation;
    if (v === null || place !== v.event) return [place];
    const members = [...(v.members || []), ...(v.cells || []).map((c) => c.member)];
    const ends = (v.messages || []).map((number) => this.message(number))
      .flatMap((m) => [m.sentAt, m.endAt]).filter((end) => end >= 0 && end <= place);
    return [place, ...members.map((member) => this.histories[member].changeBefore(place + 1)), ...ends];
  }

  // causes returns the places of the events that led to one: from an event, back to
  // what last changed its member, and to what sent its message.
  causes(place) {
    const found = new Set();
    const open = this.roots(place);
    while (open.length > 0) {
      const at = open.pop();
      if (at < 0 || found.has(at)) continue;
      found.add(at);
      const event = this.events[at];
      if (event.member) open.push(this.histories[event.member].changeBefore(at));
      if (event.msg) open.push(this.message(event.msg).sentAt);
    }
    return found;
  }
}
