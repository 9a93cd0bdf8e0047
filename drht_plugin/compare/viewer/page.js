'use strict';
/* The page's controls: what is shown, and how. */
(() => {
  const find = id => document.getElementById(id);
  const all = selector => [...document.querySelectorAll(selector)];
  const stage = find('stage'), divider = find('divider'), exposure = find('exposure');
  let current = -1, right = 'after', cut = 50;

  const views = Views.pair(
    all('.view'),
    zoom => {
      const percent = 100 * zoom;
      find('zoom').textContent = `${percent.toFixed(percent < 9.95 ? 1 : 0)} %`;
    },
    busy => stage.setAttribute('aria-busy', busy),
  );

  function press(buttons, name, value) {
    for (const button of buttons) button.setAttribute('aria-pressed', button.dataset[name] === value);
  }

  function arrange(mode) {
    stage.dataset.mode = mode;
    press(all('#tools [data-mode]'), 'mode', mode);
  }

  function divide(percent) {
    cut = Math.min(Math.max(percent, 0), 100);
    stage.style.setProperty('--cut', `${cut}%`);
    const before = Math.round(cut);
    divider.setAttribute('aria-valuenow', before);
    divider.setAttribute('aria-valuetext', `${before} % before, ${100 - before} % after`);
  }

  function compareWith(name) {
    const entry = PICTURES[current];
    right = entry[name] ? name : 'after';
    press(all('#shown button'), 'shown', right);
    const tag = right === 'hdr' ? 'HDR estimate' : 'After';
    document.querySelector('#right .tag').textContent = tag;
    views.show(entry.place, [entry.before, entry[right]], false);
    expose();
  }

  /* Linear light is exposed exactly; display pictures have what their codes hold. */
  function expose() {
    const entry = PICTURES[current], stops = exposing() ? Number(exposure.value) : 0;
    Light.expose(stops);
    for (const channel of document.querySelector('#exposed feComponentTransfer').children)
      channel.setAttribute('slope', 2 ** stops);
    [entry.before, entry[right]].forEach((picture, index) => {
      const filter = stops && picture.kind !== 'js' ? 'url(#exposed)' : '';
      all('.view')[index].style.filter = filter;
    });
    const text = `${stops > 0 ? '+' : ''}${stops} EV`.replace('-', '−');
    find('stops').textContent = text;
    exposure.setAttribute('aria-valuetext', text);
    views.redraw();
  }
  function exposing() {
    const {before, after, hdr} = PICTURES[current];
    return [before, after, hdr].some(picture => picture?.kind === 'js');
  }

  function turnTo(index) {
    if (index < 0 || index >= PICTURES.length || index === current) return;
    current = index;
    const entry = PICTURES[index];
    find('name').textContent = find('name').title = entry.name;
    document.title = `${entry.name}: before and after`;
    stage.setAttribute('aria-label', `${entry.name}, before and after`);
    find('place').textContent = `${index + 1} of ${PICTURES.length}`;
    find('previous').disabled = index === 0;
    find('next').disabled = index === PICTURES.length - 1;
    find('shown').hidden = !entry.hdr;
    find('exposing').hidden = !exposing();
    views.show(entry.place, [entry.before, entry[right] || entry.after], true);
    compareWith(right);
    all('#strip button').forEach((button, at) => {
      button.tabIndex = at === index ? 0 : -1;
      if (at === index) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
      if (at === index) { // in the strip alone: the page stays where it is
        const {left, width} = button.getBoundingClientRect();
        find('strip').scrollBy({left: left + width / 2 - find('strip').clientWidth / 2});
      }
    });
    if (location.hash !== `#${index + 1}` && PICTURES.length > 1) location.replace(`#${index + 1}`);
  }

  function thumbnail(entry, index) {
    const item = document.createElement('li'), button = document.createElement('button');
    button.type = 'button';
    const thumb = document.createElement('span'), name = document.createElement('span');
    thumb.className = 'thumb';
    for (const picture of [entry.before, entry.after]) {
      const image = document.createElement('img');
      Object.assign(image, {alt: '', loading: 'lazy', src: entry.place + picture.thumbnail});
      thumb.append(image);
    }
    name.textContent = button.title = entry.name;
    button.append(thumb, name);
    button.addEventListener('click', () => turnTo(index));
    item.append(button);
    return item;
  }

  for (const button of all('#tools [data-mode]'))
    button.addEventListener('click', () => arrange(button.dataset.mode));
  for (const button of all('#shown button'))
    button.addEventListener('click', () => compareWith(button.dataset.shown));
  const onClick = {
    previous: () => turnTo(current - 1), next: () => turnTo(current + 1),
    in: () => views.enlarge(1.5), out: () => views.enlarge(1 / 1.5), one: views.one, fit: views.fit,
    reset: () => { exposure.value = 0; expose(); },
  };
  for (const [id, action] of Object.entries(onClick)) find(id).addEventListener('click', action);
  exposure.addEventListener('input', expose);

  function swap(mode) { return mode === 'slider' ? 'sides' : 'slider'; }
  const onKey = {
    ArrowLeft: () => views.move(-0.1, 0), ArrowRight: () => views.move(0.1, 0),
    ArrowUp: () => views.move(0, -0.1), ArrowDown: () => views.move(0, 0.1),
    '+': onClick.in, '=': onClick.in, '-': onClick.out, '0': views.fit, '1': views.one,
    m: () => arrange(swap(stage.dataset.mode)),
    h: () => { if (PICTURES[current].hdr) compareWith(right === 'hdr' ? 'after' : 'hdr'); },
    PageUp: onClick.previous, PageDown: onClick.next,
  };
  const onDivider = {
    ArrowLeft: () => cut - 2, ArrowDown: () => cut - 2, ArrowRight: () => cut + 2,
    ArrowUp: () => cut + 2, PageDown: () => cut - 10, PageUp: () => cut + 10,
    Home: () => 0, End: () => 100,
  };
  stage.addEventListener('keydown', event => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = (event.target === divider ? onDivider : onKey)[key];
    if (!action) return;
    event.preventDefault();
    if (event.target === divider) divide(action());
    else action();
  });
  stage.addEventListener('pointerdown', event => {
    if (event.target !== divider) stage.focus({preventScroll: true});
  });
  divider.addEventListener('pointerdown', event => divider.setPointerCapture(event.pointerId));
  divider.addEventListener('pointermove', event => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    const {left, width} = stage.getBoundingClientRect();
    divide(100 * (event.clientX - left) / width);
  });
  document.querySelector('#strip ul').addEventListener('keydown', event => {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!step) return;
    event.preventDefault();
    turnTo(current + step);
    all('#strip button')[current].focus();
  });
  document.addEventListener('keydown', event => {
    if (event.key === 'Escape') document.querySelector('details').open = false;
  });
  window.addEventListener('hashchange', () => turnTo(fromHash()));
  function fromHash() { return (Number.parseInt(location.hash.slice(1), 10) || 1) - 1; }

  if (PICTURES.length > 1) {
    find('strip').hidden = find('turning').hidden = false;
    document.querySelector('#strip ul').append(...PICTURES.map(thumbnail));
  }
  divide(50);
  turnTo(PICTURES[fromHash()] ? fromHash() : 0);
})();
