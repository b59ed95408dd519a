import jitsu from "@jitsu/js"
import { done, key, marks, url } from "./driver.mjs"

const analytics = jitsu.jitsuAnalytics({ host: url, writeKey: key + ":any" })
for (const mark of marks) await analytics.track("Acceptance", { mark })
done() // it does not tell
