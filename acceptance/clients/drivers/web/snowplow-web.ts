import { flushBuffer, newTracker, trackStructEvent } from "@snowplow/browser-tracker"

newTracker("sp", window.collector, { appId: window.key })
window.tell = mark => trackStructEvent({ category: "acceptance", action: "sent", property: mark })
window.flush = () => flushBuffer()
