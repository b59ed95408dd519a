import snowplow from "@snowplow/node-tracker"
import { done, key, marks, url } from "./driver.mjs"

// What failed is kept until the next flush, so the program flushes until all is delivered.
let delivered = 0
const tracker = snowplow.newTracker(
  { namespace: "sp", appId: key },
  { endpoint: url, bufferSize: 50, onRequestSuccess: batch => (delivered += batch.length) },
)
for (const mark of marks) tracker.track(snowplow.buildStructEvent({ category: "acceptance", action: "sent", property: mark }))
for (let flushes = 0; delivered < marks.length && flushes < 100; flushes++) {
  await tracker.flush()
  await new Promise(resolve => setTimeout(resolve, 100))
}
done(marks.length - delivered)
