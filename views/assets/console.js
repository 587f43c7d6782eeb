/* What makes the console nicer. Every page works without it. */

/** A button that copies, beside each text that is there to be copied. */
function addCopyButtons(root) {
  for (const text of root.querySelectorAll('[data-copy]')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'copy';
    button.textContent = 'Copy';
    button.setAttribute('aria-label', `Copy ${text.dataset.copy || (text.getAttribute('aria-label') ?? '')}`.trim());
    const said = document.createElement('span');
    said.className = 'unseen';
    said.setAttribute('role', 'status');
    button.addEventListener('click', async () => {
      const copied = await copy(text);
      button.textContent = copied ? 'Copied' : 'Press Ctrl+C';
      said.textContent = copied ? 'Copied' : 'Selected: press Ctrl+C to copy';
      setTimeout(() => {
        button.textContent = 'Copy';
        said.textContent = '';
      }, 2_000);
    });
    text.after(button, said);
  }
}

/** Browsers offer the clipboard on https and loopback only: elsewhere the text is selected. */
async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return false;
  }
}

/** Times in the zone of the browser, for whoever has chosen none. */
function showLocalTimes(root) {
  if (document.documentElement.dataset.zone !== '') return;
  const day = { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
  const shown = new Intl.DateTimeFormat('en-GB', day);
  const exact = new Intl.DateTimeFormat('en-GB', { ...day, second: '2-digit', timeZoneName: 'longOffset' });
  for (const time of root.querySelectorAll('time[datetime]')) {
    const at = new Date(time.dateTime);
    time.textContent = shown.format(at).replaceAll(' ', '\u00a0').replace(',\u00a0', ', ');
    time.title = exact.format(at);
  }
}

let isOpening = false;

/** Opens the page a button leads to in a dialog, when that page is a form; any other is gone to. */
async function openInDialog(link) {
  // The second of two clicks.
  if (isOpening) return;
  isOpening = true;
  const page = await fetchPage(link.href);
  isOpening = false;
  const form = page?.querySelector('main form.sheet');
  if (!form) {
    location.assign(link.href);
    return;
  }
  const dialog = document.createElement('dialog');
  dialog.append(...page.querySelector('main').children);
  for (const one of dialog.querySelectorAll('.back, [role="status"]')) one.remove();
  const title = dialog.querySelector('h1');
  title.id = 'dialog-title';
  dialog.setAttribute('aria-labelledby', title.id);
  // Where there is nothing to fill in, what will end is read before the button that ends it; a key held down presses nothing.
  if (!form.querySelector('.field')) {
    title.tabIndex = -1;
    title.autofocus = true;
  }
  for (const cancel of dialog.querySelectorAll('form.sheet > .buttons > a.button')) {
    cancel.addEventListener('click', (event) => {
      event.preventDefault();
      dialog.close();
    });
  }
  dialog.addEventListener('close', () => {
    dialog.remove();
    link.focus();
  });
  document.body.append(dialog);
  enhance(dialog);
  dialog.showModal();
}

/** Undefined when it could not be had: then the browser tells why. */
async function fetchPage(address) {
  try {
    const answer = await fetch(address, { headers: { accept: 'text/html' } });
    return answer.ok ? new DOMParser().parseFromString(await answer.text(), 'text/html') : undefined;
  } catch {
    return undefined;
  }
}

document.addEventListener('click', (event) => {
  const link = event.target.closest?.('.head a.button, .empty a.button, td a.button');
  // A file would be made twice, and two dialogs would share ids.
  if (!link || /\.\w+$/.test(link.pathname) || link.closest('dialog')) return;
  if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  openInDialog(link);
});

/* A key that is pasted into a search would stand in the address: as lists show it, it finds the same. */
document.addEventListener('submit', ({ target }) => {
  if (target.method !== 'get') return;
  for (const field of target.querySelectorAll('input')) {
    field.value = field.value.replace(/lk[pts]_[\w-]{48}/g, (key) => `${key.slice(0, 8)}…${key.slice(-4)}`);
  }
});

const ADDRESSES = ['base_url', 'redirect_uris', 'post_logout_redirect_uris'];

/** While the addresses of an app are typed: what the server would say about them, and what was probably meant. */
function checkAddresses(root) {
  const form = root.querySelector('textarea[name="redirect_uris"]')?.form;
  if (!form) return;
  const fields = ADDRESSES.map((name) => form.elements[name]).filter(Boolean);
  const lists = new Map(fields.map((field) => [field.name, addReviewList(field)]));
  let waiting;
  let asked = 0;
  const check = async () => {
    asked += 1;
    const now = asked;
    const reviews = await fetchReviews(form);
    if (reviews === undefined || now !== asked) return;
    for (const field of fields) {
      const shown = reviews[field.name].map((review) => reviewItem(field, review));
      lists.get(field.name).replaceChildren(...shown);
    }
  };
  form.addEventListener('input', ({ target }) => {
    if (target.name !== 'type' && !fields.includes(target)) return;
    clearTimeout(waiting);
    waiting = setTimeout(check, 500);
  });
}

function addReviewList(field) {
  const list = document.createElement('ul');
  list.className = 'reviews';
  list.setAttribute('aria-live', 'polite');
  field.after(list);
  return list;
}

async function fetchReviews(form) {
  try {
    const body = new URLSearchParams(new FormData(form));
    const headers = { accept: 'application/json' };
    const answer = await fetch('/console/api-keys/apps/check', { method: 'POST', body, headers });
    return answer.ok && !answer.redirected ? await answer.json() : undefined;
  } catch {
    return undefined;
  }
}

function reviewItem(field, { uri, problem, hint, suggestion }) {
  const item = document.createElement('li');
  item.className = problem ? 'problem' : 'quiet';
  const address = document.createElement('code');
  address.textContent = uri;
  item.append(`${problem ? '✗' : '✓'} `, address, ` ${[problem && `${problem}.`, hint].filter(Boolean).join(' ')} `);
  if (!suggestion) return item;
  const use = document.createElement('button');
  use.type = 'button';
  use.textContent = `Use ${suggestion}`;
  use.addEventListener('click', () => {
    const lines = field.value.split('\n').map((line) => (line.trim() === uri ? suggestion : line));
    field.value = lines.join('\n');
    field.dispatchEvent(new Event('input', { bubbles: true }));
    field.focus();
    item.remove();
  });
  item.append(use);
  return item;
}

function enhance(root) {
  addCopyButtons(root);
  showLocalTimes(root);
  checkAddresses(root);
}

enhance(document);
