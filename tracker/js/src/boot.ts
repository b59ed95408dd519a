import type { Options, Tracker } from "../index"
import { load } from "./tracker"

// boot reads the script's own attributes, and does what the page asked for before it was there.
export const boot = (automatic?: (tracker: Tracker, off?: string) => void): void => {
  const script = document.currentScript as HTMLScriptElement
  const d = script?.dataset || {}
  const go = () => {
    const before = window.reedbed
    if (!d.key || (before && "track" in before)) return
    const tracker = (window.reedbed = load({
      ...(d as unknown as Options),
      url: d.url || script.src.replace(/[^/]*$/, "e"),
      app: { name: d.app, version: d.version },
    }))
    before?.forEach(tracker.push)
    automatic?.(tracker, d.off)
  }
  // A page that is rendered ahead has no visitor yet.
  if ((document as any).prerendering) document.addEventListener("prerenderingchange", go)
  else setTimeout(go) // in a task of its own, to keep each short
}
