// Words for what is in a run.

// formatTime shows microseconds as milliseconds.
function formatTime(at, digits = 3) {
  return (at / 1000).toLocaleString('en', {minimumFractionDigits: digits, maximumFractionDigits: digits})
    .replaceAll(',', '\u202f');
}

// formatSpan shows how long something took, as exactly as people need it.
function formatSpan(micros) {
  if (micros < 1000) return `${micros} µs`;
  if (micros < 100_000) return `${(micros / 1000).toFixed(1)} ms`;
  if (micros < 10_000_000) return `${Math.round(micros / 1000)} ms`;
  return `${(micros / 1e6).toFixed(1)} s`;
}

const plural = (n, word) => `${n.toLocaleString('en')} ${word}${n === 1 ? '' : 's'}`;

const roleOf = (state) => (state && state.up ? state.role || 'follower' : 'down');

// shortRole fits over a lane.
const shortRole = (role) => (role === 'pre-candidate' ? 'pre-cand.' : role);

// messageClass groups types by what they are for, which gives arrows their colour.
function messageClass(type) {
  if (/Vote/.test(type)) return 'vote';
  if (/^MsgApp/.test(type)) return 'append';
  if (/^MsgHeartbeat/.test(type)) return 'heartbeat';
  if (/^MsgSnap/.test(type)) return 'snapshot';
  return 'other';
}

const isResponse = (type) => /Resp$/.test(type);

const shortType = (type) => type.replace(/^Msg/, '');

function entryText(entry) {
  if (!entry) return 'unknown';
  return entry.x || 'empty';
}

// logChange says what a state does to a log, in few words.
function logChange(state) {
  const entries = state.log || [];
  if (!state.logFrom) return null;
  if (entries.length === 0) return `log ends at ${state.logFrom - 1}`;
  const last = state.logFrom + entries.length - 1;
  const terms = new Set(entries.map((entry) => entry.t));
  const term = terms.size === 1 ? ` of term ${entries[0].t}` : '';
  if (entries.length === 1) return `entry ${last}${term}`;
  return `entries ${state.logFrom}–${last}${term}`;
}

// changes lists in what a state differs from the one before: a short text for the
// line of the event, and the values for the details.
function changes(run, before, after) {
  const old = before || {up: false, term: 0, vote: 0, lead: 0, commit: 0, applied: 0, first: 1, last: 0, durable: 0};
  const list = [];
  const add = (name, from, to, text, role) => { if (from !== to) list.push({name, from, to, text, role}); };
  // A member that was down knew nothing that it could be compared with.
  const addKnown = (name, from, to, text) =>
    add(name, old.up ? from : '—', to, old.up || to ? text : null);
  if (old.up !== after.up || roleOf(old) !== roleOf(after)) {
    add('role', before ? roleOf(old) : 'not there', roleOf(after), roleOf(after), roleOf(after));
  }
  if (Boolean(old.paused) !== Boolean(after.paused)) {
    add('paused', Boolean(old.paused), Boolean(after.paused), after.paused ? 'paused' : 'resumed');
  }
  if (after.up) {
    addKnown('term', old.term, after.term, `term ${after.term}`);
    addKnown('vote', run.name(old.vote || 0), run.name(after.vote || 0), after.vote ? `vote ${run.name(after.vote)}` : null);
    addKnown('leader', run.name(old.lead || 0), run.name(after.lead || 0),
      after.lead ? `leader is ${run.name(after.lead)}` : old.up ? 'leader unknown' : null);
  }
  if (after.logFrom) list.push({name: 'log', text: logChange(after)});
  add('first index', old.first, after.first, before && `first ${after.first}`);
  add('last index', old.last, after.last, null);
  add('durable', old.durable, after.durable, before && `durable ${after.durable}`);
  if (after.up) {
    addKnown('commit', old.commit, after.commit, `commit ${after.commit}`);
    addKnown('applied', old.applied, after.applied, `applied ${after.applied}`);
    addKnown('configuration', old.config || '—', after.config || '—', old.up && after.config);
  }
  return list;
}

// summary says in plain text what an event is, for the search and for those who
// do not see the page.
function summary(run, place) {
  const event = run.events[place];
  const parts = [event.kind];
  if (event.member) parts.push(`at ${run.name(event.member)}`);
  if (event.msg) {
    const m = run.message(event.msg);
    parts.push(`${m.type} ${run.name(m.from)}→${run.name(m.to)} ${m.text || ''}`);
  }
  if (event.text) parts.push(event.text);
  if (event.state) parts.push(...changes(run, run.before(place), event.state).map((c) => c.text).filter(Boolean));
  return parts.join(' ');
}

function fateText(run, message) {
  const took = message.endAt >= 0 ? run.events[message.endAt].at - run.events[message.sentAt].at : 0;
  switch (message.fate) {
    case 'delivered': return `arrived after ${formatSpan(took)}`;
    case 'dropped': return `lost after ${formatSpan(took)}`;
    case 'refused': return `refused after ${formatSpan(took)}`;
    default: return 'still under way when the run ended';
  }
}
