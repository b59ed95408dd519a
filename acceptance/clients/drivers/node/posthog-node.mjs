import { PostHog } from "posthog-node"
import { done, key, marks, url } from "./driver.mjs"

const posthog = new PostHog(key, { host: url })
let failed = 0
posthog.on("error", () => failed++) // for each request
for (const mark of marks) posthog.capture({ distinctId: "ada", event: "Acceptance", properties: { mark } })
await posthog.shutdown(150_000)
done(failed)
