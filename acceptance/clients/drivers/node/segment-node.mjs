import { Analytics } from "@segment/analytics-node"
import { done, key, marks, url } from "./driver.mjs"

const analytics = new Analytics({ writeKey: key, host: url })
let failed = 0
analytics.on("error", () => failed++)
for (const mark of marks) analytics.track({ userId: "ada", event: "Acceptance", properties: { mark } })
await analytics.closeAndFlush({ timeout: 150_000 })
done(failed)
