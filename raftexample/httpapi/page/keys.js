// Keys are read and written through the member that serves the page.

import {$, el, say, ask} from './dom.js';

// read is the key that was read last, and its revision.
let read = {key: null, tag: null};

function path(key) {
  // Browsers take these for steps in a path, however they are written.
  if (key === '.' || key === '..') throw new Error('browsers cannot ask for this key');
  return `/kv/${encodeURIComponent(key)}`;
}
const revision = (tag) => `revision ${tag.replaceAll('"', '')}`;

// show puts text into the field; what is no text is not to be written back.
async function readKey(fields) {
  const key = fields.key.value;
  const response = await ask('GET', path(key));
  const bytes = await response.arrayBuffer();
  read = {key, tag: response.headers.get('ETag')};
  let kind = '';
  try {
    fields.value.value = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(bytes);
  } catch {
    fields.value.value = '';
    kind = ', not text';
  }
  return `Read: ${bytes.byteLength} bytes${kind}, ${revision(read.tag)}`;
}

// conditions are the headers of a write: that it takes effect once, and perhaps only
// where nothing has changed.
function conditions(fields) {
  // randomUUID is there only over TLS and on this machine.
  const random = crypto.getRandomValues(new Uint8Array(16));
  const headers = {'Idempotency-Key': [...random].map((b) => b.toString(16).padStart(2, '0')).join('')};
  if (!fields.unchanged.checked) return headers;
  if (read.key !== fields.key.value) throw new Error('this key was not read yet');
  return {...headers, 'If-Match': read.tag};
}

async function writeKey(fields) {
  const response = await ask('PUT', path(fields.key.value), fields.value.value, conditions(fields));
  read = {key: fields.key.value, tag: response.headers.get('ETag')};
  return `Written: ${revision(read.tag)}`;
}

async function deleteKey(fields) {
  await ask('DELETE', path(fields.key.value), null, conditions(fields));
  read = {key: null, tag: null};
  return 'Deleted';
}

async function listKeys(fields) {
  const response = await ask('GET', `/kv/?limit=100&prefix=${encodeURIComponent(fields.key.value)}`);
  const {keys, next} = await response.json();
  $('list').replaceChildren(...keys.map((k) => {
    let name = k.key;
    try {
      name = decodeURIComponent(k.key);
    } catch {
      return el('li', {class: 'small'}, `${k.key} (not text)`);
    }
    const button = el('button', {type: 'button'}, name);
    button.addEventListener('click', () => {
      fields.key.value = name;
      run(readKey, fields);
    });
    return el('li', {}, button);
  }));
  return `${keys.length}${next ? ' and more' : ''} keys`;
}

async function run(what, fields) {
  say('answer', '…');
  try {
    say('answer', await what(fields));
  } catch (e) {
    say('answer', e.message, true);
  }
}

export function keysForm() {
  $('kv').addEventListener('submit', (e) => {
    e.preventDefault();
    const todo = {read: readKey, write: writeKey, delete: deleteKey, list: listKeys};
    run(todo[e.submitter?.value ?? 'read'], e.target.elements);
  });
}
