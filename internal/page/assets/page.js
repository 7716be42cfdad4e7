// The page of pingtel. Everything that a target's name or tags say goes into the page as text, never as HTML.
'use strict'

const $ = (selector, root = document) => root.querySelector(selector)

// el makes an element with properties and children; strings become text.
function el(tag, properties = {}, ...children) {
  const e = document.createElement(tag)
  for (const [k, v] of Object.entries(properties)) k in e ? e[k] = v : e.setAttribute(k, v)
  e.append(...children)
  return e
}

async function get(url) {
  const answer = await fetch(url)
  if (!answer.ok) throw Object.assign(new Error(`${answer.status}: ${(await answer.text()).trim()}`), { refused: answer.status >= 400 && answer.status < 500 })
  return answer.json()
}

const failure = e => e.refused ? `pingtel refuses this view (${e.message}).` : `No answer from pingtel (${e.message}): what is shown is old.`

// plain makes a text safe to stand inside a sentence: characters that change the direction of what follows do not.
const plain = s => s.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd')

const colour = name => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim()

// Loss has the same steps on the map, in graphs and in the PNG.
const losses = [[0, '0 %'], [.05, 'to 5 %'], [.1, 'to 10 %'], [.2, 'to 20 %'], [.5, 'to 50 %'], [.9999999, 'below 100 %'], [1, '100 %']]
const lossStep = loss => losses.findIndex(([limit]) => loss <= limit)
const states = {
  measured: 'measured', down: '100 % loss', no_such_name: 'no such name', lookup_failed: 'look-up failed', not_sent: 'not sent', no_data: 'no data', away: 'prober away',
}
const stateColours = { down: 'loss6', no_such_name: 'name', lookup_failed: 'name', not_sent: 'unsent', no_data: 'none', away: 'none' }

