// What is told without a line of code: page views, clicks and simple vitals.

import type { Automatic, Tracker } from "../index"

export const automatic = (tracker: Tracker, off: Automatic[] | string = ""): void => {
  if (!off.includes("pages")) pages(tracker)
  if (!off.includes("clicks")) clicks(tracker)
  if (!off.includes("vitals")) setTimeout(vitals, 0, tracker)
}

// A page view is another path or query, however it was come by.
const pages = (tracker: Tracker) => {
  let last = ""
  const look = () => {
    const now = location.pathname + location.search
    if (now != last) {
      last = now
      tracker.page()
    }
  }
  const navigation = (window as any).navigation
  if (navigation) navigation.addEventListener("currententrychange", look)
  else {
    for (const method of ["pushState", "replaceState"] as const) {
      const original = history[method]
      history[method] = function (...args) {
        original.apply(this, args)
        look()
      }
    }
    addEventListener("popstate", look)
  }
  addEventListener("pageshow", e => {
    if (e.persisted) {
      last = ""
      look()
    }
  })
  look()
}

// <button data-ev="Signed Up" data-ev-plan="pro">, and links that lead elsewhere.
const clicks = (tracker: Tracker) => {
  const click = (e: Event) => {
    const target = e.target as Element
    const named = target.closest<HTMLElement>("[data-ev]")
    if (named) {
      const properties: Record<string, unknown> = {}
      for (const { name, value } of named.attributes) if (name.startsWith("data-ev-")) properties[name.slice(8)] = value
      tracker.track(named.dataset.ev!, properties)
    }
    const link = target.closest<HTMLAnchorElement>("a[href]")
    if (link?.host && link.host != location.host) tracker.track("Outbound Link", { url: link.href })
  }
  addEventListener("click", click, true)
  addEventListener("auxclick", click, true)
}

// Close to what web-vitals measures, and simpler: CLS is the sum of all shifts, INP the slowest interaction.
const vitals = (tracker: Tracker) => {
  let seen: Record<string, number> | null = {}
  const observe = (type: string, name: string, value: (e: any, before: number) => number) => {
    try {
      new PerformanceObserver(list =>
        list.getEntries().forEach(e => {
          if (seen) seen[name] = Math.round(value(e, seen[name] || 0) * 1e3) / 1e3
        }),
      ).observe({ type, buffered: true, durationThreshold: 40 } as any)
    } catch {}
  }
  observe("navigation", "ttfb", e => e.responseStart)
  observe("paint", "fcp", e => e.startTime) // the last of the two there are
  observe("largest-contentful-paint", "lcp", e => e.startTime)
  observe("layout-shift", "cls", (e, before) => before + (e.hadRecentInput ? 0 : e.value))
  observe("event", "inp", (e, before) => (e.interactionId ? Math.max(before, e.duration) : before))
  // Once, before the tracker's own listeners send what there is.
  const tell = () => {
    if (seen) tracker.track("Web Vitals", seen)
    seen = null
  }
  addEventListener("pagehide", tell, true)
  addEventListener("visibilitychange", () => document.hidden && tell(), true)
}
