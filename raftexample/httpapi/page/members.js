// The members: who they are, what they hold, and what can be done to them.

import {$, el, svg, say, ask, settle} from './dom.js';

const number = (n) => n.toLocaleString('en');

// scale maps the indexes that any log has to 0..1000.
function scale(reports) {
  const first = Math.min(...reports.map((r) => r.status.first_index));
  const last = Math.max(...reports.map((r) => r.status.last_index), first + 1);
  // What is compacted everywhere gets a tenth, however long it is.
  return (index) => index < first ? 100 * index / first : 100 + 900 * (index - first + 1) / (last - first + 1);
}

function logBar(status, at) {
  const {first_index: first, applied, commit, last_index: last} = status;
  const text = `log from ${number(first)} to ${number(last)}; committed up to ${number(commit)}, applied up to ${number(applied)}`;
  const part = (name, from, to) => {
    const x = at(from - 1);
    return svg('rect', {class: name, x, y: 0, width: Math.max(at(to) - x, 0), height: 18});
  };
  return [
    svg('svg', {class: 'log', viewBox: '0 0 1000 18', preserveAspectRatio: 'none', role: 'img', 'aria-label': text},
      part('compacted', 1, first - 1), part('stored', first, last), part('committed', first, commit), part('applied', first, applied)),
    el('p', {class: 'small'}, text),
  ];
}

// lag says what the leader knows of the member.
function lag(id, leader) {
  const peer = leader?.status.peers?.find((p) => p.id === id);
  if (!peer) return null;
  const behind = leader.status.last_index - peer.match;
  // What a member that is gone took to answer last, and what is on its way to it, tells nothing.
  if (!peer.active) return el('p', {class: 'small bad'}, `not heard from, ${behind === 0 ? 'had everything' : `${number(behind)} behind`}`);
  const trip = peer.round_trip_seconds > 0 ? `, answers within ${(1000 * peer.round_trip_seconds).toFixed(1)} ms` : '';
  return el('p', {class: 'small'},
    `${peer.state}, ${behind === 0 ? 'has everything' : `${number(behind)} behind`}, ${peer.inflight} in flight${trip}`);
}

async function change(what, method, path, body) {
  say('said', `${what} …`);
  try {
    await ask(method, path, body);
    say('said', `${what}: done`);
  } catch (e) {
    say('said', `${what}: ${e.message}`, true);
  }
}

// removal takes two clicks, the second within a few seconds.
let armed = null;
function remove(id) {
  if (armed !== id) {
    armed = id;
    setTimeout(() => {
      if (armed === id) armed = null;
      draw();
    }, 5000);
    draw();
    return;
  }
  armed = null;
  draw();
  change(`Remove member ${id}`, 'DELETE', `/members/${id}`);
}

const actions = {
  lead: (id) => change(`Make member ${id} the leader`, 'POST', `/members/${id}/leader`),
  promote: (id) => change(`Promote member ${id}`, 'POST', `/members/${id}?learner=false`, urlOf(id)),
  remove,
};

const urlOf = (id) => shown.members.find((m) => m.id === id)?.url;

function row(member, leader, at) {
  const {id, report} = member;
  const role = report?.status.role ?? 'no answer';
  const act = (name, label, disabled) => el('button', {
    type: 'button', id: `${name}-${id}`, 'data-action': name, 'data-member': id, disabled, 'aria-label': `${label} (member ${id})`,
  }, label);
  const removal = act('remove', armed === id ? 'Really remove' : 'Remove', false);
  removal.classList.toggle('armed', armed === id);
  return el('article', {class: 'member', id: `member-${id}`, 'data-role': role},
    el('div', {class: 'who'},
      el('b', {}, `Member ${id}`), el('span', {class: `chip ${report ? role : 'gone'}`}, role),
      member.role === 'voter' ? null : el('span', {class: 'chip'}, member.role),
      report ? el('span', {class: 'small'}, `term ${number(report.status.term)}`) : null,
      el('span', {class: 'small'}, member.url)),
    el('div', {}, ...(report ? logBar(report.status, at) : [el('p', {class: 'small bad'}, member.error)]),
      ...[lag(id, leader)].filter(Boolean)),
    el('div', {class: 'buttons'},
      member.role === 'learner' ? act('promote', 'Make voter', !report)
        : act('lead', 'Make leader', !report || role === 'leader' || member.role !== 'voter'),
      removal));
}

// leaderOf returns the report of the leader of the latest term, or undefined.
export function leaderOf(cluster) {
  return cluster.members.map((m) => m.report).filter((r) => r?.status.role === 'leader')
    .sort((a, b) => b.status.term - a.status.term)[0];
}

let shown = {members: []};

export function showMembers(cluster) {
  shown = cluster;
  draw();
}

function draw() {
  const reports = shown.members.map((m) => m.report).filter(Boolean);
  const leader = leaderOf(shown);
  const at = reports.length > 0 ? scale(reports) : null;
  settle($('members'), shown.members.map((m) => row(m, leader, at)));
}

export function membersForm() {
  $('members').addEventListener('click', (e) => {
    const button = e.target.closest('button');
    if (button) actions[button.dataset.action](Number(button.dataset.member));
  });
  $('add').addEventListener('submit', (e) => {
    e.preventDefault();
    const {id, url, learner} = e.target.elements;
    change(`Add member ${id.value}`, 'POST', `/members/${id.value}?learner=${learner.checked}`, url.value);
  });
}
