// The tracker itself: what happened is queued in storage, one key for each event, and
// stays there until the collector says that it has it.

import type { Options, Properties, Tracker } from "../index"
import { numbers } from "./numbers"
import { open } from "./store"
import { uuid } from "./uuid"

declare const VERSION: string

// Device is what is known of who is there, under the key "d".
interface Device {
  anonymous: string
  user?: string
  session: string
  time: number
}

const enum Limit {
  Queue = 500, // events
  Events = 100, // in a request
  Bytes = 48e3, // in a request
  Leaving = 6e4, // bytes that may outlive the page, a little less than browsers allow
  Answer = 15e3, // milliseconds
  Pause = 3e5, // milliseconds between two tries
  Order = 864e5, // milliseconds the collector may ask for
  Session = 18e5, // milliseconds without an event
}

export const load = (options: Options): Tracker => {
  const url = (options.url || "/t/e") + "?key=" + encodeURIComponent(options.key)
  const prefix = "rb." + options.key + "."
  const store = open(prefix)
  const [get, put, remove, read, write, keys, disk, memory] = store
  const [next, drop, answered, release] = numbers(store)
  const refused =
    (options.gpc != "ignore" && (navigator as any).globalPrivacyControl) || (options.dnt == "respect" && navigator.doNotTrack == "1")
  const leaving = new Set<string>() // keys of events on their way in requests that outlive the page
  // "1" given, "0" taken back, "" not known; any tab may change it.
  const consent = () => (refused ? "0" : get("c") || (options.consent == "wait" ? "" : "1"))
  let held: (() => void)[] = [] // what happened before it was known
  let queued = keys("q").length
  let timer: number | void
  let busy = false
  let flying = 0 // bytes of the request under way
  let count: number = Limit.Events
  let failures = 0
  let until = 0 // the collector asked to be left alone
  let here = ""
  let referrer = document.referrer

  // when there is consent, now or later.
  const when = (tell: () => void) => {
    if (consent() == "1") tell()
    else if (!consent()) held.push(tell)
  }

  const device = (now: number, user?: string): Device => {
    const d: Device = read("d") || { anonymous: uuid(now) }
    if (!(now - d.time < Limit.Session)) d.session = uuid(now)
    d.time = now
    d.user = user || d.user
    write("d", d)
    return d
  }

  const record = (type: string, properties?: Properties, name?: string, now = Date.now()): void => {
    const event = {
      type,
      name,
      time: now,
      properties,
      context: {
        page: { url: location.href, referrer, title: document.title },
        app: options.app,
        locale: navigator.language,
        screen: { width: screen.width, height: screen.height },
        library: { name: "reedbed.js", version: VERSION },
        bot: navigator.webdriver || undefined,
      },
    }
    // Half of a surrogate pair is no text to the collector.
    const text = JSON.stringify(event, (_, v) => v?.toWellFormed?.() ?? v)
    when(() => {
      const { anonymous, user, session } = device(now)
      const id = uuid(now)
      const who = { id, anonymous_id: anonymous, user_id: user, session_id: session, ...next(now) }
      put("q" + id, JSON.stringify(who).slice(0, -1) + "," + text.slice(1))
      if (++queued > Limit.Queue) keys("q").slice(0, -Limit.Queue).forEach(drop)
      wake(1e3)
    })
  }

  // pack takes as much as one request holds of what is queued and not on its way.
  const pack = (bytes: number) => {
    const chosen: string[] = []
    const events: string[] = []
    let size = 99
    const all = consent() == "1" ? keys("q").filter(key => !leaving.has(key)) : []
    queued = all.length
    for (const key of all) {
      const text = get(key)!
      const more = new TextEncoder().encode(text).length + 1
      if (chosen[0] && (size + more > bytes || chosen.length >= count)) break
      size += more
      chosen.push(key)
      events.push(text)
    }
    return [chosen, size, `{"sent_at":${Date.now()},"batch":[${events}]}`] as const
  }

  const wake = (after: number) => {
    timer ||= setTimeout(flush, Math.max(after, until - performance.now())) as any
  }
  const hurry = () => {
    timer = clearTimeout(timer!)
    wake(Math.random() * 1e3)
  }

  const flush = async () => {
    timer = clearTimeout(timer!)
    if (busy) return
    busy = true
    let wait
    try {
      // One page of the origin sends; the ids make it safe where there are no locks.
      wait = await navigator.locks.request(prefix, { ifAvailable: true }, lock => (lock ? send() : 1e3 + Math.random() * 1e3))
    } catch {
      wait = await send().catch(() => 1e4) // what is damaged in storage must not end sending
    }
    busy = false
    if (wait) wake(wait)
  }

  // send sends all there is and returns 0, or how long to wait.
  const send = async (): Promise<number> => {
    for (;;) {
      const [chosen, size, body] = pack(Limit.Bytes)
      if (!chosen[0]) return 0
      const keepalive = size < Limit.Leaving
      if (keepalive) chosen.forEach(leaving.add, leaving)
      flying = size
      let status
      let asked = 0
      try {
        const r = await fetch(url, {
          method: "POST",
          body, // a text, so that browsers need not ask first
          credentials: "omit",
          keepalive,
          signal: AbortSignal.timeout?.(Limit.Answer),
        })
        const after = r.headers.get("retry-after")
        asked = (+after! ? +after! * 1e3 : Date.parse(after!) - Date.now()) || 0
        // Whatever else says "ok", such as a hotel's login page, has not stored it.
        status = r.ok ? +!!(await r.json()).received_at : r.status
      } catch {
        status = 0
      }
      flying = 0
      chosen.forEach(leaving.delete, leaving)
      if (status == 1) {
        chosen.forEach(remove)
        answered(body)
        failures = 0
        count = Limit.Events
      } else if (status == 413 && chosen[1]) {
        count = chosen.length >> 1
      } else if (status > 399 && status < 500 && ![408, 425, 429].includes(status)) {
        chosen.forEach(drop)
      } else {
        until = performance.now() + Math.min(asked, Limit.Order)
        return 1 + Math.random() * Math.min(Limit.Pause, 1e3 * 2 ** ++failures)
      }
    }
  }

  // leave sends what there is without waiting for an answer, and keeps it for the next page.
  const leave = () => {
    const [chosen, , body] = pack(Limit.Leaving - flying)
    const sent = chosen[0] && navigator.sendBeacon?.(url, body)
    if (sent) chosen.forEach(leaving.add, leaving)
    // What only memory holds takes the place of the oldest.
    for (const key of keys("q", [memory])) {
      let oldest: string
      while (!put(key, get(key)!) && (oldest = keys("q", [disk])[0])) drop(oldest)
    }
    release()
  }

  const tracker: Tracker = {
    track: (name, properties) => record("track", properties, name),
    page: properties => {
      referrer = here || referrer
      here = location.href
      record("page", properties)
    },
    identify: (user, traits) => {
      when(() => device(Date.now(), user))
      record("identify", traits)
    },
    reset: () => remove("d"),
    consent: given => {
      if (refused) return
      if (!given) keys("").forEach(remove)
      put("c", given ? "1" : "0")
      held.forEach(when)
      held = []
    },
    flush,
    push: ([method, ...rest]) => (tracker as any)[method](...rest),
  }
  addEventListener("pagehide", leave)
  addEventListener("visibilitychange", () => {
    if (document.hidden) leave()
    else {
      leaving.clear()
      hurry()
    }
  }) // also when a page comes out of a browser's cache
  addEventListener("online", hurry)
  hurry()
  return tracker
}
