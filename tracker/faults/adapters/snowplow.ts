import { newTracker, trackStructEvent } from "@snowplow/browser-tracker"

newTracker("sp", window.collector, { appId: "demo" })
window.tell = name => trackStructEvent({ category: "faults", action: name })
