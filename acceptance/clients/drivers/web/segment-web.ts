import { AnalyticsBrowser } from "@segment/analytics-next"

const analytics = AnalyticsBrowser.load(
  { writeKey: window.key, cdnURL: window.collector },
  { integrations: { "Segment.io": { apiHost: window.collector.replace("http://", "") + "/v1", protocol: "http" } } },
)
window.tell = mark => void analytics.track("Acceptance", { mark })
