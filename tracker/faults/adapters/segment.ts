import { AnalyticsBrowser } from "@segment/analytics-next"

const analytics = AnalyticsBrowser.load(
  { writeKey: "demo", cdnSettings: { integrations: { "Segment.io": { apiKey: "demo" } } } as any },
  { integrations: { "Segment.io": { apiHost: window.collector.replace("http://", "") + "/v1", protocol: "http" } } },
)
window.tell = name => void analytics.track(name)