const number = (v, digits) => v.toLocaleString(undefined, { maximumSignificantDigits: digits })
const ms = s => s == null ? '–' : number(s * 1e3, 4) + ' ms'
const percent = v => v == null ? '–' : number(v * 100, 3) + ' %'
const clock = (t, long) => new Date(t * 1e3).toLocaleString(undefined, long
  ? { dateStyle: 'medium', timeStyle: 'medium' }
  : { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' })

// every calls f now, and again and again while the page is visible. It waits for each call.
function every(seconds, f) {
  let timer
  const turn = async () => {
    clearTimeout(timer)
    if (!document.hidden) await f()
    clearTimeout(timer)
    timer = setTimeout(turn, seconds() * 1e3)
  }
  document.addEventListener('visibilitychange', () => { if (!document.hidden) turn() })
  return turn()
}

// drawn notes that the page has shown figures, and when the first were on the screen.
function drawn(which) {
  if (!document.body.dataset.loaded) requestAnimationFrame(() => setTimeout(() => { document.body.dataset.drawn = performance.now().toFixed() }))
  document.body.dataset.loaded = String(which)
}

// canvas makes the drawing context of a canvas as sharp as the screen.
function canvas(c, width, height) {
  const ratio = window.devicePixelRatio || 1
  c.width = Math.round(width * ratio)
  c.height = Math.round(height * ratio)
  c.style.height = height + 'px'
  const ctx = c.getContext('2d')
  ctx.scale(ratio, ratio)
  return ctx
}

// fillState fills a rectangle as a state without replies looks: each has a pattern of its own beside its colour.
function fillState(ctx, state, x, y, w, h, unit = 1) {
  const c = colour(stateColours[state])
  ctx.save()
  ctx.beginPath()
  ctx.rect(x, y, w, h)
  ctx.clip()
  ctx.fillStyle = ctx.strokeStyle = c
  ctx.lineWidth = unit
  ctx.globalAlpha = state === 'no_data' ? 0 : state === 'down' ? .28 : .12
  ctx.fillRect(x, y, w, h)
  ctx.globalAlpha = .75
  const gap = 7 * unit
  ctx.beginPath()
  if (state === 'away') for (let d = -h - (x + h) % gap; d < w + gap; d += gap) { ctx.moveTo(x + d, y + h); ctx.lineTo(x + d + h, y) }
  if (state === 'lookup_failed') for (let d = -h - (x + 2 * h) % gap; d < w + gap; d += gap) { ctx.moveTo(x + d, y); ctx.lineTo(x + d + h, y + h) }
  if (state === 'not_sent') for (let d = gap / 2; d < h; d += gap) { ctx.moveTo(x, y + d); ctx.lineTo(x + w, y + d) }
  ctx.stroke()
  if (state === 'no_such_name') for (let a = -x % gap; a < w; a += gap) for (let d = gap / 2; d < h; d += gap) ctx.fillRect(x + a, y + d, 1.6 * unit, 1.6 * unit)
  if (state === 'no_data') { ctx.setLineDash([2 * unit, 3 * unit]); ctx.lineDashOffset = x; ctx.strokeRect(x - unit, y + .5 * unit, w + 2 * unit, h - unit) }
  if (state === 'down') { ctx.globalAlpha = 1; ctx.fillRect(x, y + h - Math.min(h, 5 * unit), w, 5 * unit) }
  ctx.restore()
}

// pathMark marks a change of the path: a dashed line at the trace that saw the new one, a bar on top from the trace that
// last saw the old one.
function pathMark(ctx, x, x0, top, height, unit = 1) {
  ctx.save()
  x = Math.floor(x) + .5 // sharp
  ctx.fillStyle = ctx.strokeStyle = colour('fg')
  ctx.lineWidth = unit
  ctx.setLineDash([4 * unit, 3 * unit])
  ctx.beginPath()
  ctx.moveTo(x, top)
  ctx.lineTo(x, top + height)
  ctx.stroke()
  ctx.beginPath()
  ctx.moveTo(x - 6 * unit, top)
  ctx.lineTo(x + 6 * unit, top)
  ctx.lineTo(x, top + 7 * unit)
  ctx.fill()
  ctx.globalAlpha = .55
  if (x0 < x) ctx.fillRect(x0, top, x - x0, 2 * unit)
  ctx.restore()
}

function legend(withStates, map) {
  const list = $('#legend')
  list.replaceChildren()
  const entry = (text, draw) => {
    const c = el('canvas', { 'aria-hidden': 'true' })
    list.append(el('li', {}, c, text))
    draw(canvas(c, 22, 14))
  }
  losses.forEach(([, text], i) => entry((i ? '' : 'loss ') + text, ctx => { ctx.fillStyle = colour('loss' + i); ctx.fillRect(0, 0, 22, 14) }))
  for (const s of withStates) entry(states[s], ctx => fillState(ctx, s, 0, 0, 22, 14))
  if (!map) entry('path changed', ctx => pathMark(ctx, 14, 0, 0, 14))
  if (map) list.append(el('li', {}, matchMedia('(prefers-color-scheme: dark)').matches ? 'lighter: slower than usual' : 'darker: slower than usual'))
}

// ---- the map and the list of all targets ----

function index() {
  const find = $('#search'), group = $('#group'), order = $('#order'), body = $('#list tbody')
  const query = new URLSearchParams(location.search)
  find.value = query.get('q') || ''
  let all = [], shown = [], rows = 50, chosen = new Set()

  const loss = t => t.sent ? 1 - t.received / t.sent : null
  const slow = t => t.rtt && t.usual ? t.rtt / t.usual : 1
  const rank = { no_data: 1, not_sent: 2.2, no_such_name: 2.5, lookup_failed: 2.4, down: 3 }
  const badness = t => (rank[t.state] || 0) + (loss(t) || 0) * 2 + (t.state === 'measured' && slow(t) > 1.2 ? Math.min(slow(t), 10) / 1000 : 0)
  const tags = t => Object.entries(t.tags).map(([k, v]) => k + '=' + v).concat(t.family || [], t.dscp ? 'DSCP ' + t.dscp : [])
  const describe = t => plain(`${t.host}: ${t.state === 'measured' ? percent(loss(t)) + ' loss, ' + ms(t.rtt) + (t.usual ? ', usually ' + ms(t.usual) : '') : states[t.state]}${tags(t).length ? ' (' + tags(t).join(', ') + ')' : ''}`)
  const cut = (text, most) => text.length > most ? text.slice(0, most) + '…' : text // the page of the target has all
  const tag = (t, name) => Object.hasOwn(t.tags, name) ? t.tags[name] : '' // and not a property that all objects have

  function arrange() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean)
    shown = all.filter(t => words.every(w => t.text.includes(w)))
    shown.sort(order.value === 'host' ? (a, b) => a.host < b.host ? -1 : a.host > b.host ? 1 : 0 : (a, b) => b.bad - a.bad || (a.host < b.host ? -1 : 1))
    $('#list-title').textContent = order.value === 'host' ? 'Targets by host' : 'Targets, worst first'
    drawMap()
    drawList()
  }

  function mix(c, part) { // of the text's colour
    return `color-mix(in srgb, ${c}, ${colour('fg')} ${Math.round(part * 100)}%)`
  }

  function drawMap() {
    const root = $('#map'), groups = new Map(), width = root.clientWidth
    for (const t of shown) {
      const value = group.value ? tag(t, group.value.slice(1)) : ''
      groups.has(value) ? groups.get(value).push(t) : groups.set(value, [t])
    }
    let list = [...groups]
    if (group.value) list.sort((a, b) => order.value === 'host' ? (a[0] < b[0] ? -1 : 1) : 0)
    if (list.length > 100) list = list.slice(0, 100).concat([['other values', list.slice(100).flatMap(g => g[1])]])
    const size = Math.max(7, Math.min(22, Math.floor(Math.sqrt(width * 380 / Math.max(1, shown.length)))))
    const base = losses.map((_, i) => colour('loss' + i)), tones = new Map()
    const tone = (step, slower) => {
      const k = step * 8 + slower
      if (!tones.has(k)) tones.set(k, slower ? mix(base[step], slower * .1) : base[step])
      return tones.get(k)
    }
    const focused = document.activeElement?.dataset?.group, place = focused == null ? null : document.activeElement.dataset.place
    root.replaceChildren()
    for (const [name, members] of list) {
      if (group.value) {
        const trouble = members.filter(t => t.bad >= .02).length
        root.append(el('h3', {}, plain(name) || '(none)', ' ', el('small', {}, `${members.length} targets${trouble ? ', ' + trouble + ' in trouble' : ''}`)))
      }
      const across = Math.max(1, Math.floor(width / size))
      const c = el('canvas', { tabIndex: 0, role: 'img' })
      c.dataset.group = name
      c.setAttribute('aria-label', `${members.length} targets${name ? ' of ' + plain(name) : ''}. Arrow keys read them, Enter opens one. The table below has the same.`)
      root.append(c)
      const ctx = canvas(c, width, Math.ceil(members.length / across) * size)
      members.forEach((t, i) => {
        const x = i % across * size, y = Math.floor(i / across) * size, side = size - (size > 9 ? 2 : 1)
        if (t.state === 'measured') {
          ctx.fillStyle = tone(lossStep(loss(t) || 0), Math.max(0, Math.min(5, Math.round(Math.log2(slow(t)) * 2))))
          ctx.fillRect(x, y, side, side)
        } else if (t.state === 'down') {
          ctx.fillStyle = base[6]
          ctx.fillRect(x, y, side, side)
          ctx.strokeStyle = colour('panel')
          ctx.lineWidth = Math.max(1, side / 8)
          ctx.beginPath()
          for (const s of [1, -1]) { ctx.moveTo(x + side * (.5 - .25 * s), y + side * .25); ctx.lineTo(x + side * (.5 + .25 * s), y + side * .75) }
          ctx.stroke()
        } else fillState(ctx, t.state, x, y, side, side, Math.max(.5, side / 14))
      })
      const at = e => { const b = c.getBoundingClientRect(); return members[Math.floor((e.clientY - b.top) / size) * across + Math.floor((e.clientX - b.left) / size)] }
      let here = focused === name ? members.findIndex(t => t.key === place) : -1 // where the keyboard was before the renewal
      const read = t => { $('#cell').textContent = t ? cut(describe(t), 400) : '\u00a0' }
      c.onmousemove = e => { read(at(e)); c.title = plain(at(e)?.host || '') }
      c.onclick = e => { const t = at(e); if (t) location.href = '/t/' + t.key }
      c.onkeydown = e => {
        const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across }[e.key]
        if (by) { here = Math.max(0, Math.min(members.length - 1, here + by)); c.dataset.place = members[here].key; read(members[here]); e.preventDefault() }
        if (e.key === 'Enter' && members[here]) location.href = '/t/' + members[here].key
      }
      if (focused === name) {
        if (members[here]) { c.dataset.place = place; read(members[here]) }
        c.focus({ preventScroll: true })
      }
    }
  }

  function drawList() {
    const active = document.activeElement, focused = body.contains(active) && active.closest('tr').dataset.key, kind = active?.tagName
    body.replaceChildren(...shown.slice(0, rows).map(t => {
      const box = el('input', { type: 'checkbox', checked: chosen.has(t.key) })
      box.setAttribute('aria-label', 'compare ' + plain(t.host))
      box.onchange = () => { box.checked ? chosen.add(t.key) : chosen.delete(t.key); compare() }
      const mark = el('span', { className: 'mark' })
      mark.style.background = t.state === 'measured' ? colour('loss' + lossStep(loss(t) || 0)) : colour(stateColours[t.state])
      const row = el('tr', {},
        el('td', {}, box), el('td', { className: 'host' }, el('a', { href: '/t/' + t.key }, t.host || '""')), el('td', {}, mark, t.state === 'measured' ? el('span', { className: 'hidden' }, 'measured') : states[t.state]),
        el('td', { className: 'n' }, percent(loss(t))), el('td', { className: 'n' }, ms(t.rtt)), el('td', { className: 'n' }, ms(t.usual)),
        el('td', { className: 'tags' }, ...tags(t).slice(0, 20).map(text => el('bdi', {}, cut(text, 100))), ...(tags(t).length > 20 ? ['…'] : [])))
      row.dataset.key = t.key
      return row
    }))
    if (focused) [...body.rows].find(r => r.dataset.key === focused)?.querySelector(kind === 'INPUT' ? 'input' : 'a').focus({ preventScroll: true })
    $('#more').hidden = shown.length <= rows
    $('#more').textContent = `Show more of ${shown.length}`
  }

  function compare() {
    const a = $('#compare')
    a.hidden = chosen.size < 2
    a.href = '/t/' + [...chosen].slice(0, 12).join(',')
    a.textContent = `Compare ${Math.min(chosen.size, 12)}`
  }

  async function load() {
    let answer
    try { answer = await get('/api/targets') } catch (e) { $('#summary').textContent = failure(e); return }
    all = answer.targets
    const keys = new Set()
    let worse = 0
    for (const t of all) {
      t.bad = badness(t)
      t.text = (t.host + ' ' + tags(t).join(' ')).toLowerCase()
      if (t.bad >= .02) worse++
      for (const k of Object.keys(t.tags)) keys.add(k)
    }
    const have = new Set([...group.options].map(o => o.value.slice(1)))
    for (const k of [...keys].sort()) if (!have.has(k)) group.append(el('option', { value: '=' + k }, k))
    $('#summary').textContent = `${all.length} targets, ${worse ? worse + ' in trouble' : 'none in trouble'}, at ${clock(answer.now)}`
    arrange()
    drawn(answer.now)
  }

  find.oninput = () => { rows = 50; arrange(); history.replaceState(null, '', find.value ? '?q=' + encodeURIComponent(find.value) : '/') }
  group.onchange = order.onchange = arrange
  $('#more').onclick = () => { rows += 500; drawList() }
  const redraw = () => { legend(['no_such_name', 'lookup_failed', 'not_sent', 'no_data'], true); arrange() }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw)
  let resized
  addEventListener('resize', () => { clearTimeout(resized); resized = setTimeout(redraw, 100) })
  legend(['no_such_name', 'lookup_failed', 'not_sent', 'no_data'], true)
  every(() => 10, load)
}

