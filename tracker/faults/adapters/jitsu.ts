import { jitsuAnalytics } from "@jitsu/js"

const analytics = jitsuAnalytics({ host: window.collector, writeKey: "demo" })
window.tell = name => void analytics.track(name)