// ---- the graphs of targets ----

// errors lists what else happened in a column, or in all of them with i undefined.
const extra = {
  late: 'late', duplicates: 'duplicates', corrupt: 'corrupt', destination_unreachable: 'unreachable', time_exceeded: 'time exceeded', packet_too_big: 'too big',
  parameter_problem: 'parameter problem', send: 'refused by this system', unresolved: 'rounds without an address', lookup_failed: 'rounds without an answer of the DNS', unsent: 'rounds not sent',
}
const extras = count => Object.entries(extra).filter(([k]) => count(k)).map(([k, text]) => `${count(k)} ${text}`)

function target() {
  const graphs = [...document.querySelectorAll('.graph')].map(section => ({ section, plot: $('.plot', section), readout: $('.readout', section) }))
  if (!graphs.length) return
  const query = new URLSearchParams(location.search)
  const view = { range: Number(query.get('range')) || 10800, from: Number(query.get('from')), to: Number(query.get('to')) }
  let turn = 0

  const fixed = () => view.to > 0
  const bounds = () => fixed() ? [view.from, view.to] : [Math.floor(Date.now() / 1e3) - view.range, Math.floor(Date.now() / 1e3)]

  function show(from, to) { // nothing: the newest
    if (from == null) view.from = view.to = 0
    else {
      const most = 400 * 86400, long = Math.min(most, Math.max(60, Math.round(to - from)))
      view.from = Math.max(0, Math.round((from + to) / 2 - long / 2))
      view.to = view.from + long
    }
    history.replaceState(null, '', '?' + (fixed() ? `from=${view.from}&to=${view.to}` : 'range=' + view.range))
    return load()
  }

  async function load() {
    const mine = ++turn, [from, to] = bounds()
    for (const b of document.querySelectorAll('[data-range]')) b.setAttribute('aria-pressed', String(!fixed() && Number(b.dataset.range) === view.range))
    $('#link').href = `?from=${from}&to=${to}`
    const answers = await Promise.allSettled(graphs.map(g => get(`/api/history/${g.section.dataset.key}?from=${from}&to=${to}`)))
    if (mine !== turn) return // a newer one is on its way
    let bad
    answers.forEach((a, i) => {
      if (a.status === 'rejected') { bad = a.reason; return }
      $('.png', graphs[i].section).href = `/graph/${graphs[i].section.dataset.key}.png?from=${from}&to=${to}`
      draw(graphs[i], a.value)
    })
    const first = answers.find(a => a.status === 'fulfilled')?.value
    $('#window').textContent = bad ? failure(bad)
      : `${clock(from, true)} to ${fixed() ? clock(to, true) : 'now'}, ${Intl.DateTimeFormat().resolvedOptions().timeZone}; a column is ${long(first.step)}`
    drawn(mine)
  }

  const long = s => s % 86400 === 0 ? s / 86400 + ' d' : s % 3600 === 0 ? s / 3600 + ' h' : s % 60 === 0 ? s / 60 + ' min' : s + ' s'

  function draw(g, h) {
    g.h = h
    const n = h.state.length, mid = h.percentiles.length >> 1
    const xs = Array.from({ length: n }, (_, i) => h.from + (i + .5) * h.step)
    const ys = h.rtt.map(q => q ? q[mid] * 1e3 : null)
    // Rare peaks must not flatten the graph: the text below says how high they are.
    const most = h.rtt.reduce((m, q) => q ? Math.max(m, q[q.length - 1] * 1e3) : m, 0) || 1
    const tops = h.rtt.filter(Boolean).map(q => q[q.length - 2] * 1e3).sort((a, b) => a - b)
    g.top = Math.min(most, 1.6 * (tops[Math.floor(tops.length * .98)] || most)) * 1.05
    g.peak = most > g.top ? most : 0
    if (g.u) {
      g.u.setData([xs, ys], false)
      g.u.setScale('x', { min: h.from, max: h.to })
      g.u.setScale('y', { min: 0, max: g.top })
    } else make(g, [xs, ys])
    const i = g.u.cursor.idx
    read(g, i == null || i >= n ? null : i)
    figures(g)
    if ($('details', g.section).open) table(g)
  }

  function make(g, data) {
    const axis = { stroke: () => colour('dim'), grid: { stroke: () => colour('line'), width: 1 }, ticks: { stroke: () => colour('line'), width: 1 } }
    g.u = new uPlot({
      width: g.plot.clientWidth, height: 260, legend: { show: false },
      scales: { x: { time: true, range: () => [g.h.from, g.h.to] }, y: { range: () => [0, g.top] } },
      axes: [{ ...axis, space: 70 }, { ...axis, size: 62, values: (u, list) => list.map(v => number(v, 4) + ' ms') }],
      series: [{}, { paths: () => null, points: { show: false } }],
      cursor: { drag: { x: true, y: false, setScale: false }, sync: { key: 'pingtel' }, points: { show: false }, y: false, bind: { dblclick: () => () => { zoom(3); return null } } },
      hooks: {
        draw: [u => smoke(u, g)],
        setCursor: [u => read(g, u.cursor.idx)],
        setSelect: [u => {
          if (u.select.width < 4) return
          const from = u.posToVal(u.select.left, 'x'), to = u.posToVal(u.select.left + u.select.width, 'x')
          u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false)
          if (u === active()) show(from, to)
        }],
      },
    }, data, g.plot)
    const root = g.u.root
    root.tabIndex = 0
    root.setAttribute('role', 'img')
    root.onmousedown = () => { current = g.u }
    root.onkeydown = e => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[e.key]
      if (by) {
        const i = Math.max(0, Math.min(g.h.state.length - 1, (g.u.cursor.idx ?? g.h.state.length) + by))
        g.u.setCursor({ left: g.u.valToPos(g.u.data[0][i], 'x'), top: 10 })
        read(g, i)
      } else if (e.key === '+') zoom(1 / 3)
      else if (e.key === '-' || e.key === 'Escape') zoom(3)
      else if (e.key === 'PageUp') move(-.5)
      else if (e.key === 'PageDown') move(.5)
      else return
      e.preventDefault()
    }
  }

  let current = null // the graph that the mouse went down on: the others follow its selection by themselves
  const active = () => current || graphs[0].u

  function smoke(u, g) {
    const h = g.h, ctx = u.ctx, unit = window.devicePixelRatio || 1, { left, top, width, height } = u.bbox
    const x = t => u.valToPos(t, 'x', true), y = s => u.valToPos(s * 1e3, 'y', true)
    const rgb = colour('smoke'), tints = losses.map((_, i) => colour('loss' + i)), half = h.percentiles.length >> 1
    ctx.save()
    ctx.beginPath()
    ctx.rect(left, top, width, height)
    ctx.clip()
    for (let i = 0, next; i < h.state.length; i = next) { // runs of a state without replies
      for (next = i + 1; next < h.state.length && h.state[next] === h.state[i]; next++);
      const s = h.state[i]
      if (s === 'measured') continue
      const x0 = x(h.from + i * h.step), x1 = x(h.from + next * h.step)
      fillState(ctx, s, x0, top, Math.max(x1 - x0, unit), height, unit)
      ctx.font = `${11 * unit}px system-ui, sans-serif`
      const text = states[s], wide = ctx.measureText(text).width + 12 * unit
      if (x1 - x0 > wide) {
        const middle = (Math.max(x0, left) + Math.min(x1, left + width)) / 2
        ctx.fillStyle = colour('panel')
        ctx.fillRect(middle - wide / 2, top + height / 2 - 9 * unit, wide, 18 * unit)
        ctx.fillStyle = colour('fg')
        ctx.textAlign = 'center'
        ctx.textBaseline = 'middle'
        ctx.fillText(text, middle, top + height / 2)
      }
    }
    h.rtt.forEach((q, i) => {
      if (!q) return
      const x0 = Math.round(x(h.from + i * h.step)), w = Math.max(unit, Math.round(x(h.from + (i + 1) * h.step)) - x0)
      for (let k = 0; k < half; k++) {
        ctx.fillStyle = `rgba(${rgb}, ${.09 + .055 * k})`
        const y1 = y(q[q.length - 1 - k])
        ctx.fillRect(x0, y1, w, Math.max(y(q[k]) - y1, 0))
      }
      const sent = h.counts.sent[i], step = lossStep(sent ? 1 - h.counts.received[i] / sent : 0)
      ctx.fillStyle = tints[step]
      if (step > 0) { // loss also shows below, where a median outside of the graph cannot hide it
        if (step > 1) {
          ctx.globalAlpha = .16
          ctx.fillRect(x0, top, w, height)
          ctx.globalAlpha = 1
        }
        ctx.fillRect(x0, top + height - 5 * unit, w, 5 * unit)
      }
      ctx.fillRect(x0, y(q[half]) - 1.5 * unit, w, 3 * unit)
    })
    for (const c of h.path_changes) pathMark(ctx, x(c.time), x(Math.max(c.since, h.from)), top, height, unit)
    ctx.restore()
  }

  function read(g, i) {
    const h = g.h, t = h.total
    if (i == null || h.state[i] === undefined) {
      g.readout.textContent = g.peak ? `Peaks of up to ${ms(g.peak / 1e3)} are beyond the graph.` : '\u00a0'
    } else {
      const q = h.rtt[i], last = h.percentiles.length - 1, sent = h.counts.sent[i]
      g.readout.textContent = [
        clock(h.from + i * h.step),
        q ? `median ${ms(q[last / 2])}, 80 % within ${ms(q[1])} to ${ms(q[last - 1])}, all within ${ms(q[0])} to ${ms(q[last])}` : states[h.state[i]],
        ...(q ? [`loss ${percent(1 - h.counts.received[i] / sent)} of ${sent}`] : []),
        ...(h.jitter[i] == null ? [] : ['jitter ' + ms(h.jitter[i])]),
        ...extras(k => h.counts[k]?.[i]),
        ...changesIn(h, i).map(c => `${clock(c.time)}: the path was ${c.before || '?'}, and is ${c.after}: ${c.verdict}`),
      ].join(' · ')
    }
    const changes = h.path_changes.length + (h.path_changes_left_off || 0)
    const gone = {}
    for (const s of h.state) gone[s] = (gone[s] || 0) + 1
    const parts = Object.keys(states).filter(s => s !== 'measured' && gone[s]).map(s => `${gone[s]} of ${h.state.length} columns ${states[s]}`)
    if (changes) parts.push(`${changes} path change${changes > 1 ? 's' : ''}`)
    g.u.root.setAttribute('aria-label', `Smoke graph: median ${ms(t.rtt.p50)}, loss ${percent(t.loss)}${parts.length ? ', ' + parts.join(', ') : ''}. The table below has the figures.`)
  }

  const changesIn = (h, i) => h.path_changes.filter(c => Math.floor((c.time - h.from) / h.step) === i)

  function figures(g) {
    const t = g.h.total
    const list = [['loss', percent(t.loss)], ['sent', number(t.counts.sent, 9)], ['min', ms(t.rtt.p0)], ['p50', ms(t.rtt.p50)], ['p90', ms(t.rtt.p90)], ['p95', ms(t.rtt.p95)],
      ['p99', ms(t.rtt.p99)], ['max', ms(t.rtt.p100)], ['jitter', ms(t.jitter)]]
    for (const [k, text] of Object.entries(extra)) if (t.counts[k]) list.push([text, number(t.counts[k], 9)])
    $('.figures', g.section).replaceChildren(...list.map(([k, v]) => el('div', {}, el('dt', {}, k), el('dd', {}, v))))
  }

  function table(g) {
    const h = g.h, last = h.percentiles.length - 1
    const names = ['Time', 'State', 'Sent', 'Loss', 'Min', 'p10', 'Median', 'p90', 'Max', 'Jitter', 'Other']
    $('.columns thead', g.section).replaceChildren(el('tr', {}, ...names.map((n, i) => el('th', { scope: 'col', className: i > 1 && i < 10 ? 'n' : '' }, n))))
    $('.columns tbody', g.section).replaceChildren(...h.state.map((s, i) => {
      const q = h.rtt[i] || [], sent = h.counts.sent[i]
      const cells = [clock(h.from + i * h.step), states[s], sent, sent ? percent(1 - h.counts.received[i] / sent) : '–', ms(q[0]), ms(q[1]), ms(q[last / 2]), ms(q[last - 1]), ms(q[last]),
        ms(h.jitter[i]), extras(k => h.counts[k]?.[i]).concat(changesIn(h, i).map(() => 'path changed')).join(', ')]
      return el('tr', {}, ...cells.map((c, k) => el('td', { className: k > 1 && k < 10 ? 'n' : '' }, String(c))))
    }))
    const box = $('.paths', g.section), list = h.path_changes
    box.hidden = !list.length
    $('tbody', box).replaceChildren(...list.toReversed().map(c => el('tr', {},
      ...[clock(c.time), clock(c.since), c.before, c.after, c.verdict].map(text => el('td', {}, text)))))
    $('p', box).textContent = h.path_changes_left_off ? `${h.path_changes_left_off} older changes are left out.` : ''
  }

  function zoom(by) {
    const [from, to] = bounds(), middle = fixed() ? (from + to) / 2 : to - (to - from) * by / 2, half = (to - from) * by / 2
    return middle + half >= Date.now() / 1e3 - 1 && by > 1 && !fixed() ? (view.range = Math.min(Math.round(2 * half), 400 * 86400), show()) : show(middle - half, middle + half)
  }
  function move(by) {
    const [from, to] = bounds(), d = (to - from) * by
    return to + d >= Date.now() / 1e3 ? (view.range = to - from, show()) : show(from + d, to + d)
  }

  for (const b of document.querySelectorAll('[data-range]')) b.onclick = () => { view.range = Number(b.dataset.range); show() }
  $('#earlier').onclick = () => move(-.5)
  $('#later').onclick = () => move(.5)
  $('#in').onclick = () => zoom(1 / 3)
  $('#out').onclick = () => zoom(3)
  for (const g of graphs) $('details', g.section).ontoggle = () => { if (g.h) table(g) }
  const redraw = () => { legend(['no_such_name', 'lookup_failed', 'not_sent', 'no_data', 'away']); for (const g of graphs) g.u?.setSize({ width: g.plot.clientWidth, height: 260 }) }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw)
  addEventListener('resize', redraw)
  legend(['no_such_name', 'lookup_failed', 'not_sent', 'no_data', 'away'])
  every(() => Math.max(5, Math.min(60, (graphs[0].h?.step ?? 20) / 2)), () => fixed() && turn ? null : load())
}

document.body.dataset.page === 'index' ? index() : target()
